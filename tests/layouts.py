# SPDX-License-Identifier: MIT
"""The same C text in other bytes: line ends, blanks, comments, splices, digraphs. Each keeps what the text means."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

_TOKEN = re.compile(
    rb"(?P<directive>^[ \t]*#(?:[^\n\\]|\\.|\\\n)*)|(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<blank>\s+)"
    rb"|(?P<literal>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')|(?P<mark>\.\.\.|->|[-+*/%&|^=!<>]=|<<=?|>>=?|&&|\|\|"
    rb"|\+\+|--|##|[{}\[\]()])|(?P<other>\.?[0-9](?:[\w.]|[eEpP][+-])*|[\w$\x80-\xff]+|.)",
    re.MULTILINE | re.DOTALL,
)
_DIGRAPHS = {b"{": b"<%", b"}": b"%>", b"[": b"<:", b"]": b":>", b"#": b"%:", b"##": b"%:%:"}


def tokens(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What the text is made of; a directive is one piece."""
    for m in _TOKEN.finditer(data):
        yield str(m.lastgroup), m[0]


def blanks(data: bytes, between: bytes) -> bytes:
    """With `between` in every gap between tokens, where there was one and where there was none."""
    pieces: list[bytes] = []
    last = ""
    for kind, text in tokens(data):
        # The name of a macro's macro must stay where it is, and a directive begins its line.
        if last not in ("", "directive") and kind != "directive" and "blank" not in (kind, last):
            pieces.append(between)
        pieces.append(between + text if kind == "blank" and b"\n" not in text else text)
        last = kind
    return b"".join(pieces)


def digraphs(data: bytes) -> bytes:
    pieces = []
    for kind, text in tokens(data):
        if kind == "mark":
            pieces.append(_DIGRAPHS.get(text, text))
        elif kind == "directive":
            pieces.append(b"%:" + digraphs(text.lstrip()[1:].lstrip()) if b"include" not in text else text)
        else:
            pieces.append(text)
    return b"".join(pieces)


def splices(data: bytes, splice: bytes, seed: int = 1, share: float = 0.2) -> bytes:
    """Lines that go on, at a share of all places, also inside of names."""
    chance, pieces = random.Random(seed), []
    for at in range(len(data)):
        # Of two backslashes before a line's end only the last goes away, and a backslash must keep its line end.
        if chance.random() < share and data[at - 1 : at] != b"\\":
            pieces.append(splice)
        pieces.append(data[at : at + 1])
    return b"".join(pieces)


def bytes_in_comments(data: bytes, more: bytes) -> bytes:
    return b"".join(text[:2] + more + text[2:] if kind == "comment" else text for kind, text in tokens(data))


LAYOUTS: dict[str, Callable[[bytes], bytes]] = {
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "bom": lambda data: b"\xef\xbb\xbf" + data,
    "bom, crlf, no final newline": lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n").rstrip(),
    "carriage returns alone": lambda data: data.replace(b"\n", b"\r"),
    "no final newline": lambda data: data.rstrip(),
    "tabs": lambda data: blanks(data, b"\t\f \v"),
    "newlines": lambda data: blanks(data, b"\n"),
    "comments": lambda data: blanks(data, b" /* static_call( ) \" ' // */ "),
    "line comments": lambda data: blanks(data, b" // static_call(k)(1) /* ( \" '\n"),
    "splices": lambda data: splices(data, b"\\\n"),
    "splices with blanks, crlf": lambda data: splices(data, b"\\ \t\n").replace(b"\n", b"\r\n"),
    "digraphs": digraphs,
    "not utf-8": lambda data: bytes_in_comments(data, b"\xe9\xff\x80 \0 \xf0\x9f"),
}
