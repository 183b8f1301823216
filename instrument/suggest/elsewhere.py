# SPDX-License-Identifier: MIT
"""Calls through what is no candidate, for a pointer that is not listed would seem not to be there.

Knows C's expressions. What it finds is told and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrument.model import Place
from instrument.structure import callees
from instrument.suggest.model import Candidate
from instrument.suggest.project import Project
from instrument.suggest.source import Source, function_of

if TYPE_CHECKING:
    from tree_sitter import Node

_OBJECT = "members of an object that a pointer leads to, of which there may be many"
_INNER = "members of a member or of an array's element"
_ELEMENT = "elements of an array"
_LOCAL = "members of an object of a function, or of one whose type is not known"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """`name` is what is called, `calls` how often, `place` the first of them."""

    name: str
    why: str
    calls: int
    place: Place


def elsewhere(project: Project, candidates: Sequence[Candidate]) -> list[Elsewhere]:
    """Those called at most places first."""
    known = {use.place for candidate in candidates for use in candidate.uses}
    places: dict[tuple[str, str], list[Place]] = {}
    for source in project.sources.values():
        for node in _callees(source):
            place = source.place(node.start_byte)
            if place not in known:
                places.setdefault(_told(project, source, node), []).append(place)
    found = [Elsewhere(name, why, len(at), at[0]) for (name, why), at in places.items()]
    return sorted(found, key=lambda one: (-one.calls, one.place.path, one.place.line))


def _callees(source: Source) -> Iterator[Node]:
    """What is called by more than a name."""
    for root in source.roots:
        for callee in callees(root):
            inner: Node | None = callee
            while inner is not None and inner.type in ("parenthesized_expression", "pointer_expression"):
                inner = inner.child_by_field_name("argument") or next(iter(inner.named_children), None)
            if inner is not None and inner.type in ("field_expression", "subscript_expression"):
                yield inner


def _told(project: Project, source: Source, node: Node) -> tuple[str, str]:
    argument = node.child_by_field_name("argument")
    if node.type == "subscript_expression":
        return f"{_text(source, argument)}[]", _ELEMENT
    field, operator = node.child_by_field_name("field"), node.child_by_field_name("operator")
    name = source.text(field) if field is not None else ""
    if operator is not None and source.text(operator) == "->":
        return f"->{name}", _OBJECT
    if argument is not None and argument.type == "identifier" and function_of(node) is not None:
        return f".{name}", _LOCAL
    return f"{_text(source, argument)}.{name}", _INNER


def _text(source: Source, node: Node | None) -> str:
    """Of what is called, without what tells one element from another."""
    if node is not None and node.type == "subscript_expression":
        return f"{_text(source, node.child_by_field_name('argument'))}[]"
    return "".join(source.text(node).split()) if node is not None else ""
