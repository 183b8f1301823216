# SPDX-License-Identifier: MIT
"""What is done with an expression: called, assigned, tested, read, or something that no edit can keep.

Knows C's expressions, as tree-sitter has them. Must not know what the expression is, nor how an edit spells its
replacement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from instrument.suggest.source import Source, View, ancestors, enclosed

if TYPE_CHECKING:
    from tree_sitter import Node

NULL = re.compile(r"\(*\s*(?:NULL|0[xX]?0*[uUlL]*|\(\s*void\s*\*\s*\)\s*(?:0|NULL))\s*\)*")
"""A null pointer constant, before the preprocessor and behind it."""
ADDRESS = "its address is taken"


class Deed(StrEnum):
    """What is done with an expression."""

    CALL = "call"
    ASSIGN = "assign"
    TEST = "test"
    """It is only asked whether it is NULL."""
    READ = "read"
    TYPE = "type"
    """It is read by what is not evaluated."""
    REFUSED = "refused"


READS = frozenset((Deed.TEST, Deed.READ, Deed.TYPE))


@dataclass(frozen=True, slots=True)
class Seen:
    """`node` is what a call's callee, or a read's value, is in the tree; of an assignment, all of it.

    `value` is what is assigned, `statement` the statement that is the assignment; `why` tells why it is refused.
    """

    deed: Deed
    node: Node | None = None
    value: Node | None = None
    statement: Node | None = None
    why: str = ""


_OPERANDS = {
    "sizeof_expression": "it is an operand of sizeof",
    "alignof_expression": "it is an operand of alignof",
    "offsetof_expression": "it is an operand of offsetof",
    "generic_expression": "it is an operand of _Generic",
}
_ASM = frozenset(("gnu_asm_expression", "gnu_asm_output_operand", "gnu_asm_input_operand"))
_READERS = frozenset(
    (
        "argument_list",
        "binary_expression",
        "unary_expression",
        "conditional_expression",
        "return_statement",
        "init_declarator",
        "assignment_expression",
        "initializer_list",
        "initializer_pair",
        "cast_expression",
        "comma_expression",
        "expression_statement",
        "parenthesized_expression",
        "if_statement",
        "while_statement",
        "do_statement",
        "switch_statement",
        "for_statement",
        "case_statement",
        *_OPERANDS,
    )
)
_CONDITIONAL = frozenset(
    ("if_statement", "while_statement", "do_statement", "for_statement", "conditional_expression")
)
_TYPEOF = frozenset(("typeof", "__typeof__", "__typeof", "typeof_unqual"))


def accessed(view: View, operator: str) -> tuple[Node, str]:
    """The expression that is reached by the name in `view`: the name itself, or the member behind `operator`."""
    node, above = enclosed(view.node)
    if operator and above is not None and above.type == "field_expression":
        field, found = above.child_by_field_name("field"), above.child_by_field_name("operator")
        if above.child_by_field_name("argument") == node and field is not None and found is not None:
            return above, view.source.text(field) if view.source.text(found) == operator else "?"
    return view.node, ""


def seen(source: Source, node: Node) -> Seen:
    """What is done with the expression `node`, an identifier or an access to a member."""
    e, above = enclosed(node)
    if above is None:
        return Seen(Deed.REFUSED, why="the syntax around it is not understood")
    if above.type == "call_expression" and above.child_by_field_name("function") == e:
        return Seen(Deed.CALL, e)
    if above.type == "pointer_expression":
        return _dereferenced(source, above)
    if above.type == "assignment_expression" and above.child_by_field_name("left") == e:
        return _assigned(source, above)
    return _read(source, node, e, above)


def _dereferenced(source: Source, node: Node) -> Seen:
    """`(*name)(...)` is a call; `*name` by itself is a function, which is its address again."""
    operator = node.child_by_field_name("operator")
    if operator is None or source.text(operator) == "&":
        return Seen(Deed.REFUSED, why=ADDRESS)
    inner = seen(source, node)
    if inner.deed is Deed.CALL:
        return inner
    return Seen(Deed.REFUSED, why="it is dereferenced without being called")


def _assigned(source: Source, node: Node) -> Seen:
    operator, value = node.child_by_field_name("operator"), node.child_by_field_name("right")
    if operator is None or value is None or source.text(operator) != "=":
        return Seen(Deed.REFUSED, why="it is changed by an operator")
    _, statement = enclosed(node)
    if source.split(node):
        return Seen(Deed.REFUSED, why="a directive stands in an assignment to it")
    if statement is None or statement.type != "expression_statement":
        return Seen(Deed.REFUSED, why="the value of an assignment to it is used")
    return Seen(Deed.ASSIGN, node, value, statement)


def _read(source: Source, node: Node, e: Node, above: Node) -> Seen:
    unevaluated = False
    for outer in ancestors(node):
        if outer.type in _ASM:
            return Seen(Deed.REFUSED, why="it is an operand of asm")
        if outer.type in _OPERANDS:
            if outer == above:
                return Seen(Deed.REFUSED, why=_OPERANDS[outer.type])
            unevaluated = True
        named = outer.child_by_field_name("function") if outer.type == "call_expression" else None
        if (named and source.text(named) in _TYPEOF) or outer.type == "macro_type_specifier":
            return Seen(Deed.REFUSED, why="it is an operand of typeof")
        if outer.type in ("compound_statement", "function_definition"):
            break
    else:
        return Seen(Deed.REFUSED, why="it stands outside of every function")
    if above.type in ("update_expression", "subscript_expression", "field_expression"):
        return Seen(Deed.REFUSED, why="it is used as something else than a pointer to a function")
    if above.type not in _READERS:
        return Seen(Deed.REFUSED, why="the syntax around it is not understood")
    if unevaluated:
        return Seen(Deed.TYPE, node)
    return Seen(Deed.TEST if _tests(source, e, above) else Deed.READ, node)


def _tests(source: Source, e: Node, above: Node) -> bool:
    """Whether `above`, around the expression `e`, asks no more of it than whether it is NULL."""
    if above.type == "unary_expression":
        operator = above.child_by_field_name("operator")
        return operator is not None and source.text(operator) == "!"
    if above.type == "binary_expression":
        operator, left, right = (above.child_by_field_name(name) for name in ("operator", "left", "right"))
        text = source.text(operator) if operator is not None else ""
        other = right if left == e else left
        return text in ("&&", "||") or (
            text in ("==", "!=") and other is not None and NULL.fullmatch(source.text(other)) is not None
        )
    return above.type in _CONDITIONAL and above.child_by_field_name("condition") == e
