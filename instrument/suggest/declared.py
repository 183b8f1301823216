# SPDX-License-Identifier: MIT
"""What the files declare at file scope: function pointers, objects with such members, and the types of both.

Knows C's declarations as tree-sitter has them. Must not know what is done with what is declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from instrument.suggest.forward import Prototype, prototype
from instrument.suggest.source import Source

if TYPE_CHECKING:
    from tree_sitter import Node

_T = TypeVar("_T")

_DECLARATORS = {
    "pointer_declarator": "pointer",
    "function_declarator": "function",
    "array_declarator": "array",
    "parenthesized_declarator": None,
    "attributed_declarator": None,
    "init_declarator": None,
}
_INTEGER = re.compile(
    r"(?:(?:un)?signed|char|short|int|long|_Bool|bool|s?size_t|ptrdiff_t|u?int(?:8|16|32|64|max|ptr)_t|\s)+"
)
_CHAIN = 9
"""How many typedefs of typedefs are followed."""
_NAMES = frozenset(("identifier", "field_identifier", "type_identifier"))
_RECORDS = frozenset(("struct_specifier", "union_specifier"))
_SCALARS = frozenset(("primitive_type", "sized_type_specifier", "enum_specifier"))
_SPECIFIERS = frozenset(("storage_class_specifier", "type_qualifier", "attribute_specifier", "attribute_declaration"))


@dataclass(frozen=True, slots=True)
class Declarator:
    """`shape` is read from the name outwards: ("pointer", "function") is a pointer to a function. `inner` is the
    pointer_declarator around the name, if that is the first of it."""

    name: Node
    shape: tuple[str, ...]
    inner: Node | None
    value: Node | None


@dataclass(frozen=True, slots=True)
class FunctionType:
    """`pointer` tells a pointer to a function from a function; `void` that it returns nothing, `zero` that it returns
    what a function that returns the integer 0 does as well: an integer or a pointer."""

    pointer: bool
    void: bool
    zero: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A member that a directive may take away has no name, nor has what else stands there. `scalar` tells that one
    initialiser without braces is for it alone."""

    name: str
    type: FunctionType | None
    scalar: bool = False
    prototype: Prototype | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """One declaration of a variable. `alone` tells that it has its declaration to itself, `type` what it is if it
    has to do with functions, `record` the type's name if it is a struct or union, else None."""

    name: str
    source: Source
    node: Node
    declarator: Declarator
    storage: frozenset[str]
    alone: bool
    type: FunctionType | None = None
    record: str | None = None

    @property
    def extern(self) -> bool:
        """Whether it is but a declaration."""
        return "extern" in self.storage and self.declarator.value is None


@dataclass(slots=True)
class Types:
    """By name. `records` has "struct tag", "union tag" and the names that typedef gives; what two files declare in
    two ways is None. `unions` are the names of unions in it."""

    functions: dict[str, FunctionType | None] = field(default_factory=dict)
    records: dict[str, tuple[Member, ...] | None] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    unions: set[str] = field(default_factory=set)

    def union(self, name: str) -> bool:
        for _ in range(_CHAIN):
            name = self.same.get(name, name)
        return name in self.unions

    def record(self, name: str) -> tuple[Member, ...] | None:
        for _ in range(_CHAIN):
            if name in self.records or name not in self.same:
                break
            name = self.same[name]
        return self.records.get(name)

    def function(self, name: str) -> FunctionType | None:
        for _ in range(_CHAIN):
            if name in self.functions or name not in self.same:
                break
            name = self.same[name]
        return self.functions.get(name)


def declarator(node: Node) -> Declarator | None:
    """What `node`, the declarator of some declaration, declares."""
    shape: list[str] = []
    value = node.child_by_field_name("value") if node.type == "init_declarator" else None
    inner, at = None, node
    while at.type not in _NAMES:
        if at.type not in _DECLARATORS:
            return None
        if kind := _DECLARATORS[at.type]:
            shape.insert(0, kind)
            inner = at if kind == "pointer" else None
        below = at.child_by_field_name("declarator") or next(
            (c for c in at.named_children if c.type in _DECLARATORS or c.type in _NAMES), None
        )
        if below is None:
            return None
        at = below
    return Declarator(at, tuple(shape), inner, value)


def types(sources: Sequence[Source]) -> Types:
    """The types that all files together declare."""
    found = Types()
    nodes = [(source, node) for source in sources for node in source.externals()]
    for source, node in nodes:
        if node.type == "type_definition":
            _typedef(source, node, found)
    for source, node in nodes:
        for record in _records(node):
            names = [_tag(source, record)]
            if node.type == "type_definition":
                each = node.children_by_field_name("declarator")
                names += [source.text(one) for one in each if one.type == "type_identifier"]
            for name in names:
                _note(found.records, name, _members(source, record, found))
                if record.type == "union_specifier":
                    found.unions.add(name)
    return found


