# SPDX-License-Identifier: MIT
"""One C file for `suggest`: its identifiers, exact, and the syntax around each, which may be unknown.

Knows tree-sitter and the token scanner. Must not know function pointers. The scanner says what there is; the tree
says what surrounds it, and where the tree has an error between a place and its declaration it says nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from instrument.lexer import SPLICE, Word, directives, words
from instrument.model import Place, Span
from instrument.preprocessed import declarations
from instrument.structure import parse

if TYPE_CHECKING:
    from tree_sitter import Node

_CPLUSPLUS = re.compile(
    rb"^[ \t]*#[ \t]*if(?:def[ \t]+|[ \t]+defined[ \t]*\(?[ \t]*)__cplusplus\b"
    rb"(?:(?!^[ \t]*#)[\s\S])*?^[ \t]*#[ \t]*endif[^\n]*",
    re.MULTILINE,
)
_ALONE = re.compile(rb"^([A-Za-z_]\w*)[ \t]*\((?:[^()]|\([^()]*\))*\)[ \t]*$", re.MULTILINE)
"""A macro's use that fills lines of its own, from the first column on."""
_BEHIND = re.compile(
    rb"__attribute(?:__)?\s*\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)(?=\s*(?:[;=]|__attribute|__asm))"
)
"""Attributes behind a declarator: where its type has a name, the grammar takes them for the next declaration's."""
_OPENING = frozenset(("if", "ifdef", "ifndef"))
_CONDITIONS = _OPENING | {"else", "elif", "elifdef", "elifndef", "endif"}
_LEAVES = frozenset(("identifier", "field_identifier", "type_identifier", "statement_identifier"))
_DECLARATIONS = frozenset(
    (
        "declaration",
        "type_definition",
        "function_definition",
        "struct_specifier",
        "union_specifier",
        "enum_specifier",
    )
)
_TRANSPARENT = frozenset(
    (
        "preproc_if",
        "preproc_ifdef",
        "preproc_else",
        "preproc_elif",
        "preproc_elifdef",
        "linkage_specification",
        "declaration_list",
        "ERROR",
    )
)
PARENTHESES = frozenset(("parenthesized_expression",))
WRAPPERS = PARENTHESES | {"cast_expression"}
_LOOPS = frozenset(("for_statement", "while_statement", "do_statement"))
_BODY = b"void f(void) {"
"""What makes statements of a macro's body."""


@dataclass(frozen=True, slots=True)
class View:
    """A name in a syntax tree, and the text of that tree; `shift` leads from its offsets to those of the file."""

    source: Source
    node: Node
    shift: int = 0

    def span(self, node: Node) -> Span:
        """The file's bytes for a node of the same tree."""
        return Span(node.start_byte + self.shift, node.end_byte + self.shift)


