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
from instrument.suggest.project import Project, declaration_of
from instrument.suggest.source import Source, ancestors, function_of, span_of
from instrument.suggest.values import Value

if TYPE_CHECKING:
    from tree_sitter import Node

_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include\b[^\n]*\n", re.MULTILINE)
_BRANCH = re.compile(rb"^[ \t]*#[ \t]*(if|endif)", re.MULTILINE)
_LEADING = re.compile(rb"(?:\s|/\*[\s\S]*?\*/|//[^\n]*\n)*")
_GUARD = re.compile(
    rb"#[ \t]*ifndef[ \t]+(\w+)\s*\n\s*#[ \t]*define[ \t]+\1\b[^\n]*\n|#[ \t]*pragma[ \t]+once[^\n]*\n"
)
_LITERALS = frozenset(("number_literal", "string_literal", "char_literal", "null", "true", "false"))
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
    at = guard.end() if guard else data.rfind(b"\n", 0, at) + 1
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


def define(key: str, v: Variable, initial: Value, project: Project) -> str:
    cast = pointer_type(v)
    return definition(key, initial, f"*({cast})0", cast, project)


def definition(key: str, initial: Value, function: str, cast: str, project: Project) -> str:
    """`function` has the key's type, and `cast` is the type of a pointer to it, for a first function whose own type
    says more than that, or less."""
    if initial.kind != "function":
        return f"DEFINE_STATIC_CALL_NULL({key}, {function});"
    first = initial.name if project.plain(initial.name) else f"*({cast}){initial.name}"
    return f"DEFINE_STATIC_CALL({key}, {first});"


# ---- statements -----------------------------------------------------------------------------------


def update(key: str, assignment: Span, value: Span) -> list[Edit]:
    """`p = f` becomes `static_call_update(p, f)`; edits inside of f stay possible."""
    return [
        Edit(Span(assignment.start, value.start), f"static_call_update({key}, ".encode()),
        Edit(Span(assignment.end, assignment.end), b")"),
    ]


def guarded(source: Source, node: Node, name: str, project: Project) -> Node | None:
    """The `if (name) name(...);` around the call at `node`, if static_call_cond() can stand for all of it: it
    evaluates the arguments either way, so they must not matter."""
    for above in ancestors(node):
        if above.type == "if_statement":
            return above if _call_in(source, above, name, project) == node.start_byte else None
        if above.type in ("function_definition", "for_statement", "while_statement", "do_statement"):
            break
    return None


def tests_guard(source: Source, node: Node, name: str, project: Project) -> bool:
    """Whether the read at `node` is the test of such an if."""
    for above in ancestors(node):
        if above.type == "if_statement":
            condition = above.child_by_field_name("condition")
            inside = condition is not None and condition.start_byte <= node.start_byte < condition.end_byte
            return inside and _call_in(source, above, name, project) is not None
        if above.type == "compound_statement":
            break
    return False


def conditional(key: str, guard: Node, callee: Span) -> list[Edit]:
    """The edits that leave of an if only its call."""
    body = guard.child_by_field_name("consequence")
    assert body is not None
    statement = next(c for c in body.named_children) if body.type == "compound_statement" else body
    edits = [Edit(Span(guard.start_byte, callee.end), f"static_call_cond({key})".encode())]
    if statement.end_byte < guard.end_byte:
        edits.append(Edit(Span(statement.end_byte, guard.end_byte), b""))
    return edits


def _call_in(source: Source, guard: Node, name: str, project: Project) -> int | None:
    """Where `name` starts in the call of `if (name) name(...);`."""
    condition, body = guard.child_by_field_name("condition"), guard.child_by_field_name("consequence")
    if (
        condition is None
        or body is None
        or guard.child_by_field_name("alternative")
        or _commented(guard)
        or source.split(guard)
    ):
        return None
    test = "".join(source.text(condition).split())
    escaped = re.escape(name)
    if not re.fullmatch(rf"\((?:{escaped}|{escaped}!=(?:NULL|0)|(?:NULL|0)!={escaped})\)", test):
        return None
    if body.type == "compound_statement":
        if body.named_child_count != 1:
            return None
        body = body.named_children[0]
    call = body.named_children[0] if body.type == "expression_statement" and body.named_child_count == 1 else None
    if call is None or call.type != "call_expression":
        return None
    callee, arguments = call.child_by_field_name("function"), call.child_by_field_name("arguments")
    if callee is None or arguments is None or not re.fullmatch(rf"\(*\**{escaped}\)*", source.text(callee)):
        return None
    if not all(_harmless(source, one, project) for one in arguments.named_children):
        return None
    return callee.start_byte + source.text(callee).index(name)


def _commented(node: Node) -> bool:
    return node.type == "comment" or any(_commented(child) for child in node.children)


def _harmless(source: Source, node: Node, project: Project) -> bool:
    """Whether evaluating an argument has no effect and cannot fail, whatever the pointer is."""
    if node.type in _LITERALS:
        return True
    if node.type == "identifier":
        return source.text(node) not in project.macros and _readable(source, node, project)
    if node.type == "cast_expression":
        value = node.child_by_field_name("value")
        return value is not None and _harmless(source, value, project)
    if node.type == "pointer_expression" and source.text(node).startswith("&"):
        argument = node.child_by_field_name("argument")
        return argument is not None and argument.type == "identifier"
    return False


def _readable(source: Source, node: Node, project: Project) -> bool:
    """Whether reading the variable `node` has no effect and it has a value: a block may give it one only where the
    pointer is set."""
    name = node.text or b""
    function = function_of(node)
    for word in source.words_in(span_of(function)) if function is not None else ():
        leaf = source.leaf(word) if word.text.encode() == name else None
        declares = declaration_of(leaf) if leaf is not None else None
        if declares is None or declares.type == "function_definition":
            continue
        text = source.data[declares.start_byte : declares.end_byte]
        valued = declares.type != "declaration" or re.search(
            rb"\b%b\s*[=[]|\bstatic\b|\bextern\b" % re.escape(name), text
        )
        return bool(valued) and b"volatile" not in text
    volatile = re.compile(rb"\bvolatile\b[^;{}()]*\b%b\b" % re.escape(name))
    return not any(volatile.search(each.data) for each in project.sources.values() if name.decode() in each.named)


def callee(source: Source, node: Node) -> str | None:
    """The name that is called with `node` in its arguments."""
    for above in ancestors(node):
        if above.type == "call_expression":
            named = above.child_by_field_name("function")
            return source.text(named) if named is not None else None
        if above.type in ("expression_statement", "compound_statement"):
            break
    return None
