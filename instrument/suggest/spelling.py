# SPDX-License-Identifier: MIT
"""How a static call is written in place of a pointer's declaration, test and assignment.

Knows the API of static_call.h and C's declarators. Must not know whether an edit is right.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from instrument.model import Edit, Span
from instrument.suggest.declared import Variable
from instrument.suggest.forward import flat
from instrument.suggest.project import Project
from instrument.suggest.scopes import own
from instrument.suggest.source import Source, View, ancestors, bare, line_start
from instrument.suggest.uses import NULL
from instrument.suggest.values import Value, nullable

if TYPE_CHECKING:
    from tree_sitter import Node

_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include\b[^\n]*\n", re.MULTILINE)
_BRANCH = re.compile(rb"^[ \t]*#[ \t]*(if|endif)", re.MULTILINE)
_LEADING = re.compile(rb"(?:\s|/\*[\s\S]*?\*/|//[^\n]*\n)*")
_GUARD = re.compile(
    rb"#[ \t]*ifndef[ \t]+(\w+)\s*\n\s*#[ \t]*define[ \t]+\1\b[^\n]*\n|#[ \t]*pragma[ \t]+once[^\n]*\n"
)
_ZERO = b"(void *)__static_call_return0"
_LINE = b"#include <static_call.h>\n"


# ---- the header -----------------------------------------------------------------------------------


def include(source: Source) -> tuple[Edit, ...]:
    """Behind the last #include that no condition but the header's own guard surrounds, before the first
    declaration."""
    data = source.data
    if re.search(rb"^[ \t]*#[ \t]*include[ \t]*[<\"]static_call\.h[>\"]", data, re.MULTILINE):
        return ()
    leading = _LEADING.match(data)
    at = leading.end() if leading else 0
    guard = _GUARD.match(data, at)
    at = guard.end() if guard else line_start(data, at)
    depth = 0
    first = next(
        (n.start_byte for n in source.externals() if n.type in ("declaration", "function_definition")), len(data)
    )
    for m in sorted((*_INCLUDE.finditer(data, at), *_BRANCH.finditer(data, at)), key=lambda m: m.start()):
        if m.start() > first:
            break
        if m.re is _BRANCH:
            depth += 1 if m[1] == b"if" else -1
        elif depth == 0:
            at = m.end()
    return (Edit(Span(at, at), _LINE),)


# ---- declarations ---------------------------------------------------------------------------------


def pointer_type(v: Variable) -> str:
    """The type of a pointer to a function, as a cast takes it."""
    source = v.source
    specifiers = [
        source.text(child)
        for child in v.node.children
        if child.type not in ("storage_class_specifier", ";", ",", "comment") and child.end_byte <= _start(v)
    ]
    base = flat(" ".join(specifiers))
    if not v.declarator.shape:
        return base
    if v.declarator.inner is None or v.declarator.shape == ("pointer",):
        return f"{base} *"
    held = v.declarator.inner.parent
    whole = _declarator(v)
    assert held is not None
    data = source.data
    around = [data[whole.start_byte : held.start_byte], data[held.end_byte : whole.end_byte]]
    before, after = (text.decode("utf-8", "surrogateescape") for text in around)
    return flat(f"{base} {before}(*){after}")


def _declarator(v: Variable) -> Node:
    node = v.node.children_by_field_name("declarator")[0]
    return (node.child_by_field_name("declarator") or node) if node.type == "init_declarator" else node


def _start(v: Variable) -> int:
    return _declarator(v).start_byte


def declare(key: str, v: Variable) -> str:
    """By the pointer's type: with a bare function's, clang 16 never ends."""
    return f"DECLARE_STATIC_CALL({key}, *({pointer_type(v)})0);"


def define(key: str, v: Variable, initial: Value, zero: bool, project: Project) -> str:
    cast = pointer_type(v)
    return definition(key, initial, f"*({cast})0", cast, zero, project)


def definition(key: str, initial: Value, function: str, cast: str, zero: bool, project: Project) -> str:
    """`function` has the key's type, and `cast` is the type of a pointer to it, for a first function whose own type
    says more than that, or less. `zero` tells that the key returns 0 where it starts with NULL."""
    if initial.kind != "function":
        return f"DEFINE_STATIC_CALL_{'RET0' if zero else 'NULL'}({key}, {function});"
    plain = project.plain(initial.name) and not initial.cast
    first = initial.name if plain else f"*({cast}){initial.name}"
    return f"DEFINE_STATIC_CALL({key}, {first});"


# ---- statements -----------------------------------------------------------------------------------


def update(key: str, assignment: Span, value: Span, member: str) -> list[Edit]:
    """`p = f` becomes `static_call_update(p, f)`, and a `member` takes what its key has then; edits inside of f stay
    possible."""
    start = value.start if member else assignment.start
    behind = f") ? {member} : static_call_query({key})" if member else ")"
    return [
        Edit(Span(start, value.start), f"static_call_update({key}, ".encode()),
        Edit(Span(assignment.end, assignment.end), behind.encode()),
    ]


def zeroed(view: View, value: Node, project: Project) -> list[Edit] | None:
    """The edits that make a value that is NULL the function that returns 0, None if it cannot be told which is."""
    source = view.source
    if NULL.fullmatch(source.text(value)):
        return [Edit(view.span(value), _ZERO)]
    if (inner := bare(value)) != value:
        return zeroed(view, inner, project)
    if value.type == "conditional_expression":
        arms = [value.child_by_field_name(name) for name in ("consequence", "alternative")]
        edits = [zeroed(view, arm, project) if arm is not None else None for arm in arms]
        return None if None in edits else [edit for each in edits for edit in each or ()]
    if not nullable(source, value, project):
        return []
    if value.type == "identifier" and own(source, value):
        name = source.text(value).encode()
        return [Edit(view.span(value), b"(%b ? %b : %b)" % (name, name, _ZERO))]
    return None


def callee(source: Source, node: Node) -> str | None:
    """The name that is called with `node` in its arguments."""
    for above in ancestors(node):
        if above.type == "call_expression":
            named = above.child_by_field_name("function")
            return source.text(named) if named is not None else None
        if above.type in ("expression_statement", "compound_statement"):
            break
    return None