class Source:
    """`hidden` are macros that stand for specifiers and attributes, which the grammar takes for types, `makers` those
    with parameters, which may make whole declarations: neither does the grammar see."""

    def __init__(
        self, path: str, data: bytes, hidden: Set[str] = frozenset(), makers: Set[str] = frozenset()
    ) -> None:
        self.path, self.data, self._hidden, self._makers = path, data, hidden, makers
        self.words = words(data)
        self.named: dict[str, list[Word]] = {}
        for word in self.words:
            self.named.setdefault(word.text, []).append(word)
        self._lines = [0, *(m.end() for m in re.finditer(rb"\n", data))]
        self._bodies: dict[Span, Source] = {}

    @cached_property
    def roots(self) -> list[Node]:
        """One tree with the conditions that surround whole declarations and statements. If it has errors, perhaps one
        for each declaration, all arms of conditions together: what is not understood of one stays with it."""
        whole = parse(self._plain(False))
        if not whole.has_error:
            return [whole]
        flat = self._plain(True)
        pieces = [parse(flat, declaration.span) for declaration in declarations(flat)]
        return pieces if sum(map(_errors, pieces)) < _errors(whole) else [whole]

    @cached_property
    def directives(self) -> list[tuple[str, Span]]:
        return directives(self.data)

    def _plain(self, flat: bool) -> bytes:
        """As many bytes as the file, without what only C++ or the preprocessor understands. `flat` takes away the
        conditions too."""
        plain = bytearray(_CPLUSPLUS.sub(lambda m: re.sub(rb"[^\n]", b" ", m[0]), self.data))
        for name, span in self.directives:
            if flat or name not in _CONDITIONS:
                plain[span.start : span.end] = re.sub(rb"[^\n]", b" ", plain[span.start : span.end])
        for name in (self._hidden | {"_Thread_local"}) & self.named.keys():
            for word in self.named[name]:
                if word.directive is None:
                    plain[word.span.start : word.span.end] = b" " * (word.span.end - word.span.start)
        for m in list(_BEHIND.finditer(plain)):
            plain[m.start() : m.end()] = re.sub(rb"[^\n]", b" ", m[0])
        for m in _ALONE.finditer(plain):
            if m[1].decode("utf-8", "surrogateescape") in self._makers:
                plain[m.start() : m.end()] = re.sub(rb"[^\n]", b" ", m[0])
        return bytes(plain)

    def split(self, node: Node) -> bool:
        """Whether a directive stands inside of the node's text."""
        return any(node.start_byte < span.start < node.end_byte for _, span in self.directives)

    def arm(self, offset: int) -> tuple[tuple[int, int], ...]:
        """The #ifs that are open there, from outside in: where each starts, and its arm."""
        arms: list[tuple[int, int]] = []
        for name, span in self.directives:
            if span.start >= offset:
                break
            if name in _OPENING:
                arms.append((span.start, span.start))
            elif name in _CONDITIONS and arms:
                opened, _ = arms.pop()
                arms += [(opened, span.start)] if name != "endif" else []
        return tuple(arms)

    def exclusive(self, one: int, other: int) -> bool:
        """Whether no configuration compiles both places."""
        arms = dict(self.arm(one))
        return any(arms.get(opened, start) != start for opened, start in self.arm(other))

    def behind(self, node: Node) -> int:
        """Where what follows `node` is compiled whenever its beginning is."""
        arm, at = self.arm(node.start_byte), node.end_byte
        ends = (span.end for _, span in self.directives if span.start >= at)
        while self.arm(at) != arm and (end := next(ends, None)) is not None:
            at = end
        return at

    def hides(self, span: Span) -> list[Word]:
        """The macros in `span` that the grammar does not see."""
        hidden = (word for name in self._hidden & self.named.keys() for word in self.named[name])
        return [word for word in hidden if span.start <= word.span.start < span.end and word.directive is None]

    def words_in(self, span: Span) -> list[Word]:
        """The identifiers in `span`, those of directives left out."""
        first = bisect_left(self.words, span.start, key=lambda word: word.span.start)
        last = bisect_left(self.words, span.end, key=lambda word: word.span.start)
        return [word for word in self.words[first:last] if word.directive is None]

    def place(self, offset: int) -> Place:
        line = bisect_right(self._lines, offset)
        return Place(self.path, line, offset - self._lines[line - 1] + 1)

    def text(self, node: Node) -> str:
        return self.data[node.start_byte : node.end_byte].decode("utf-8", "surrogateescape")

    def leaf(self, word: Word) -> Node | None:
        """The tree's node for a word, None where it has none that can be trusted."""
        root = self.roots[max(0, bisect_right(self.roots, word.span.start, key=lambda root: root.start_byte) - 1)]
        node = root.descendant_for_byte_range(word.span.start, word.span.end)
        if node is None or node.type not in _LEAVES or span_of(node) != word.span:
            return None
        return node if _sound(node) else None

    def view(self, word: Word) -> View | None:
        """The syntax around a word of the code or of a macro's body, None where it is not known."""
        if word.directive is None:
            node = self.leaf(word)
            return View(self, node) if node is not None else None
        if word.directive != "define" or word.line is None or word.span.start < word.line.start:
            return None
        body, shift = self._body(word.line), word.line.start - len(_BODY)
        span = Span(word.span.start - shift, word.span.end - shift)
        node = body.leaf(Word(span, word.text))
        return View(body, node, shift) if node is not None else None

    def parameter(self, word: Word) -> bool:
        """Whether a word of a #define means one of the macro's parameters."""
        if word.directive != "define" or word.line is None or word.text == word.macro:
            return False
        return any(w.line == word.line and w.span.start < word.line.start for w in self.named[word.text])

    def _body(self, line: Span) -> Source:
        if line not in self._bodies:
            text = SPLICE.sub(lambda m: b" " * len(m[0]), self.data[line.start : line.end])
            self._bodies[line] = Source(self.path, b"%b%b;}" % (_BODY, text), self._hidden)
        return self._bodies[line]

    def externals(self) -> Iterator[Node]:
        """The declarations and definitions at file scope."""
        return (node for root in self.roots for node in _externals(root))


def _externals(node: Node) -> Iterator[Node]:
    for child in node.children:
        if child.type in _TRANSPARENT:
            yield from _externals(child)
        else:
            yield child


def _errors(root: Node) -> int:
    """How many bytes the tree does not account for, more or less."""
    if root.is_error:
        return root.end_byte - root.start_byte
    return sum(map(_errors, root.children)) if root.has_error else 0


def span_of(node: Node) -> Span:
    return Span(node.start_byte, node.end_byte)


def ancestors(node: Node) -> Iterator[Node]:
    """From the parent outwards."""
    above = node.parent
    while above is not None:
        yield above
        above = above.parent


def enclosed(node: Node, wrappers: Set[str] = PARENTHESES) -> tuple[Node, Node | None]:
    """The node with the parentheses around it, and what is around those."""
    above = node.parent
    while above is not None and above.type in wrappers:
        node, above = above, above.parent
    return node, above


def bare(node: Node) -> Node:
    """The node without parentheses around it."""
    while node.type in PARENTHESES and node.named_child_count == 1:
        node = node.named_children[0]
    return node


def _sound(node: Node) -> bool:
    """Whether no error lies between the node and its outermost declaration. Errors around that are another's."""
    inner = True
    for above in reversed(list(ancestors(node))):
        inner = inner and above.type not in _DECLARATIONS
        if not inner and (above.is_error or above.is_missing):
            return False
    return not inner


def function_of(node: Node) -> Node | None:
    """The outermost function definition around the node."""
    found = [above for above in ancestors(node) if above.type == "function_definition"]
    return found[-1] if found else None


def loops_around(node: Node) -> int:
    return sum(above.type in _LOOPS for above in ancestors(node))


def calls_around(node: Node) -> Iterator[str]:
    """The names of the functions and macros that are called with the node in their arguments, from inside out."""
    below = node
    for above in ancestors(node):
        if above.type == "call_expression" and (named := above.child_by_field_name("function")) != below:
            yield (named.text or b"").decode("utf-8", "surrogateescape") if named is not None else ""
        below = above


def line_start(data: bytes, offset: int) -> int:
    return data.rfind(b"\n", 0, offset) + 1
