# SPDX-License-Identifier: MIT
"""What preprocessed text declares, defines and calls, by its tokens alone. Must not know types."""

from __future__ import annotations

import re

from instrument.lexer import Group, Lexed, lexer
from instrument.model import Span
from instrument.value import dataclass

_BRACES = b"{}"
_DIGRAPHS = {b"<%": b"{", b"%>": b"}", b"<:": b"[", b":>": b"]"}
_OPENERS, _CLOSERS = frozenset((b"(", b"[", b"{")), frozenset((b")", b"]", b"}"))

_OWNERS = (
    rb"(?:__attribute(?:__)?|__asm(?:__)?|asm|__declspec|_Alignas|alignas|_Atomic|_BitInt"
    rb"|__typeof(?:__)?|typeof|typeof_unqual)(?=(?:\s|\#[^\n]*+)*\()"
)
_TOP = (_OWNERS, b"_at", b"(){}[];=")
"""Between declarations; the words are those whose parentheses hold no parameters. Line markers may intervene."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What ends with a semicolon or, `body` then, with a function's body, braces included."""

    span: Span
    body: Span | None = None


def groups(data: bytes, name: re.Pattern[bytes]) -> list[Group]:
    """Every identifier that `name` matches as a whole, nested ones included, in the order of the text."""
    lexed = Lexed(data)
    found: list[Group] = []
    depth = line_end = 0
    for m in lexer(name.pattern, rb"A-Za-z_$", b"{}").finditer(lexed.text):
        if m["hash"]:
            line_end = lexed.line_end(m)
        elif m["word"]:
            start, end = m.span("word")
            limit = line_end if start < line_end else len(lexed.text)
            found.append(lexed.group(start, end, limit, in_body=depth > 0))
        elif m["mark"] and m.start("mark") >= line_end:
            depth = max(0, depth + _nesting(m["mark"]))
    return found


def _nesting(mark: bytes) -> int:
    mark = _DIGRAPHS.get(mark, mark)
    return (mark in _OPENERS) - (mark in _CLOSERS)


def function_bodies(data: bytes) -> list[Span]:
    """The bodies of the functions that preprocessed text defines."""
    return [declaration.body for declaration in declarations(data) if declaration.body]


def declarations(data: bytes) -> list[Declaration]:
    """What preprocessed text declares and defines, each from the end of the one before.

    A brace opens a body if its declaration has had a parameter list and no '='. Definitions with K&R
    parameters are not found: a ';' stands before their body, which begins a declaration of its own.
    """
    lexed = Lexed(data)
    found: list[Declaration] = []
    at = depth = 0
    begin = 1  # behind the newline that Lexed puts before the text
    owned = parameters = assigned = False
    top = lexer(*_TOP)
    while (m := top.match(lexed.text, at)) and m.end() > at:
        at = m.end()
        if m["hash"]:
            at = lexed.line_end(m)
        elif m["word"]:
            owned = True
        elif mark := m["mark"]:
            mark = _DIGRAPHS.get(mark, mark)
            body = None
            if depth == 0 and mark == b"{" and parameters and not assigned:
                start, at = at - len(m["mark"]), _closing(lexed, at)
                body = lexed.span(start, at)
                mark = b";"
            nesting = _nesting(mark)
            depth = max(0, depth + nesting)
            if depth == 0 and mark == b";":
                found.append(Declaration(lexed.span(begin, at), body))
                begin = at
            if depth == 0 and mark in b";}":
                parameters = assigned = False
            elif depth == 0 and mark == b"=":
                assigned = True
            elif depth == 1 and mark == b"(" and not owned:
                parameters = True
            owned = False
    return [*found, Declaration(lexed.span(begin, len(lexed.text)))]


def _closing(lexed: Lexed, at: int) -> int:
    """The offset behind the brace that closes the one before `at`."""
    depth, line_end = 1, at
    for m in lexer(marks=_BRACES).finditer(lexed.text, at):
        if m["hash"]:
            line_end = lexed.line_end(m)
        elif m["mark"] and m.start("mark") >= line_end:
            depth += _nesting(m["mark"])
            if depth == 0:
                return m.end()
    return len(lexed.text)
