# SPDX-License-Identifier: MIT
"""Members of objects at file scope: `ops.read(...)`, and `ops->read(...)` where `ops` is one global pointer.

The object stays what it is, so what copies it goes on as before; what calls, tests or reads a member asks its key,
and what changes a member changes the key as well. That is right as long as nothing changes the object behind our
back: its address must not get out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from instrument.model import Edit, Place, Span
from instrument.suggest import spelling
from instrument.suggest.accesses import Access, accesses
from instrument.suggest.declared import Variable
from instrument.suggest.entities import THREAD, constness, definition, entities, key_of, line_of, places
from instrument.suggest.finding import Finding
from instrument.suggest.initial import Initial, initial_values
from instrument.suggest.model import Candidate, Doubt, Role
from instrument.suggest.project import Project, constant
from instrument.suggest.settle import Pointer, settle
from instrument.suggest.source import Source, View, ancestors, line_start
from instrument.suggest.uses import ADDRESS, READS, Deed
from instrument.suggest.values import Value
from instrument.value import replace

if TYPE_CHECKING:
    from tree_sitter import Node

_REPLACED = re.compile(rb"\b(?:__)?(?:weak|alias|common)(?:__)?\b")
_CHANGED = "what it points to may be changed"
_UNKNOWN = Initial(why="it starts with what is not known")


def candidates(project: Project) -> Iterator[Candidate]:
    """Every function pointer in an object at file scope that is called through that object's name."""
    objects = [v for v in project.variables if v.record and v.declarator.shape in ((), ("pointer",)) and not v.type]
    for name in dict.fromkeys(v.name for v in objects):
        same = [v for v in project.variables if v.name == name]
        groups = entities([v for v in objects if v.name == name])
        for variables in groups:
            for found in _Object(project, variables, key_of(name, variables, len(groups) > 1)).examined(same):
                yield found.done()


