# SPDX-License-Identifier: MIT
"""A test for NULL and the one call that it guards, as one construct: `if (p) p(x);`, `p && p(x) > 0`, `p ? p(x) : 0`.

Knows C's expressions and statements. Must not know how a static call is written. A guard matters because a test and a
call of a static call are two reads, between which an update may come: only a construct that becomes one call means
the same.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrument.suggest.scopes import declaration_of
from instrument.suggest.source import WRAPPERS, Source, View, ancestors, bare, enclosed, function_of, span_of
from instrument.suggest.uses import NULL

if TYPE_CHECKING:
    from tree_sitter import Node

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_LITERALS = frozenset(
    ("number_literal", "string_literal", "concatenated_string", "char_literal", "null", "true", "false")
)
_TOTAL = frozenset((*_COMPARISONS, "!", "&&", "||", "~", "&", "|", "^"))
"""The operators that have a result for all operands: no overflow, no division by 0."""
_CONDITIONS = frozenset(("if_statement", "while_statement", "do_statement", "for_statement"))
_UNSIGNED = 1 << 64
_Volatile = Callable[[str, "bytes | None"], bool]


@dataclass(frozen=True, slots=True)
class Guard:
    """`whole` means the same as `kept`, an expression or statement in it with the call, if calling a pointer that is
    NULL does nothing (`nothing`), or returns 0 (`zero`). `test` is the pointer where it is tested."""

    whole: tuple[int, int]
    kept: Node
    test: Node
    arguments: Node
    nothing: bool
    zero: bool


def guard(source: Source, callee: Node) -> Guard | None:
    """The guard around a call, by the callee without parentheses."""
    call = next((a for a in ancestors(callee) if a.type == "call_expression"), None)
    arguments = call.child_by_field_name("arguments") if call is not None else None
    if call is None or arguments is None:
        return None
    text, value = _flat(source, callee), call
    while (above := value.parent) is not None:
        found = _around(source, text, call, value, above, arguments)
        if found is not None:
            return found if _whole(source, found) else None
        if not _grows(source, value, above):
            return None
        value = above
    return None


def _around(source: Source, text: str, call: Node, value: Node, above: Node, arguments: Node) -> Guard | None:
    """The guard if `above` is one, `value` being the call or what is made of its result."""
    zero = _worth(source, value, call)
    if above.type == "conditional_expression":
        test = _tested(source, above.child_by_field_name("condition"), text)
        yes, no = above.child_by_field_name("consequence"), above.child_by_field_name("alternative")
        if test is None or value not in (yes, no) or (value == yes) != test[1]:
            return None
        other = no if value == yes else yes
        nothing = other is not None and value == call and source.text(other).replace(" ", "").strip("()") == "void)0"
        same = other is not None and zero is not None and _worth(source, other, None) == zero
        return Guard(_ends(above), value, test[0], arguments, nothing, same)
    if above.type == "binary_expression" and above.child_by_field_name("right") == value:
        return _logical(source, text, zero, value, above, arguments)
    if above.type == "expression_statement":
        outer = _if(above, text, source)
        return Guard(_ends(outer[0]), above, outer[1], arguments, True, True) if outer and outer[2] else None
    if above.type == "return_statement":
        return _returned(source, text, zero, above, arguments)
    return None


def _logical(source: Source, text: str, zero: int | None, value: Node, above: Node, arguments: Node) -> Guard | None:
    """`p && p(x)` and `!p || !p(x)`, also behind other operands of the same kind."""
    name = above.child_by_field_name("operator")
    left = above.child_by_field_name("left")
    sign = source.text(name) if name is not None else ""
    if sign not in ("&&", "||") or left is None:
        return None
    inner = left.child_by_field_name("operator") if left.type == "binary_expression" else None
    if inner is not None and source.text(inner) == sign:
        left = left.child_by_field_name("right")
    test = _tested(source, left, text)
    if test is None or left is None or test[1] != (sign == "&&"):
        return None
    truth = value.type in ("binary_expression", "unary_expression") or _truth(source, above)
    same = truth and zero is not None and bool(zero) == (sign == "||")
    return Guard((left.start_byte, value.end_byte), value, test[0], arguments, False, same)


def _returned(source: Source, text: str, zero: int | None, statement: Node, arguments: Node) -> Guard | None:
    """`if (p) return p(x); return 0;`, with else, and `if (!p) return 0; return p(x);`."""
    outer = _if(statement, text, source)
    if outer is not None and outer[2]:
        alternative = outer[0].child_by_field_name("alternative")
        other = _only(alternative.named_children[0]) if alternative is not None else outer[0].next_named_sibling
        last = outer[0] if alternative is not None else other
        whole = (outer[0].start_byte, last.end_byte if last is not None else 0)
    else:
        before = statement.prev_named_sibling
        other = _only(before.child_by_field_name("consequence")) if before is not None else None
        outer = _if(other, text, source) if other is not None else None
        if before is None or outer is None or outer[2] or outer[0] != before:
            return None
        whole = (before.start_byte, statement.end_byte)
        if before.child_by_field_name("alternative") is not None:
            return None
    if other is None or other.type != "return_statement" or other.named_child_count != 1:
        return None
    same = zero is not None and _worth(source, other.named_children[0], None) == zero
    return Guard(whole, statement, outer[1], arguments, False, same)


def _if(statement: Node, text: str, source: Source) -> tuple[Node, Node, bool] | None:
    """The if whose first arm is `statement` and no more, the pointer that it tests, and whether for being set. An
    else may follow a return only."""
    block = statement.parent
    if block is not None and block.type == "compound_statement" and _only(block) == statement:
        statement, block = block, block.parent
    if block is None or block.type != "if_statement" or block.child_by_field_name("consequence") != statement:
        return None
    inner = _only(statement)
    if block.child_by_field_name("alternative") is not None and (inner is None or inner.type != "return_statement"):
        return None
    test = _tested(source, block.child_by_field_name("condition"), text)
    return (block, *test) if test is not None else None


def _only(node: Node | None) -> Node | None:
    """The one statement of a block, or a statement itself."""
    if node is None or node.type != "compound_statement":
        return node
    return node.named_children[0] if node.named_child_count == 1 else None


def _tested(source: Source, node: Node | None, text: str) -> tuple[Node, bool] | None:
    """The pointer in a condition that asks no more than whether it is set, or whether it is NULL."""
    if node is None:
        return None
    node = bare(node)
    if _flat(source, node) == text:
        return node, True
    name = node.child_by_field_name("operator")
    sign = source.text(name) if name is not None else ""
    if node.type == "unary_expression" and sign == "!":
        inner = _tested(source, node.child_by_field_name("argument"), text)
        return (inner[0], not inner[1]) if inner else None
    if node.type == "binary_expression" and sign in ("==", "!="):
        for one, other in (("left", "right"), ("right", "left")):
            side, null = node.child_by_field_name(one), node.child_by_field_name(other)
            if null is not None and NULL.fullmatch(source.text(null)) and (found := _tested(source, side, text)):
                return found[0], found[1] == (sign == "!=")
    return None


def _grows(source: Source, value: Node, above: Node) -> bool:
    """Whether `above` still is a value that is made of a call's result alone."""
    if above.type in WRAPPERS:
        return True
    name = above.child_by_field_name("operator")
    sign = source.text(name) if name is not None else ""
    return (above.type == "unary_expression" and sign == "!") or (
        above.type == "binary_expression" and sign in _COMPARISONS
    )


