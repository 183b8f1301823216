# SPDX-License-Identifier: MIT
"""Which declaration a name means: C's scopes and name spaces.

Knows declarations as tree-sitter has them. Must not know what is done with a variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from instrument.lexer import Word
from instrument.model import Span
from instrument.suggest.source import Source, ancestors, function_of

if TYPE_CHECKING:
    from tree_sitter import Node

_LINKS = (
    "pointer_declarator",
    "function_declarator",
    "array_declarator",
    "parenthesized_declarator",
    "attributed_declarator",
    "init_declarator",
)


def outermost(found: Sequence[tuple[Word, Node | None]]) -> list[tuple[Word, Node | None]]:
    """Those words of one name, with their nodes, that are neither a member, a tag or a label, nor something that a
    block declares."""
    scopes = [scope for _, node in found if node is not None and (scope := local_scope(node))]
    return [
        (word, node)
        for word, node in found
        if not (node is not None and (_apart(node) or local_scope(node)))
        and not any(scope.start <= word.span.start < scope.end for scope in scopes)
    ]


def own(source: Source, node: Node) -> bool:
    """Whether the name `node` means a variable or parameter of its function."""
    words = source.named.get(source.text(node), ())
    leaves = (source.leaf(word) for word in words if word.directive is None)
    scopes = (local_scope(leaf) for leaf in leaves if leaf is not None)
    return any(scope.start <= node.start_byte < scope.end for scope in scopes if scope is not None)


def declaration_of(node: Node) -> Node | None:
    """What declares by the name `node`: a declaration, a parameter, a function's definition, an enumerator, a list of
    parameters of 1978; None if the name is used there."""
    below, above = node, node.parent
    if above is not None and above.type in ("enumerator", "parameter_list"):
        return above
    while above is not None and above.type in _LINKS:
        named = above.child_by_field_name("declarator")
        if named is not None and named != below:
            return None
        below, above = above, above.parent
    if above is None or above.type not in (
        "declaration",
        "parameter_declaration",
        "function_definition",
        "type_definition",
    ):
        return None
    return above if below in above.children_by_field_name("declarator") else None


def local_scope(node: Node) -> Span | None:
    """Where the name `node` hides what the file declares, if it declares something in a block or as a parameter."""
    declares = declaration_of(node)
    if declares is None or declares.type == "function_definition":
        return None
    function = function_of(declares)
    if declares.type in ("parameter_declaration", "parameter_list"):
        body = function.child_by_field_name("body") if function else None
        if function is not None and body is not None and declares.end_byte <= body.start_byte:
            return Span(function.start_byte, function.end_byte)
        return Span(declares.start_byte, declares.end_byte)
    if function is None or any(
        child.type == "storage_class_specifier" and child.text == b"extern" for child in declares.children
    ):
        return None
    block = next(
        a for a in ancestors(declares) if a.type in ("compound_statement", "for_statement", "function_definition")
    )
    return Span(declares.start_byte if block.type != "function_definition" else block.start_byte, block.end_byte)


def _apart(node: Node) -> bool:
    """Members, labels and tags have names of their own."""
    if node.type in ("field_identifier", "statement_identifier"):
        return True
    above = node.parent
    return (
        node.type == "type_identifier"
        and above is not None
        and above.type in ("struct_specifier", "union_specifier", "enum_specifier")
        and above.child_by_field_name("name") == node
    )