class _Object:
    """One object, or one pointer to objects, and what is found out about each of its members."""

    def __init__(self, project: Project, variables: Sequence[Variable], key: str) -> None:
        self.project, self.variables = project, variables
        self.first = definition(variables)
        self.arrow = self.first.declarator.shape == ("pointer",)
        self.operator = "->" if self.arrow else "."
        members = project.types.record(self.first.record or "") or ()
        self.prototypes = {member.name: member.prototype for member in members}
        self.members: dict[str, Finding] = {}
        self.pointers: dict[str, Pointer] = {}
        for member in members:
            if member.type:
                name = self._now(member.name)
                initial = self._initial(member.name)
                mirror = "" if self.arrow else name
                self.members[member.name] = Finding(project, f"{key}_{member.name}", name, self._place(self.first))
                self.pointers[member.name] = Pointer(
                    initial.value or Value("other"), member.type.void, member.type.zero, mirror, not initial.value
                )

    def _now(self, member: str) -> str:
        return f"{self.first.name}{self.operator}{member}"

    def _place(self, v: Variable) -> Place:
        return v.source.place(v.declarator.name.start_byte)

    def _refuse(self, what: str, place: Place | None = None) -> None:
        for found in self.members.values():
            found.refuse(what, place)

    def examined(self, same: Sequence[Variable]) -> Iterator[Finding]:
        """The members that are called."""
        whole = Finding(self.project, "", self.first.name, self._place(self.first))
        for one in places(self.project, whole, self.variables, same):
            for access in accesses(self.project, one, self.operator):
                self._access(access)
        for name, found in self.members.items():
            pointer = self.pointers[name]
            calls = [a for a in pointer.accesses if a.deed is Deed.CALL]
            if not calls:
                continue
            self._fit(found, calls)
            found.refusals += whole.refusals
            if pointer.forwarded and (read := next((a for a in pointer.accesses if a.deed in READS), None)):
                found.refuse("it starts with what is not known, and may be NULL when it is read", read.place)
            zero = settle(found, pointer)
            self._declare(name, found, zero)
            found.linkage(self.first)
            if self._fixed(found):
                found.refuse("nothing changes it: compilers call what it starts with already")
            yield found

    # ---- the object -------------------------------------------------------------------------------

    def _fit(self, found: Finding, calls: Sequence[Access]) -> None:
        definitions = self._definitions()
        if not definitions:
            found.refuse("no file here defines it")
        if len({v.source.path for v in definitions}) > 1:
            found.refuse("several files define it", self._place(definitions[-1]))
        elif not self._settled(definitions):
            found.refuse("its definition depends on the configuration", self._place(definitions[-1]))
        if self.project.types.union(self.first.record or ""):
            found.refuse("it is in a union", self._place(self.first))
        for v in self.variables:
            text = v.source.data[v.node.start_byte : v.node.end_byte]
            if v.source.split(v.node) and v.extern:
                found.refuse("a directive stands in its declaration", self._place(v))
            if v.storage & {"const"} and not self.arrow:
                found.refuse(constness(definitions, calls), self._place(v))
            if v.storage & {"volatile", "_Atomic"}:
                found.refuse("it is volatile or _Atomic", self._place(v))
            if THREAD.search(text):
                found.refuse("each thread has its own", self._place(v))
            for word in v.source.hides(line_of(v)):
                if any(b"static" in body for body in self.project.macros[word.text]):
                    found.refuse(f"it is declared with the macro {word.text}", self._place(v))
            if _REPLACED.search(text):
                found.refuse("it is declared with an attribute", self._place(v))
            if not v.extern and not v.source.path.endswith(".c"):
                found.refuse("a header defines it: each file that includes it may have its own", self._place(v))
            if self.arrow and not v.storage & {"const"}:
                found.conditions.append(Doubt("nothing changes the member in what it points to", self._place(v)))

    def _definitions(self) -> list[Variable]:
        return [v for v in self.variables if not v.extern]

    def _settled(self, definitions: Sequence[Variable]) -> bool:
        """Whether every configuration has one definition that says what the object starts with."""
        valued = [v for v in definitions if v.declarator.value is not None]
        starts = [(v.source, v.node.start_byte) for v in valued or definitions]
        return (
            len(definitions) == 1 or bool(valued) or not any(source.arm(start) for source, start in starts)
        ) and all(
            source is not other or source.exclusive(start, at) or start == at or not valued
            for source, start in starts
            for other, at in starts
        )

    def _fixed(self, found: Finding) -> bool:
        """Whether it is reached by a pointer that only ever leads to one object, which the file shows to be const."""
        at = self.first.declarator.value
        assigned = any(use.role is Role.ASSIGN for use in found.uses)
        if not self.arrow or "static" not in self.first.storage or assigned or found.refusals or at is None:
            return False
        name = self.first.source.text(at).removeprefix("&").strip()
        known = [v for v in self.project.variables if v.name == name and v.declarator.value is not None]
        return bool(known) and all(v.source is self.first.source and "const" in v.storage for v in known)

    def _initial(self, name: str) -> Initial:
        """What the member starts with in each configuration, where that is the same kind of thing."""
        valued = [v for v in self._definitions() if v.declarator.value is not None] or [self.first]
        each = [self._first(v, name) for v in valued]
        kinds = {initial.value.kind if initial.value else "" for initial in each}
        return each[0] if len(kinds) == 1 else next(i for i in each if not i.value or i.value.kind == "null")

    def _first(self, v: Variable, name: str) -> Initial:
        if v.source.arm(v.node.start_byte) != v.source.arm(v.node.end_byte):
            return Initial(why="what it starts with depends on the configuration")
        return initial_values(self.project, v).get(name, _UNKNOWN)

    def _declare(self, name: str, found: Finding, zero: bool) -> None:
        """The keys stand behind the object's own declarations."""
        now = self._now(name)
        valued = any(v.declarator.value is not None for v in self._definitions())
        for v in self.variables:
            defines = v is self.first or (not v.extern and valued and v.declarator.value is not None)
            initial = self._first(v, name)
            if not defines:
                text = f"DECLARE_STATIC_CALL({found.key}, *{now});"
            elif initial.value and not self.pointers[name].forwarded:
                cast = f"__typeof__(&*{now})"
                text = spelling.definition(found.key, initial.value, f"*{now}", cast, zero, self.project)
                pointed = v.declarator.value
                named = self.arrow and initial.value.kind == "function"
                if named and pointed and (doubt := self._doubt(v.source, pointed)):
                    found.conditions.append(Doubt(doubt, self._place(v)))
            elif prototype := self.prototypes[name]:
                first = f"{found.key}_first"
                text = f"{prototype.forwarder(first, now)}\nDEFINE_STATIC_CALL({found.key}, {first});"
                found.notes.append(Doubt(f"until its first assignment it is called by {first}", self._place(v)))
            else:
                found.refuse(initial.why, self._place(v))
                continue
            at = v.source.behind(v.node)
            role = Role.DEFINE if defines else Role.DECLARE
            found.use(role, self._place(v), None, [Edit(Span(at, at), b"\n" + text.encode())])

    # ---- its places -------------------------------------------------------------------------------

    def _access(self, access: Access) -> None:
        member = access.member
        if access.compiled and access.spelled in self.members and access.spelled != member:
            self.members[access.spelled].refuse("a macro makes another member of it", access.place)
        if member in self.members:
            if access.deed is Deed.ASSIGN and self.arrow:
                access = replace(access, deed=Deed.REFUSED, why=_CHANGED)
            self.pointers[member].accesses.append(access)
            if self.arrow and access.deed in READS:
                self._read(access, but=member)
        elif not member:
            self._whole(access)
        elif member == "?" or (access.macro and not access.compiled and access.deed is Deed.REFUSED):
            self._refuse(access.why or "the syntax around it is not understood", access.place)
        elif self.arrow and access.deed in READS:
            self._read(access)
        elif not self.arrow and access.why == ADDRESS:
            what = f"nothing gets from the address of {self._now(member)} to the other members"
            for found in self.members.values():
                found.conditions.append(Doubt(what, access.place))

    def _read(self, access: Access, but: str = "") -> None:
        """What leads to the members is read, beside their keys."""
        for name, pointer in self.pointers.items():
            if name != but:
                pointer.others.append(access)

    def _whole(self, access: Access) -> None:
        own = access.own
        if access.deed in READS:
            called = spelling.callee(own.view.source, own.node) if own is not None else None
            macro = access.macro or (called if called in self.project.macros else None)
            if macro and not access.compiled:
                self._refuse(f"the macro {macro} may change it", access.place)
            if self.arrow:
                self._read(access)
            for name, found in self.members.items():
                self.pointers[name].copied = True
                found.notes.append(Doubt("copied: calls through the copy stay as they are", access.place))
        elif access.deed is Deed.ASSIGN and own is not None and own.seen.value and own.seen.statement:
            for name, found in self.members.items():
                self._assigned(name, found, access, own.view, own.seen.value, own.seen.statement)
        elif access.deed is not Deed.REFUSED or "operand of" not in access.why or "asm" in access.why:
            self._refuse(access.why or "the syntax around it is not understood", access.place)

    def _assigned(self, name: str, found: Finding, access: Access, view: View, value: Node, statement: Node) -> None:
        """The object, or what leads to one, is set: the key takes what the member is then."""
        pointer, now, source = self.pointers[name], self._now(name), view.source
        pointer.set, pointer.unset = True, pointer.unset or self._unset(source, value, name)
        what = f"every update succeeds, and one thread at a time sets {self.first.name}, which is set in any case"
        found.conditions.append(Doubt(what, access.place))
        if self.arrow and (doubt := self._doubt(source, value)):
            found.conditions.append(Doubt(doubt, access.place))
        target = f"{self.first.name} ? {now} : (void *)0" if self.arrow and source.text(value)[:1] != "&" else now
        text = f"static_call_update({found.key}, {target})"
        if not self.arrow and not pointer.forwarded:
            text = f"{now} = {text} ? static_call_query({found.key}) : {now}"
        block = next(a for a in ancestors(statement) if not a.type.startswith("preproc"))
        at, before, after = view.span(value).end, ", ", ""
        if block.type == "compound_statement" and not access.macro:
            at = view.span(statement).end
            start = line_start(source.data, statement.start_byte)
            indent = re.match(rb"[ \t]*", source.data[start : statement.start_byte])
            before, after = "\n" + (indent[0].decode() if indent else ""), ";"
        edit = Edit(Span(at, at), f"{before}{text}{after}".encode())
        found.use(Role.ASSIGN, access.place, view.node, [edit], source.text(value), access.macro)

    def _unset(self, source: Source, value: Node, name: str) -> bool:
        """Whether the member may be NULL then."""
        text = source.text(value)
        known = [v for v in self.project.variables if v.name == text.removeprefix("&").strip()]
        initial = [initial_values(self.project, v).get(name, _UNKNOWN).value for v in known if not v.extern]
        return not (text.startswith("&") and initial and all(i and i.kind == "function" for i in initial))

    def _doubt(self, source: Source, value: Node) -> str | None:
        """What must hold for what `value` points to to stay as it is: nothing if that is the address of
        an object that is const, or a file's own and only ever pointed to by pointers to const."""
        text = source.text(value)
        known = [v for v in self.project.variables if v.name == text.removeprefix("&").strip()]
        if not text.startswith("&") or not known:
            return f"nothing changes what {text} points to"
        if all("const" in v.storage for v in known):
            return None
        if not constant(self.project, known[0].name):
            return f"nothing changes what {text} points to"
        own = all("static" in v.storage for v in known)
        return None if own else f"no file but those given changes {known[0].name}"
