# SPDX-License-Identifier: MIT
"""What debug information hides of the records that a function passes by value, read from the text instead.

Knows which texts leave no trace in debug information; must not know classes or registers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from instrument import bitfields, compiler
from instrument.model import Content, CType, Function, Qualified, Record, Typedef
from instrument.value import dataclass, replace

TRANSPARENT = compiler.TRANSPARENT.encode()

_TOKEN = re.compile(rb""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<word>[A-Za-z_$][\w$]*)|[{};]""")


@dataclass(frozen=True)
class Text:
    """One translation unit, preprocessed; read only if a record is passed by value."""

    text: bytes

    @cached_property
    def unnamed(self) -> list[range]:
        return bitfields.lines(self.text)

    @cached_property
    def transparent(self) -> frozenset[str]:
        """The names of transparent unions, their tags or typedefs, and others; "*" if one could have any name."""
        return frozenset(_transparent(self.text)) if TRANSPARENT in self.text else frozenset()


def _transparent(text: bytes) -> Iterator[str]:
    """Every word of a declaration at file scope with the attribute; it may stand behind the braces or before them."""
    words: set[bytes] = set()
    depth = 0
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word == b"{":
            depth += 1
        elif word == b"}":
            depth = max(depth - 1, 0)
        elif word == b";" and not depth:
            yield from (name.decode() for name in words if TRANSPARENT in words)
            words.clear()
        elif token["word"] and not depth:
            words.add(word)
        elif word == TRANSPARENT:
            yield "*"


def told(fn: Function, text: Text) -> Function:
    """`fn`, its records' contents with what `text` says of them."""
    return replace(fn, result=_value(fn.result, text), params=tuple(_value(t, text) for t in fn.params))


def _value(t: CType, text: Text, names: tuple[str, ...] = ()) -> CType:
    """`t`, a type with the given typedef names."""
    match t:
        case Typedef(name=name):
            return replace(t, target=_value(t.target, text, (*names, name)))
        case Qualified():
            return replace(t, target=_value(t.target, text, names))
        case Record(content=Content() as content, tag=tag) if content.fields:
            unseen = _unseen(t, content, text, {"*", *names, *([tag] if tag else [])})
            return replace(t, content=replace(content, unseen=unseen))
    return t


def _unseen(record: Record, content: Content, text: Text, names: set[str]) -> str | None:
    # By line alone, in whatever file: a record of the same line elsewhere only costs the inline form.
    if any(line in lines for line in content.lines for lines in text.unnamed):
        return "may have an unnamed bit-field, which compilers pass in different ways"
    if record.kind == "union" and not names.isdisjoint(text.transparent):
        return "may be a transparent union, which is passed as its first member"
    return None
