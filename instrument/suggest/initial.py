# SPDX-License-Identifier: MIT
"""What the members of an object start with. Knows C's initialisers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrument.suggest.declared import Member, Variable
from instrument.suggest.project import Project
from instrument.suggest.values import Value, value_of

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True, slots=True)
class Initial:
    """`why` tells why `value` is None."""

    value: Value | None = None
    why: str = ""


def initial_values(project: Project, v: Variable) -> dict[str, Initial]:
    """By the name of each member that is a function pointer, for an object or a pointer to one."""
    node = v.declarator.value
    if v.declarator.shape == ("pointer",) and node is not None:
        text = v.source.text(node)
        pointed = [o for o in project.variables if o.name == text.removeprefix("&").strip() and o.source is v.source]
        pointed = [o for o in pointed if o.declarator.shape == () and o.declarator.value is not None]
        if not text.startswith("&") or not pointed:
            return _all(
                project, v, Initial(Value("null")) if value_of(v.source, node, project).kind == "null" else None
            )
        v, node = pointed[0], pointed[0].declarator.value
    if node is None:
        return _all(project, v, Initial(Value("null")))
    if node.type != "initializer_list" or v.source.split(node):
        return _all(project, v, None)
    return _listed(project, v, node)


def _members(project: Project, v: Variable) -> tuple[Member, ...]:
    return project.types.record(v.record or "") or ()


def _all(project: Project, v: Variable, initial: Initial | None) -> dict[str, Initial]:
    unknown = Initial(why="it starts with what is not known")
    return {member.name: initial or unknown for member in _members(project, v) if member.type}


def _listed(project: Project, v: Variable, node: Node) -> dict[str, Initial]:
    members = _members(project, v)
    values = {member.name: Initial(Value("null")) for member in members if member.type}
    at, certain = 0, True
    for item in node.named_children:
        if item.type == "comment":
            continue
        value: Node | None = item
        if item.type == "initializer_pair":
            designators = item.children_by_field_name("designator")
            name = v.source.text(designators[0]).removeprefix(".").strip() if designators else ""
            at = next((i for i, member in enumerate(members) if member.name == name), -1)
            if len(designators) != 1 or at < 0:
                return _all(project, v, None)
            value, certain = item.child_by_field_name("value"), True
        if at >= len(members) or not members[at].name or not certain:
            return _all(project, v, None)
        # Braces may be left out, and then one member takes several initialisers.
        certain = members[at].scalar or (value is not None and value.type == "initializer_list")
        if members[at].name in values:
            values[members[at].name] = _initial(project, v, value)
        at += 1
    return values


def _initial(project: Project, v: Variable, node: Node | None) -> Initial:
    value = value_of(v.source, node, project)
    if value.why or value.kind not in ("function", "null"):
        return Initial(why=value.why or "it starts with a value that is no function's name")
    return Initial(value)
