# SPDX-License-Identifier: MIT
"""What surrounds a place in a C file: its function, an unevaluated operand.

Knows tree-sitter's C grammar. Must not know what stands at the place or how far it reaches: tree-sitter
misreads some correct C, so an answer from here may describe a site but never make or move one. Where it
says that it failed, the answer is that nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from instrument.model import Span
from instrument.value import dataclass

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query

_TYPEOF = frozenset((b"typeof", b"__typeof__", b"__typeof", b"typeof_unqual"))
_MACROS = frozenset(("preproc_def", "preproc_function_def", "preproc_call", "preproc_arg"))


@dataclass(frozen=True, slots=True)
class Structure:
    """`function` is the innermost function definition around the place, None in a macro's body.

    `unevaluated` tells that the place is in the operand of sizeof, typeof or alignof.
    """

    function: str | None
    unevaluated: bool


_UNKNOWN = Structure(None, False)


@cache
def _language() -> Language:
    # Importing costs more than most runs of the tool that find nothing to do.
    import tree_sitter_c
    from tree_sitter import Language

    return Language(tree_sitter_c.language())


@cache
def _calls() -> Query:
    from tree_sitter import Query

    return Query(_language(), "(call_expression function: (_) @callee)")


def callees(root: Node) -> list[Node]:
    """What is called in the tree, in the order of the text."""
    from tree_sitter import QueryCursor

    found = QueryCursor(_calls()).captures(root).get("callee", [])
    return sorted(found, key=lambda node: node.start_byte)


def parse(data: bytes, piece: Span | None = None) -> Node:
    """The root of the tree of all of `data`, or of a piece of it. Offsets count from the start of `data` either
    way."""
    from tree_sitter import Parser, Point, Range

    parser = Parser(_language())
    if piece is not None:
        # Nobody asks for lines and columns, which the parser would have to be told.
        parser.included_ranges = [Range(Point(0, 0), Point(0, 0), piece.start, piece.end)]
    return parser.parse(data).root_node


def structures(data: bytes, offsets: Sequence[int]) -> list[Structure]:
    """What surrounds each of `offsets`."""
    root = parse(data)
    return [_structure(_path(root, offset)) for offset in offsets]


def _path(root: Node, offset: int) -> list[Node]:
    """The nodes that hold the byte at `offset`, from the root inwards."""
    cursor, path = root.walk(), [root]
    while cursor.goto_first_child_for_byte(offset) is not None:
        node = cursor.node
        if node is None or node.start_byte > offset:
            break
        path.append(node)
    return path


def _structure(path: list[Node]) -> Structure:
    if any(node.is_error for node in path):
        return _UNKNOWN
    unevaluated = any(_hides(node, inner) for node, inner in pairwise(path))
    functions = [node for node in path if node.type == "function_definition"]
    if not functions or any(node.type in _MACROS for node in path):
        return Structure(None, unevaluated)
    return Structure(function_name(functions[-1]), unevaluated)


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


def function_name(function: Node) -> str | None:
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
    return None if node is None else (node.text or b"").decode("utf-8", "surrogateescape")
