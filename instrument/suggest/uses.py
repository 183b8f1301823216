# SPDX-License-Identifier: MIT
"""What a place in the text does with the expression that stands there: calls it, assigns it, reads it, or worse.

Knows C's expressions, as tree-sitter has them in code and token by token in a macro's body. Must not know what the
expression is, nor how an edit spells its replacement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from instrument.lexer import Word
from instrument.model import Span
from instrument.suggest.source import Source, ancestors, span_of

if TYPE_CHECKING:
    from tree_sitter import Node


class Deed(StrEnum):
    """What is done with an expression."""

    CALL = "call"
    ASSIGN = "assign"
    READ = "read"
    REFUSED = "refused"
    ELSEWHERE = "elsewhere"
    """It is not the expression: a member, a tag, a macro's parameter."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`span` is what a call's callee, or a read's value, takes in the text; of an assignment, all of it.

    `value` is what is assigned, `statement` the statement that is the assignment; `why` tells why it is refused.
    """

    deed: Deed
    span: Span | None = None
    value: Node | None = None
    statement: Node | None = None
    why: str = ""


_ELSEWHERE = Seen(Deed.ELSEWHERE)
_OPERANDS = {
    "sizeof_expression": "it is an operand of sizeof",
    "alignof_expression": "it is an operand of alignof",
    "offsetof_expression": "it is an operand of offsetof",
    "gnu_asm_expression": "it is an operand of asm",
    "gnu_asm_output_operand": "it is an operand of asm",
    "gnu_asm_input_operand": "it is an operand of asm",
    "generic_expression": "it is an operand of _Generic",
}
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
    )
)
_TYPEOF = frozenset(("typeof", "__typeof__", "__typeof", "typeof_unqual"))


def seen(source: Source, node: Node) -> Seen:
    """What is done with the expression `node`, an identifier or an access to a member."""
    e, above = node, node.parent
    while above is not None and above.type == "parenthesized_expression":
        e, above = above, above.parent
    if above is None:
        return Seen(Deed.REFUSED, why="the syntax around it is not understood")
    if above.type == "call_expression" and above.child_by_field_name("function") == e:
        return Seen(Deed.CALL, span_of(e))
    if above.type == "pointer_expression":
        return _dereferenced(source, above)
    if above.type == "assignment_expression" and above.child_by_field_name("left") == e:
        return _assigned(source, above)
    return _read(source, node, e, above)


def _dereferenced(source: Source, node: Node) -> Seen:
    """`(*name)(...)` is a call; `*name` by itself is a function, which is its address again."""
    operator = node.child_by_field_name("operator")
    if operator is None or source.text(operator) == "&":
        return Seen(Deed.REFUSED, why="its address is taken")
    inner = seen(source, node)
    if inner.deed is Deed.CALL:
        return inner
    return Seen(Deed.REFUSED, why="it is dereferenced without being called")


def _assigned(source: Source, node: Node) -> Seen:
    operator, value = node.child_by_field_name("operator"), node.child_by_field_name("right")
    if operator is None or value is None or source.text(operator) != "=":
        return Seen(Deed.REFUSED, why="it is changed by an operator")
    statement = node.parent
    while statement is not None and statement.type == "parenthesized_expression":
        statement = statement.parent
    if source.split(node):
        return Seen(Deed.REFUSED, why="a directive stands in an assignment to it")
    if statement is None or statement.type != "expression_statement":
        return Seen(Deed.REFUSED, why="the value of an assignment to it is used")
    return Seen(Deed.ASSIGN, span_of(node), value, statement)


def _read(source: Source, node: Node, e: Node, above: Node) -> Seen:
    for outer in ancestors(node):
        if outer.type in _OPERANDS:
            return Seen(Deed.REFUSED, why=_OPERANDS[outer.type])
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
    return Seen(Deed.READ, span_of(node))


# ---- in a macro's body ----------------------------------------------------------------------------

_TOKEN = re.compile(
    rb"\s+|\\\r?\n|/\*[\s\S]*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[\w$]+"
    rb"|->|\+\+|--|##|&&|\|\||[=!<>+*/%&|^-]=|[\s\S]"
)
_AFTER_READ = frozenset(("==", "!=", ")", "?", "&&", "||", ";", ",", ":", ""))
_BEFORE_READ = frozenset(("(", ",", "!", "==", "!=", "&&", "||", "?", ":", "return", "=", ""))


def _tokens(source: Source, line: Span) -> list[tuple[str, Span]]:
    found = []
    for m in _TOKEN.finditer(source.data, line.start, line.end):
        if not m[0].isspace() and m[0][:2] not in (b"/*", b"//", b"\\\n", b"\\\r"):
            found.append((m[0].decode("utf-8", "surrogateescape"), Span(*m.span())))
    return found


def seen_in_macro(source: Source, word: Word, operator: str = "") -> tuple[Seen, str]:
    """What the macro's body does with the name, or with the member behind `operator`, whose name is returned too.

    Tokens alone decide, so only what reads one way in every surrounding is told.
    """
    if word.line is None or word.directive != "define":
        return Seen(Deed.REFUSED, why=f"a directive names it: #{word.directive}"), ""
    if word.span.start < word.line.start:
        own = word.macro == word.text
        return (Seen(Deed.REFUSED, why="a macro has its name") if own else _ELSEWHERE), ""
    if word.text in _parameters(source, word):
        return _ELSEWHERE, ""
    tokens = _tokens(source, word.line)
    at = next(i for i, (_, span) in enumerate(tokens) if span.start == word.span.start)
    words = ["", "", *(text for text, _ in tokens), "", "", ""]
    first = last = at + 2
    if words[first - 1] in (".", "->"):
        return _ELSEWHERE, ""
    member = ""
    if operator and words[last + 1] == operator and words[last + 2].isidentifier():
        member, last = words[last + 2], last + 2
    refused = Seen(Deed.REFUSED, why=f"the macro {word.macro} may change it")
    while (
        words[first - 1] in ("(", "*")
        and words[last + 1] == ")"
        and words[first - (words[first - 1] == "*") - 1] == "("
    ):
        first, last = first - (words[first - 1] == "*") - 1, last + 1
    span = Span(tokens[first - 2][1].start, tokens[last - 2][1].end)
    before, after = words[first - 1], words[last + 1]
    if "##" in (before, after) or before in ("#", "&", "++", "--", "sizeof", "*", ".", "->"):
        return refused, member
    if after == "(" and (not before.isidentifier() or before in ("return", "else", "do")):
        return Seen(Deed.CALL, span), member
    if after in _AFTER_READ and before in _BEFORE_READ:
        return Seen(Deed.READ, span), member
    return refused, member


def _parameters(source: Source, word: Word) -> set[str]:
    assert word.line is not None
    names = (w for w in source.words if w.line == word.line and w.span.start < word.line.start)
    return {w.text for w in names if w.text != word.macro}
