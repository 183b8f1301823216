# SPDX-License-Identifier: MIT
"""What becomes of all that a program does with one pointer: which form each call and test takes, or why none will do.

Knows what can go wrong between two reads, and with an update that is refused. Must not know C's syntax. A test and a
call of a static call are two reads, and an update may come between them. So a key that may become NULL again is never
asked and then called: the test and its call become one call, or nothing is proposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from instrument.model import Edit, Span
from instrument.structure import function_name
from instrument.suggest import spelling
from instrument.suggest.accesses import Access, Made
from instrument.suggest.finding import Finding
from instrument.suggest.guards import Guard, guard, harmless
from instrument.suggest.model import Doubt, Role
from instrument.suggest.source import WRAPPERS, enclosed, span_of
from instrument.suggest.uses import READS, Deed
from instrument.suggest.values import Value, nullable, value_of

_UNMAPS = re.compile(rb"\b(dlclose|munmap|mprotect|mremap|FreeLibrary)\s*\(")
_ROLES = {Deed.CALL: Role.CALL, Deed.ASSIGN: Role.ASSIGN, Deed.TEST: Role.READ, Deed.READ: Role.READ}


@dataclass(slots=True)
class Pointer:
    """One pointer or member. `void` and `zero` tell what its functions return: nothing; what a call that returns 0
    can stand for. `member` is its text if it stays beside its key, `forwarded` that the key starts with a function
    that calls through it, `copied` that its object is read as a whole, `set` that it is set as one, `unset` that it
    may be NULL then."""

    initial: Value
    void: bool
    zero: bool
    member: str = ""
    forwarded: bool = False
    copied: bool = False
    set: bool = False
    unset: bool = False
    accesses: list[Access] = field(default_factory=list)
    others: list[Access] = field(default_factory=list)
    """Reads of what leads to it, which no edit changes."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A guard in the text with the accesses that test and call. `nothing` and `zero` hold of every guard that the
    preprocessor makes of it."""

    test: Access
    call: Access
    guard: Guard
    shift: int
    nothing: bool
    zero: bool


def settle(found: Finding, pointer: Pointer) -> bool:
    """Give `found` each access with its edit, or reasons against it; whether the key returns 0 where the pointer was
    NULL."""
    for access in pointer.accesses:
        if access.deed is Deed.REFUSED:
            found.refuse(access.why, access.place)
    return _Settling(found, pointer).settled()


class _Settling:
    def __init__(self, found: Finding, pointer: Pointer) -> None:
        self.found, self.pointer, self.project = found, pointer, found.project
        self.calls = [a for a in pointer.accesses if a.deed is Deed.CALL]
        self.reads = [a for a in pointer.accesses if a.deed in READS]
        self.assigns = [a for a in pointer.accesses if a.deed is Deed.ASSIGN]
        self.pairs = [pair for call in self.calls if (pair := self._pair(call)) is not None]
        self.again = pointer.unset or any(self._nullable(a) for a in self.assigns)

    def settled(self) -> bool:
        pointer = self.pointer
        zero = not pointer.void and self._zero()
        kept = self.pairs if zero else [p for p in self.pairs if pointer.void and p.nothing]
        tests = {pair.test.place for pair in kept}
        paired = {pair.call.place: pair for pair in kept}
        reads = [a for a in self.reads if a.place not in tests]
        calls = [a for a in self.calls if a.place not in paired]
        asked = any(made.seen.deed is Deed.TEST for a in (*self.reads, *pointer.others) for made in a.made)
        conditional = pointer.void and self.again and asked
        self._judge([*reads, *pointer.others], calls)
        self._rely(calls if not conditional else [], zero)
        for access in self.calls:
            self._use(access, self._called(access, paired.get(access.place), conditional))
        for access in self.reads:
            role = Role.TEST if access.place in tests else None
            form = b"static_call_query(%b)" % self.found.key.encode()
            self._use(access, [] if role else [Edit(access.span, form)], role)
        for access in self.assigns:
            self._assigned(access, zero)
        return zero

    # ---- guards -----------------------------------------------------------------------------------

    def _pair(self, call: Access) -> _Pair | None:
        """The guard around a call that stands in the text, if the preprocessor makes the same of it wherever it is
        compiled, and the arguments may be evaluated whether or not the pointer is set."""
        own = call.own
        around = guard(own.view.source, own.node) if own is not None else None
        if own is None or around is None:
            return None
        start = own.view.span(around.test).start
        test = next((a for a in self.reads if a.span.start == start and a.place.path == call.place.path), None)
        if test is None or test.compiled != call.compiled:
            return None
        guards: list[Guard] = []
        for made in call.made:
            each = guard(made.view.source, made.node)
            if each is None or not harmless(made.view, each.arguments, self.project.volatile):
                return None
            guards.append(each)
        tested = {(id(made.view.source), made.node.start_byte) for made in test.made}
        if tested != {(id(m.view.source), g.test.start_byte) for m, g in zip(call.made, guards, strict=True)}:
            return None
        nothing, zero = all(g.nothing for g in guards), all(g.zero for g in guards)
        return _Pair(test, call, around, own.view.shift, nothing, zero)

    def _zero(self) -> bool:
        """Whether the key can return 0 where the pointer was NULL: each test must have its call, whose result then
        comes to what the test does."""
        pointer = self.pointer
        return (
            pointer.zero
            and not pointer.copied
            and not pointer.set
            and not pointer.others
            and pointer.initial.kind in ("function", "null")
            and not pointer.forwarded
            and bool(self.pairs)
            and len(self.pairs) == len(self.reads)
            and all(pair.zero for pair in self.pairs)
            and all(self._zeroed(access) is not None for access in self.assigns)
        )

    # ---- assignments ------------------------------------------------------------------------------

    def _nullable(self, access: Access) -> bool:
        """Whether what is assigned may be NULL."""
        values = [(made.view.source, made.seen.value) for made in access.made]
        return any(value is None or nullable(source, value, self.project) for source, value in values)

    def _zeroed(self, access: Access) -> list[Edit] | None:
        """The edits that make of NULL in a value the function that returns 0."""
        own = access.own
        if own is None or own.seen.value is None:
            return None
        return spelling.zeroed(own.view, own.seen.value, self.project)

    def _assigned(self, access: Access, zero: bool) -> None:
        own = access.own
        if own is None or own.seen.node is None or own.seen.value is None:
            return
        value = value_of(own.view.source, own.seen.value, self.project)
        self.found.judge(value, access.place)
        spans = own.view.span(own.seen.node), own.view.span(own.seen.value)
        mirror = "" if zero else self.pointer.member
        edits = [*spelling.update(self.found.key, *spans, mirror), *((self._zeroed(access) or []) if zero else [])]
        self._use(access, edits, value=value.name)

    # ---- reads that belong together ---------------------------------------------------------------

    def _judge(self, reads: Sequence[Access], calls: Sequence[Access]) -> None:
        """Refuse a test and a call that a NULL may come between; name the condition for other pairs of reads."""
        reads = [a for a in reads if a.deed is not Deed.TYPE]
        if not self.assigns and not self.pointer.set:
            return
        tests = [a for a in reads if any(made.seen.deed is Deed.TEST for made in a.made)]
        through = [a for a in reads if any(made.seen.deed is Deed.CALL for made in a.made)]
        callers = through if self.pointer.void else [*through, *calls]
        if self.again and tests and callers:
            at = callers[0].place
            what = (
                f"it may become NULL between this test and the call at {at.path}:{at.line}, which are two reads then"
            )
            self.found.refuse(what, tests[0].place)
            return
        for one, other in _together(reads, calls, self.again):
            if self.again or one.deed is not Deed.TEST or other.deed not in (Deed.TEST, Deed.CALL):
                at = other.place
                what = f"nothing changes it between here and {at.path}:{at.line}, where it is read once more"
                self.found.conditions.append(Doubt(what, one.place, granted=False))
                return

    # ---- updates that are refused -----------------------------------------------------------------

    def _rely(self, calls: Sequence[Access], zero: bool) -> None:
        """Name the condition that updates succeed, where something relies on it."""
        null = self.pointer.initial.kind == "null" and not zero
        if null and calls and self.assigns:
            what = "its first update succeeds: until then it is NULL, and the call here is not tested"
            self.found.conditions.append(Doubt(what, calls[0].place))
        taken = ((a, name) for a in self.assigns for made in a.made if (name := _takes_away(made)))
        for assign, name in taken:
            what = f"the update succeeds before {name}() takes away what the pointer led to"
            self.found.conditions.append(Doubt(what, assign.place))
        for assign in self.assigns:
            for access in (*self.calls, *self.reads):
                if _follows(access, assign):
                    at = access.place
                    what = f"the update succeeds: what follows at {at.path}:{at.line} relies on it"
                    self.found.conditions.append(Doubt(what, assign.place))
                    return

    # ---- edits ------------------------------------------------------------------------------------

    def _called(self, access: Access, pair: _Pair | None, conditional: bool) -> list[Edit]:
        key, void = self.found.key, self.pointer.void
        form = f"static_call_cond({key})" if void and (pair or conditional) else f"static_call({key})"
        edits = [Edit(access.span, form.encode())]
        if pair is not None:
            start, end = (at + pair.shift for at in pair.guard.whole)
            kept = span_of(pair.guard.kept)
            first = Span(start, kept.start + pair.shift)
            last = Span(kept.end + pair.shift, end)
            edits += [Edit(gone, b"") for gone in (first, last) if gone.start < gone.end]
        return edits

    def _use(self, access: Access, edits: Sequence[Edit], role: Role | None = None, value: str = "") -> None:
        node = access.own.node if access.own is not None else None
        role = role or _ROLES.get(access.deed, Role.READ)
        self.found.use(role, access.place, node, sorted(edits, key=lambda e: e.span.start), value, access.macro)


def _together(reads: Sequence[Access], calls: Sequence[Access], again: bool) -> Iterator[tuple[Access, Access]]:
    """Pairs of a read and another read or call in one function, or in any where it may be inlined. Compilers inline
    what does no more than return the pointer, for which a caller may test that it is not NULL `again`."""
    for one in reads:
        for other in (*reads, *calls):
            if one is not other and any(_same(a, b, again) for a in one.made for b in other.made):
                yield one, other
        where = [_where(made) for made in one.made if made.seen.deed is not Deed.TYPE]
        if len(set(where)) < len(where):
            yield one, one


def _same(one: Made, other: Made, again: bool) -> bool:
    return _where(one) == _where(other) or _inline(one) or (again and _returned(one))


def _returned(made: Made) -> bool:
    _, above = enclosed(made.node, WRAPPERS)
    return above is not None and above.type == "return_statement"


def _where(made: Made) -> tuple[int, str | None]:
    function = made.function
    return id(made.view.source), function_name(function) if function is not None else None


def _inline(made: Made) -> bool:
    function = made.function
    head = function.text[: function.text.index(b"{")] if function is not None and function.text else b""
    return b"inline" in head


def _follows(access: Access, assign: Access) -> bool:
    return any(_where(a) == _where(b) and _end(b) <= a.node.start_byte for a in access.made for b in assign.made)


def _takes_away(made: Made) -> str | None:
    """What is called behind an assignment that may unmap the function which was called until then."""
    function = made.function
    end = function.end_byte if function is not None else 0
    m = _UNMAPS.search(made.view.source.data, _end(made), max(end, _end(made)))
    return m[1].decode() if m else None


def _end(made: Made) -> int:
    return made.seen.node.end_byte if made.seen.node is not None else made.node.end_byte
