# SPDX-License-Identifier: MIT
"""Preprocessed text -> the lines of the records that have unnamed bit-fields.

Debug information leaves them out, and compilers disagree whether they make their eightbyte INTEGER (gcc before 12.1
also for those of width zero; parsing.md 3.5 and 3.6). Knows C tokens; must not know debug information or classes.

In doubt a bit-field counts as unnamed: the price is a call through the trampoline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    rb"""(?P<line>^[ \t]*\#[ \t]*(?:line[ \t]+)?(?P<number>\d+)[^\n]*)|(?P<directive>^[ \t]*\#[^\n]*)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<word>[A-Za-z_$][\w$]*)|(?P<newline>\n)
    |(?P<other>\?:|[^\s\w])""",
    re.MULTILINE | re.VERBOSE,
)

_RECORD = (b"struct", b"union")
_TAGGED = (*_RECORD, b"enum")
_TYPES = frozenset(b"int unsigned signed __signed__ __signed long short char _Bool bool __int128".split())
_QUALIFIERS = frozenset(b"const volatile _Atomic __const __volatile__ __const__ __volatile __extension__".split())


def lines(text: bytes) -> list[range]:
    """For each outermost struct or union with such a bit-field in it, the lines that it stands on."""
    return [found for found in _records(text) if found]


class _Declaration:
    """The tokens of one member since the last separator."""

    def __init__(self) -> None:
        self.words: list[bytes] = []
        self.other = False

    def unnamed(self, before: bytes) -> bool:
        """Whether a colon behind it begins a bit-field without a name."""
        words = [word for word in self.words if word not in _QUALIFIERS]
        if before == b",":
            return not words
        tagged = len(words) == 2 and words[0] in _TAGGED
        return self.other or tagged or len(words) < 2 or words[-1] in _TYPES


def _records(text: bytes) -> Iterator[range]:
    """A range for each outermost record, an empty one where all bit-fields have names."""
    line, begin, found = 1, 0, False
    depths: list[bool] = []
    part, before = _Declaration(), b";"
    head: int | None = None
    for token in _TOKEN.finditer(text):
        kind, word = token.lastgroup, token[0]
        if kind == "newline":
            line += 1
        elif token["number"]:
            # The line that follows has this number, and the directive's own end of line counts one.
            line = int(token["number"]) - 1
        elif word == b"{":
            record = any(w in _RECORD for w in part.words)
            if record and not any(depths):
                begin, found = head or line, False
            depths.append(record)
            part, before, head = _Declaration(), word, None
        elif word == b"}":
            if depths and depths.pop() and not any(depths):
                yield range(begin, line + 1) if found else range(0)
            part, before, head = _Declaration(), word, None
        elif word in (b";", b","):
            part, before, head = _Declaration(), word, None
        elif word == b":" and depths and depths[-1]:
            found = found or part.unnamed(before)
        elif kind == "word":
            head = head or line
            part.words.append(word)
        elif kind == "other":
            part.other = True