def _worth(source: Source, node: Node, call: Node | None) -> int | None:
    """What an expression comes to if `call` returns 0, None if that is not known."""
    if node == call or NULL.fullmatch(source.text(node)):
        return 0
    if node.type in WRAPPERS and node.named_child_count:
        inner = node.child_by_field_name("value") or node.named_children[0]
        known = _worth(source, inner, call)
        return known if node.type == "parenthesized_expression" or known == 0 else None
    if node.type in ("true", "false"):
        return int(node.type == "true")
    if node.type == "number_literal":
        m = re.fullmatch(r"(0[xX][0-9a-fA-F]+|[1-9]\d*)[uUlL]*", source.text(node))
        return int(m[1], 0) if m else None
    name = node.child_by_field_name("operator")
    sign = source.text(name) if name is not None else ""
    if node.type == "unary_expression" and sign in ("!", "-"):
        argument = node.child_by_field_name("argument")
        inner_worth = _worth(source, argument, call) if argument is not None else None
        return None if inner_worth is None else (int(not inner_worth) if sign == "!" else -inner_worth)
    if node.type == "binary_expression" and sign in _COMPARISONS:
        sides = [node.child_by_field_name(side) for side in ("left", "right")]
        left, right = (_worth(source, side, call) if side is not None else None for side in sides)
        if left is None or right is None:
            return None
        # The result's type may be unsigned, and then so is the comparison.
        answers = {_COMPARISONS[sign](left, right), _COMPARISONS[sign](left % _UNSIGNED, right % _UNSIGNED)}
        return int(answers.pop()) if len(answers) == 1 else None
    return None


