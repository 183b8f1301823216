# SPDX-License-Identifier: MIT
"""Where the API's names stand in a C file.

Must not know types, scopes, modes, or whether a site is compiled at all.
"""

from __future__ import annotations

import re
import string
from functools import cache

from instrument.lexer import LONE_RETURN, SPLICE, Lexed, expression, lexer
from instrument.model import HEADERS, Api, Include, Place, Scanned, Token

_GLUE = SPLICE.pattern + rb"(?=[\w\\])"
_WORD_BYTES = frozenset(bytes((c,)) for c in b"0123456789_" + string.ascii_letters.encode())


@cache
def _api() -> re.Pattern[bytes]:
    return lexer(b"|".join(api.encode() for api in Api), bytes({ord(api[0]) for api in Api}))


def mentions(data: bytes) -> bool:
    """Whether `scan` may find anything: every name of the API and its header hold one of these words."""
    if _named(data):
        return True
    if b"\\" not in data:
        return False
    glued = (data[m.start() - 1 : m.start()] for m in expression(_GLUE).finditer(data))
    return any(map(_WORD_BYTES.__contains__, glued)) and _named(SPLICE.sub(b"", data))


def _named(data: bytes) -> bool:
    return b"static_call" in data or b"STATIC_CALL" in data


def scan(data: bytes, path: str = "") -> Scanned:
    """Every API name outside of comments and literals, and every #include of the headers."""
    lexed = Lexed(data)
    places = _Places(data, path, lexed.bom)
    tokens: list[Token] = []
    includes: list[Include] = []
    directive: re.Match[bytes] | None = None
    for m in _api().finditer(lexed.text):
        if m["hash"]:
            directive = m
            if m["header"] and (name := m["header"][1:-1].decode(errors="replace")) in HEADERS:
                header = lexed.span(*m.span("header"))
                includes.append(Include(places.at(header.start), header, name))
        elif m["word"]:
            start, end = m.span("word")
            # Most directives hold no name, so their ends are looked for only here.
            line = lexed.line(directive) if directive and start < lexed.line_end(directive) else None
            group = lexed.group(start, end, line.end if line else len(lexed.text))
            tokens.append(
                Token(
                    api=Api(group.text.decode()),
                    place=places.at(group.name.start),
                    name=group.name,
                    parens=group.parens,
                    key=group.first,
                    key_span=group.first_span,
                    rest=group.rest,
                    called=group.called,
                    macro=line.macro if line and start >= line.body else None,
                    directive=line.directive if line else None,
                )
            )
    return Scanned(tuple(tokens), tuple(includes))


class _Places:
    """Offsets to places. Asked in ascending order, it counts each line once."""

    def __init__(self, data: bytes, path: str, bom: int) -> None:
        # As many bytes, with a newline at each line's end.
        self._data = LONE_RETURN.sub(b"\n", data) if b"\r" in data else data
        self._path, self._line, self._start = path, 1, bom

    def at(self, offset: int) -> Place:
        lines = self._data.count(b"\n", self._start, offset)
        if lines:
            self._line += lines
            self._start = self._data.rindex(b"\n", self._start, offset) + 1
        return Place(self._path, self._line, offset - self._start + 1)
