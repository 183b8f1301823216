# SPDX-License-Identifier: MIT
"""Members of objects at file scope: `ops.read(...)`, and `ops->read(...)` where `ops` is one global pointer.

The object stays what it is and keeps its values, so what reads or copies it goes on as before; only calls go through
a key, and what changes a member changes the key as well. That is right as long as nothing changes the object behind
our back: its address must not get out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from instrument.model import Edit, Place, Span
from instrument.suggest import spelling
from instrument.suggest.declared import Variable
from instrument.suggest.entities import definition, entities, key_of, places
from instrument.suggest.finding import Finding
from instrument.suggest.initial import Initial, initial_values
from instrument.suggest.model import Candidate, Doubt, Role
from instrument.suggest.project import Occurrence, Project, constant, declaration_of
from instrument.suggest.source import Source, ancestors
from instrument.suggest.uses import Deed, Seen, seen, seen_in_macro
from instrument.suggest.values import value_of

if TYPE_CHECKING:
    from tree_sitter import Node

_REPLACED = re.compile(rb"\b(?:__)?(?:weak|alias|common)(?:__)?\b")
_THREAD = re.compile(rb"\b(?:__thread|_Thread_local|thread_local)\b")
_CHANGED = "what it points to may be changed"


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
        for member in members:
            if member.type:
                name = f"{self.first.name}{self.operator}{member.name}"
                self.members[member.name] = Finding(project, f"{key}_{member.name}", name, self._place(self.first))

    def _place(self, v: Variable) -> Place:
        return v.source.place(v.declarator.name.start_byte)

    def _refuse(self, what: str, place: Place | None = None) -> None:
        for found in self.members.values():
            found.refuse(what, place)

    def examined(self, same: Sequence[Variable]) -> Iterator[Finding]:
        """The members that are called."""
        whole = Finding(self.project, "", self.first.name, self._place(self.first))
        for one in places(self.project, whole, self.variables, same):
            self._occurrence(one)
        self._fit()
        for name, found in self.members.items():
            if not any(use.role is Role.CALL for use in found.uses):
                continue
            found.refusals += whole.refusals
            self._declare(name, found)
            found.linkage(self.first)
            if self._fixed(found):
                found.refuse("nothing changes it: compilers call what it starts with already")
            yield found

    # ---- the object -------------------------------------------------------------------------------

    def _fit(self) -> None:
        definitions = [v for v in self.variables if not v.extern]
        if not definitions:
            self._refuse("no file here defines it")
        if len({v.source.path for v in definitions}) > 1:
            self._refuse("several files define it", self._place(definitions[-1]))
        if self.project.types.union(self.first.record or ""):
            self._refuse("it is in a union", self._place(self.first))
        for v in self.variables:
            text = v.source.data[v.node.start_byte : v.node.end_byte]
            if v.source.split(v.node) and v is not self.first:
                self._refuse("a directive stands in its declaration", self._place(v))
            if v.storage & {"const"} and not self.arrow:
                self._refuse("it is const: compilers call what it points to already", self._place(v))
            if v.storage & {"volatile", "_Atomic"}:
                self._refuse("it is volatile or _Atomic", self._place(v))
            if _THREAD.search(text):
                self._refuse("each thread has its own", self._place(v))
            line = Span(v.source.data.rfind(b"\n", 0, v.node.start_byte) + 1, v.node.end_byte)
            for word in v.source.hides(line):
                if any(b"static" in body for body in self.project.macros[word.text]):
                    self._refuse(f"it is declared with the macro {word.text}", self._place(v))
            if _REPLACED.search(text):
                self._refuse("it is declared with an attribute", self._place(v))
            if not v.extern and not v.source.path.endswith(".c"):
                self._refuse("a header defines it: each file that includes it may have its own", self._place(v))
            if self.arrow and not v.storage & {"const"}:
                for found in self.members.values():
                    found.conditions.append(Doubt("nothing changes the member in what it points to", self._place(v)))

    def _fixed(self, found: Finding) -> bool:
        """Whether it is reached by a pointer that only ever leads to one object, which is const."""
        at = self.first.declarator.value
        assigned = any(use.role is Role.ASSIGN for use in found.uses)
        own = self.arrow and "static" in self.first.storage
        return (
            own and not assigned and not found.refusals and at is not None and not self._doubt(self.first.source, at)
        )

    def _declare(self, name: str, found: Finding) -> None:
        """The keys stand behind the object's own declarations."""
        now = f"{self.first.name}{self.operator}{name}"
        initial = initial_values(self.project, self.first).get(name, Initial(why="it starts with what is not known"))
        for v in self.variables:
            role = Role.DEFINE if v is self.first else Role.DECLARE
            if role is Role.DECLARE:
                text = f"DECLARE_STATIC_CALL({found.key}, *{now});"
            elif initial.value:
                text = spelling.definition(found.key, initial.value, f"*{now}", f"__typeof__(&*{now})", self.project)
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
            found.use(
                role, self._place(v), None, [Edit(Span(v.node.end_byte, v.node.end_byte), b"\n" + text.encode())]
            )

    # ---- its places -------------------------------------------------------------------------------

    def _occurrence(self, one: Occurrence) -> None:
        node, source = one.node, one.source
        if node is None:
            if one.word.line is None:
                self._refuse("the syntax around it is not understood", one.place)
                return
            deed, member = seen_in_macro(source, one.word, self.operator)
            if member in self.members:
                self._member(self.members[member], one, deed, None)
            elif not member and deed.deed is not Deed.ELSEWHERE:
                self._refuse(deed.why or f"the macro {one.word.macro} may change it", one.place)
            return
        if declaration_of(node):
            self._refuse("the name is declared again", one.place)
            return
        above = node.parent
        if above is not None and above.type == "field_expression" and above.child_by_field_name("argument") == node:
            field, operator = above.child_by_field_name("field"), above.child_by_field_name("operator")
            if field is None or operator is None or source.text(operator) != self.operator:
                self._refuse("the syntax around it is not understood", one.place)
            elif found := self.members.get(source.text(field)):
                self._member(found, one, seen(source, above), above)
            return
        self._whole(one, node, seen(source, node))

    def _member(self, found: Finding, one: Occurrence, deed: Seen, node: Node | None) -> None:
        key = found.key
        if deed.deed is Deed.CALL and deed.span:
            edits = [Edit(deed.span, f"static_call({key})".encode())]
            found.use(Role.CALL, one.place, node, edits, macro=one.word.macro)
        elif deed.deed is Deed.READ:
            found.use(Role.READ, one.place, node)
        elif deed.deed is Deed.ASSIGN and deed.span and deed.value and not self.arrow:
            value = value_of(one.source, deed.value, self.project)
            found.judge(value, one.place)
            start, end = deed.span.start, deed.span.end
            edits = [Edit(Span(start, start), f"static_call_update({key}, ".encode()), Edit(Span(end, end), b")")]
            found.use(Role.ASSIGN, one.place, node, edits, value.name)
        else:
            found.refuse(deed.why or _CHANGED, one.place)

    def _whole(self, one: Occurrence, node: Node, deed: Seen) -> None:
        if deed.deed is Deed.READ:
            called = spelling.callee(one.source, node)
            if called and not self.arrow and (called in self.project.macros or called.isupper()):
                self._refuse(f"the macro {called} may change it", one.place)
            for found in self.members.values():
                found.notes.append(Doubt("copied: calls through the copy stay as they are", one.place))
        elif deed.deed is Deed.ASSIGN and deed.value and deed.statement:
            self._assigned(one, node, deed.value, deed.statement)
        elif "operand of" not in deed.why or "asm" in deed.why:
            self._refuse(deed.why, one.place)

    def _assigned(self, one: Occurrence, node: Node, value: Node, statement: Node) -> None:
        block = next(a for a in ancestors(statement) if not a.type.startswith("preproc"))
        if block.type == "compound_statement":
            end = statement.end_byte
            start = one.source.data.rfind(b"\n", 0, statement.start_byte) + 1
            indent = re.match(rb"[ \t]*", one.source.data[start : statement.start_byte])
            form = b"\n" + (indent[0] if indent else b"") + b"static_call_update(%b, %b);"
        else:
            end, form = value.end_byte, b", static_call_update(%b, %b)"
        for name, found in self.members.items():
            now = f"{self.first.name}{self.operator}{name}"
            if self.arrow and (doubt := self._doubt(one.source, value)):
                found.conditions.append(Doubt(doubt, one.place))
            if self.arrow and not one.source.text(value).startswith("&"):
                now = f"{self.first.name} ? {now} : (void *)0"
            text = form % (found.key.encode(), now.encode())
            found.use(Role.ASSIGN, one.place, node, [Edit(Span(end, end), text)], one.source.text(value))

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