def _truth(source: Source, node: Node) -> bool:
    """Whether of an expression's value no more is used than whether it is 0."""
    below, above = enclosed(node)
    if above is None:
        return False
    if above.type in (*_CONDITIONS, "conditional_expression"):
        return above.child_by_field_name("condition") == below
    name = above.child_by_field_name("operator")
    return name is not None and source.text(name) in ("!", "&&", "||")


def _whole(source: Source, found: Guard) -> bool:
    """Whether nothing is lost with the text around the call: no comment, no directive."""
    start, end = found.whole
    outer = next(a for a in (found.kept, *ancestors(found.kept)) if a.start_byte <= start and a.end_byte >= end)
    inside = any(start < span.start < end for _, span in source.directives)
    return not inside and not _commented(outer, found, start, end)


def _commented(node: Node, found: Guard, start: int, end: int) -> bool:
    if node.end_byte <= start or node.start_byte >= end or node == found.kept:
        return False
    return node.type == "comment" or any(_commented(child, found, start, end) for child in node.children)


def _ends(node: Node) -> tuple[int, int]:
    return node.start_byte, node.end_byte


def _flat(source: Source, node: Node) -> str:
    return "".join(source.text(node).split())


# ---- arguments ------------------------------------------------------------------------------------


def harmless(view: View, arguments: Node, volatile: _Volatile) -> bool:
    """Whether evaluating the arguments has no effect and cannot fail, whatever the pointer is. `volatile` tells of a
    variable that is not declared in the function."""
    return all(_harmless(view.source, one, volatile) for one in arguments.named_children)


def _harmless(source: Source, node: Node, volatile: _Volatile) -> bool:
    if node.type in _LITERALS:
        return True
    if node.type == "identifier":
        return _readable(source, node, volatile)
    if node.type in WRAPPERS and node.named_child_count:
        inner = node.child_by_field_name("value") or node.named_children[0]
        return _harmless(source, inner, volatile)
    sign = node.child_by_field_name("operator")
    if node.type in ("binary_expression", "unary_expression") and sign is not None and source.text(sign) in _TOTAL:
        operands = [child for child in node.named_children if child.type != "comment"]
        return all(_harmless(source, operand, volatile) for operand in operands)
    if node.type == "pointer_expression" and source.text(node).startswith("&"):
        argument = node.child_by_field_name("argument")
        return argument is not None and argument.type == "identifier"
    return False


def _readable(source: Source, node: Node, volatile: _Volatile) -> bool:
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
        return bool(valued) and not volatile(name.decode("utf-8", "surrogateescape"), text)
    return not volatile(name.decode("utf-8", "surrogateescape"), None)