def variables(source: Source, found: Types) -> Iterator[Variable]:
    """The function pointers, records and pointers to records that a file declares at file scope."""
    for node in source.externals():
        base = node.child_by_field_name("type")
        if node.type != "declaration" or base is None:
            continue
        declarators = node.children_by_field_name("declarator")
        for each in declarators:
            declared = declarator(each)
            if declared is None:
                continue
            kind = _function_type(source, base, declared.shape, found)
            name = _type_name(source, base)
            record = name if found.record(name) or base.type in _RECORDS else None
            if declared.shape[:1] != ("function",) and (kind or record or "function" in declared.shape):
                text = source.text(declared.name)
                storage = _storage(source, node)
                yield Variable(text, source, node, declared, storage, len(declarators) == 1, kind, record)


def _storage(source: Source, node: Node) -> frozenset[str]:
    """Every word of the specifiers that is no type."""
    words = {source.text(child) for child in node.children if child.type in _SPECIFIERS}
    return frozenset(word.split("(")[0].strip() for word in words)


def _note(table: dict[str, _T | None], name: str, value: _T) -> None:
    table[name] = value if table.get(name, value) == value else None


def _typedef(source: Source, node: Node, found: Types) -> None:
    base = node.child_by_field_name("type")
    for each in node.children_by_field_name("declarator"):
        declared = declarator(each)
        if declared is None or base is None:
            continue
        name = source.text(declared.name)
        if kind := _function_type(source, base, declared.shape, found):
            _note(found.functions, name, kind)
        elif not declared.shape:
            found.same.setdefault(name, _type_name(source, base))


def _function_type(source: Source, base: Node, shape: tuple[str, ...], found: Types) -> FunctionType | None:
    """A function, or a pointer to one; nothing else."""
    name = _type_name(source, base)
    depth = 1 if shape[:1] == ("function",) else 2 if shape[:2] == ("pointer", "function") else 0
    if depth:
        result = shape[depth:]
        zero = result[:1] == ("pointer",) or (not result and _integer(base, name, found))
        return FunctionType(depth == 2, name == "void" and not result, zero)
    known = found.function(name) if base.type == "type_identifier" else None
    if known is None or (shape and (shape != ("pointer",) or known.pointer)):
        return None
    return FunctionType(known.pointer or bool(shape), known.void, known.zero)


def _integer(base: Node, name: str, found: Types) -> bool:
    """Whether a type is one of C's integers, of 64 bits at most."""
    if base.type == "enum_specifier":
        return True
    for _ in range(_CHAIN):
        if name not in found.same:
            break
        name = found.same[name]
    return _INTEGER.fullmatch(name) is not None


def _type_name(source: Source, base: Node) -> str:
    if base.type in _RECORDS:
        return _tag(source, base)
    return source.text(base)


def _tag(source: Source, record: Node) -> str:
    """A record without a tag has its place for a name."""
    name = record.child_by_field_name("name")
    kind = "struct" if record.type == "struct_specifier" else "union"
    return f"{kind} {source.text(name)}" if name else f"{kind} @{source.path}:{record.start_byte}"


def _records(node: Node) -> Iterator[Node]:
    """The records whose members `node`, a declaration at file scope, lists itself."""
    base = node if node.type in _RECORDS else node.child_by_field_name("type")
    if base is not None and base.type in _RECORDS and base.child_by_field_name("body"):
        yield base


def _members(source: Source, record: Node, found: Types) -> tuple[Member, ...]:
    body = record.child_by_field_name("body")
    members: list[Member] = [Member("", None)] if source.split(record) else []
    for each in body.named_children if body else ():
        base = each.child_by_field_name("type")
        if each.type == "comment":
            continue
        if each.type != "field_declaration" or base is None:
            members.append(Member("", None))
            continue
        for part in each.children_by_field_name("declarator"):
            declared = declarator(part)
            if declared is not None:
                kind = _function_type(source, base, declared.shape, found)
                scalar = bool(kind) or declared.shape[:1] == ("pointer",) or base.type in _SCALARS
                scalar = scalar and declared.shape[:1] != ("array",)
                members.append(_member(source, each, part, declared, kind if kind and kind.pointer else None, scalar))
    return tuple(members)


def _member(
    source: Source, field: Node, part: Node, declared: Declarator, kind: FunctionType | None, scalar: bool
) -> Member:
    known = None
    if kind and declared.inner and declared.shape[:2] == ("pointer", "function"):
        known = prototype(source, field, part, declared.inner, kind.void)
    return Member(source.text(declared.name), kind, scalar, known)
