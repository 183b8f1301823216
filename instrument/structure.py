# SPDX-License-Identifier: MIT
"""What surrounds a place in a C file: its function, that function's instruction set, an unevaluated operand.

Knows tree-sitter's C grammar. Must not know what stands at the place or how far it reaches: tree-sitter
misreads some correct C, so an answer from here may describe a site but never make or move one. Where it
says that it failed, the answer is that nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node

_TARGET = re.compile(rb'(?<!\w)(?:__)?(target(?:_clones)?)(?:__)?\s*(\((?:\s|\\\n|,|"[^"\n]*")+\))')
_PRAGMA = re.compile(
    rb"\s*(?:GCC\s+(?P<gcc>push_options|pop_options|reset_options|target)\b|clang\s+attribute\b[^(]*?\b(?P<clang>push|pop)\b)"
)
_TYPEOF = frozenset((b"typeof", b"__typeof__", b"__typeof", b"typeof_unqual"))
_MACROS = frozenset(("preproc_def", "preproc_function_def", "preproc_call", "preproc_arg"))


@dataclass(frozen=True, slots=True)
class Structure:
    """`function` is the innermost function definition around the place, None in a macro's body.

    `target` is the attribute that sets the function's instruction set, as `target("avx2")`, from the
    definition or else from a pragma in force there.
    `unevaluated` tells that the place is in the operand of sizeof, typeof or alignof.
    """

    function: str | None
    target: str | None
    unevaluated: bool


_UNKNOWN = Structure(None, None, False)


@cache
def _language() -> Language:
    # Importing costs more than most runs of the tool that find nothing to do.
    import tree_sitter_c
    from tree_sitter import Language

    return Language(tree_sitter_c.language())


def structures(data: bytes, offsets: Sequence[int]) -> list[Structure]:
    """What surrounds each of `offsets`."""
    from tree_sitter import Parser

    root = Parser(_language()).parse(data).root_node
    pragmas = _pragmas(root) if b"target" in data else []
    return [_structure(_path(root, offset), pragmas) for offset in offsets]


def _path(root: Node, offset: int) -> list[Node]:
    """The nodes that hold the byte at `offset`, from the root inwards."""
    cursor, path = root.walk(), [root]
    while cursor.goto_first_child_for_byte(offset) is not None:
        node = cursor.node
        if node is None or node.start_byte > offset:
            break
        path.append(node)
    return path


def _structure(path: list[Node], pragmas: list[tuple[int, str | None]]) -> Structure:
    if any(node.is_error for node in path):
        return _UNKNOWN
    unevaluated = any(_hides(node, inner) for node, inner in pairwise(path))
    functions = [node for node in path if node.type == "function_definition"]
    if not functions or any(node.type in _MACROS for node in path):
        return Structure(None, None, unevaluated)
    function = functions[-1]
    in_force = [target for _, target in takewhile(lambda pragma: pragma[0] < function.start_byte, pragmas)]
    target = _attribute(function) or (in_force[-1] if in_force else None)
    return Structure(_name(function), target, unevaluated)


def _hides(node: Node, inner: Node) -> bool:
    """Whether `inner`, a child of `node`, is an operand that is not evaluated. The grammar knows no typeof."""
    if node.type in ("sizeof_expression", "alignof_expression"):
        return True
    if node.type == "call_expression":
        named, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        # `sizeof(f)(x)` is read as a call of `sizeof(f)`, but the operand is the whole of `(f)(x)`.
        return (
            named is not None and inner == arguments and (named.text in _TYPEOF or named.type == "sizeof_expression")
        )
    if node.type == "macro_type_specifier":
        named = node.child_by_field_name("name")
        return named is not None and named.text in _TYPEOF
    return False


def _name(function: Node) -> str | None:
    """The identifier that the declarator is wrapped around."""
    node: Node | None = function
    while node is not None and node.type != "identifier":
        node = node.child_by_field_name("declarator") or next(
            (
                child
                for child in node.named_children
                if child.type.endswith("declarator") or child.type == "identifier"
            ),
            None,
        )
    return None if node is None else _text(node)


def _attribute(function: Node) -> str | None:
    body = function.child_by_field_name("body")
    head = (function.text or b"")[: body.start_byte - function.start_byte] if body else b""
    return _target(head)


def _target(text: bytes) -> str | None:
    m = _TARGET.search(text)
    if m is None:
        return None
    return b" ".join((m[1] + m[2]).replace(b"\\\n", b" ").split()).decode("utf-8", "surrogateescape")


def _pragmas(root: Node) -> list[tuple[int, str | None]]:
    """Where a pragma changes the target in force, and to what. The arms of an #if are read as one text."""
    from tree_sitter import Query, QueryCursor

    calls = QueryCursor(Query(_language(), "(preproc_call) @pragma")).captures(root).get("pragma", [])
    changes: list[tuple[int, str | None]] = []
    outer: list[str | None] = []
    target: str | None = None
    for call in sorted(calls, key=lambda node: node.start_byte):
        directive, argument = call.child_by_field_name("directive"), call.child_by_field_name("argument")
        if directive is None or argument is None or not (directive.text or b"").endswith(b"pragma"):
            continue
        if not (m := _PRAGMA.match(argument.text or b"")):
            continue
        verb = m["gcc"] or m["clang"]
        if verb.startswith(b"push"):
            outer.append(target)
        if verb.startswith(b"pop"):
            target = outer.pop() if outer else None
        elif verb == b"reset_options":
            target = None
        elif verb in (b"target", b"push"):
            target = _target(argument.text or b"") or target
        changes.append((call.start_byte, target))
    return changes


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "surrogateescape")
