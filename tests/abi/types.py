# SPDX-License-Identifier: MIT
"""C types as plain values, and how they are written down.

A declaration is a text with `#` where the declared name goes and `@` where the type's own tag or typedef name goes,
so that arrays of function pointers need no declarator printer. Two equal types are one type and share a definition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Bytes(StrEnum):
    """Which bytes of an object hold its value: the names of harness.h's kinds of leaves."""

    ALL = "SC_ALL"
    BOOL = "SC_BOOL"
    X87 = "SC_X87"
    """Ten of every sixteen."""


class Class(StrEnum):
    """What the psABI makes of an eightbyte, as far as `ordinary` types go."""

    INTEGER = "INTEGER"
    SSE = "SSE"
    MEMORY = "MEMORY"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Atom:
    """Anything that is not a struct or union.

    `ordinary` tells that every compiler passes it the same way, so that the inline form has to carry it;
    `live` is a pointer to memory that the callee reads and writes; `small` is narrower than an int register;
    `mmx` may leave the x87 unit in MMX state, even in an ordinary call.
    """

    declared: str
    size: int
    cls: Class
    definition: str = ""
    bytes: Bytes = Bytes.ALL
    ordinary: bool = True
    live: bool = False
    small: bool = False
    mmx: bool = False
    bits: int = 0
    """How wide a bit-field of this type can be; 0 where it cannot be one."""
    promoted: bool = True
    """Unchanged by the default argument promotions."""
    atomic: bool = False
    """May carry _Atomic."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member; `bits` makes it a bit-field (unnamed if `name` is empty), `length` None a flexible array."""

    type: Type
    name: str
    lengths: tuple[int | None, ...] = ()
    bits: int | None = None
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """`odd` tells that compilers may disagree about it, or that it is packed, over-aligned or empty."""

    kind: str
    members: tuple[Member, ...]
    attribute: str = ""
    typedef: bool = False
    odd: bool = False

    @property
    def declared(self) -> str:
        return "@ #" if self.typedef else f"{self.kind} @ #"


Type = Atom | Record
VOID = Atom("void #", 0, Class.OTHER)


@dataclass(slots=True)
class Names:
    """The definitions of a program in their order, each under a name of its own."""

    given: dict[Type, str] = field(default_factory=dict)
    definitions: list[str] = field(default_factory=list)

    def declare(self, t: Type, name: str, text: str = "") -> str:
        """A declaration of `name`, by `text` where it is not just the type's own."""
        declared = text or t.declared
        tag = self.of(t) if "@" in declared else ""
        return declared.replace("@", tag).replace("#", name).rstrip()

    def of(self, t: Type) -> str:
        if t not in self.given:
            body = t.definition if isinstance(t, Atom) else self._record(t)
            self.given[t] = f"T{len(self.given)}"
            self.definitions.append(body.replace("@", self.given[t]) + ";")
        return self.given[t]

    def _record(self, t: Record) -> str:
        body = f"{{ {self._members(t)} }}{t.attribute}"
        # The attribute goes to the record, not to the typedef: behind the brace it is the record's.
        return f"typedef {t.kind} {body} @" if t.typedef else f"{t.kind} @ {body}"

    def _members(self, t: Record) -> str:
        return " ".join(self._member(m) for m in t.members)

    def _member(self, m: Member) -> str:
        if isinstance(m.type, Record) and not m.name and m.bits is None:
            return f"{m.type.kind} {{ {self._members(m.type)} }}{m.type.attribute};"
        dims = "".join(f"[{'' if n is None else n}]" for n in m.lengths)
        bits = "" if m.bits is None else f" : {m.bits}"
        return f"{self.declare(m.type, m.name + dims)}{bits}{m.attribute};"


def leaves(t: Type, path: str = "") -> list[tuple[str, Bytes]]:
    """The members that hold value bytes, bit-fields left out, each by its path from `t`."""
    if isinstance(t, Atom):
        return [(path, t.bytes)]
    found: list[tuple[str, Bytes]] = []
    for m in t.members:
        if m.bits is None:
            for inner in _elements(m, path):
                found += leaves(m.type, inner)
    return found


def bitfields(t: Type, path: str = "") -> list[str]:
    """The paths of the named bit-fields."""
    if isinstance(t, Atom):
        return []
    found: list[str] = []
    for m in t.members:
        if m.bits is not None:
            found += [f"{path}.{m.name}".lstrip(".")] if m.name else []
            continue
        for inner in _elements(m, path):
            found += bitfields(m.type, inner)
    return found


def _elements(m: Member, path: str) -> list[str]:
    """The paths of an array's elements, the array's own where all its bytes are alike."""
    if None in m.lengths or 0 in m.lengths:
        return []
    whole = f"{path}.{m.name}".strip(".") if m.name else path
    if isinstance(m.type, Atom):
        return [whole]
    paths = [whole]
    for length in m.lengths:
        assert length is not None
        paths = [f"{one}[{n}]" for one in paths for n in range(length)]
    return paths


def any_atom(t: Type, what: str) -> bool:
    """Whether any atom in `t` has the flag `what`."""
    if isinstance(t, Atom):
        return bool(getattr(t, what))
    return any(any_atom(m.type, what) for m in t.members)
