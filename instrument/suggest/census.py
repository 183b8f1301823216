# SPDX-License-Identifier: MIT
"""What the preprocessor makes of each word with a pointer's name, in every translation unit.

Knows preprocessed text and its line markers. Must not know what is done with a pointer. Each word in the sources
gets a mark, which the preprocessor carries along through macros; a name that comes out without one was made by a
macro, by the command line or by a file that is no input.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from instrument.lexer import Word
from instrument.markers import path_of
from instrument.model import Edit, Place, Span, Unit
from instrument.preprocessed import declarations
from instrument.suggest.patch import patched
from instrument.suggest.scopes import outermost
from instrument.suggest.source import Source, View
from instrument.suggest.units import Units

if TYPE_CHECKING:
    from tree_sitter import Node

_MARK = re.compile(rb"__scs(\d+)__")
_TOKEN = re.compile(rb'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[A-Za-z_$][\w$]*')
_MARKER = re.compile(rb'^# (\d+) "([^"\\\n]*(?:\\.[^"\\\n]*)*)"((?: \d)*)$', re.MULTILINE)
_LINE = re.compile(rb"^#.*$", re.MULTILINE)
_WORDS = frozenset(("__extension__", "__restrict", "__inline", "__const", "__volatile__", "__signed__", "_Noreturn"))
"""Words that the grammar need not see, as compilers and the C library spell them."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A name in preprocessed text that no word of the sources became: where it stands, and the unit's file."""

    path: str
    line: int
    main: str


@dataclass(slots=True)
class Census:
    """By the places of words: `made` are those that mean what a file declares at file scope, each as often as a macro
    repeats it, None where the syntax is not understood. `seen` has them all, `quoted` those that a macro makes
    a string or a part of a name of. `taken` tells that there was a preprocessor."""

    taken: bool = False
    made: dict[Place, list[View | None]] = field(default_factory=dict)
    seen: set[Place] = field(default_factory=set)
    quoted: set[Place] = field(default_factory=set)
    strangers: dict[str, set[Stranger]] = field(default_factory=dict)


def census(units: Units, sources: Mapping[str, Source], names: Set[str]) -> Census:
    """That of `names` in every unit of the program."""
    words = [(source, word) for source in sources.values() for word in _words(source, names)]
    edits: dict[str, list[Edit]] = {}
    for number, (source, word) in enumerate(words):
        end = word.span.end
        edits.setdefault(source.path, []).append(Edit(Span(end, end), b"__scs%d__" % number))
    places = [source.place(word.span.start) for source, word in words]
    all_units = units.of(sources)
    after = {path: patched(sources[path].data, each) for path, each in edits.items()}
    taker = _Taker(Census(True), places, frozenset(name.encode() for name in names), units)
    for unit, text in zip(all_units, units.preprocessed(all_units, after), strict=True):
        taker.take(unit, text)
    return taker.found


def _words(source: Source, names: Set[str]) -> Iterator[Word]:
    """Those of code and of macros' bodies, but for the macros' own parameters."""
    for name in names & source.named.keys():
        for word in source.named[name]:
            body = word.directive == "define" and word.line is not None and word.span.start >= word.line.start
            if word.directive is None or (body and not source.parameter(word)):
                yield word


_Leaf = tuple[Word, "Node | None"]


@dataclass(frozen=True, slots=True)
class _Text:
    """Preprocessed text without marks, and without line markers in `blank`. `hits` are the names in it, `numbers` the
    marks that they had by where they start."""

    data: bytes
    blank: bytes
    hits: tuple[Span, ...]
    numbers: Mapping[int, int]


class _Taker:
    """`places` has what each mark stands for."""

    def __init__(self, found: Census, places: Sequence[Place], names: Set[bytes], units: Units) -> None:
        self.found, self.places, self.names, self.units = found, places, names, units
        self._pieces: dict[bytes, Source] = {}
        self._units: dict[bytes, Source] = {}
        self._known: set[tuple[int, int, int | None]] = set()

    def take(self, unit: Unit, data: bytes) -> None:
        text = self._plain(data)
        starts = [hit.start for hit in text.hits]
        for declaration in declarations(text.data) if text.hits else ():
            span = declaration.span
            inside = text.hits[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
            if inside:
                self._piece(unit, text, span, inside)

    def _plain(self, data: bytes) -> _Text:
        """The text without its marks, and what had one or should have."""
        parts: list[bytes] = []
        hits: list[Span] = []
        numbers: dict[int, int] = {}
        done = length = 0
        for m in _TOKEN.finditer(data):
            marked = _MARK.findall(m[0])
            name = _MARK.sub(b"", m[0]) if marked else m[0]
            if not marked and name not in self.names:
                continue
            length += m.start() - done
            parts += (data[done : m.start()], name)
            done = m.end()
            places = {self.places[int(number)] for number in marked}
            self.found.seen |= places
            exact = len(marked) == 1 and m[0] == b"%b__scs%b__" % (name, marked[0])
            if name in self.names:
                hits.append(Span(length, length + len(name)))
            if exact:
                numbers[length] = int(marked[0])
            elif marked:
                self.found.quoted |= places
            length += len(name)
        plain = b"".join([*parts, data[done:]])
        return _Text(plain, _LINE.sub(lambda m: b" " * len(m[0]), plain), tuple(hits), numbers)

    def _piece(self, unit: Unit, text: _Text, span: Span, hits: Sequence[Span]) -> None:
        """Note what one declaration, or definition, says with the names."""
        data = text.blank[span.start : span.end]
        piece = self._pieces.get(data) or self._pieces.setdefault(data, Source("", data, _WORDS))
        words: dict[str, list[Word]] = {}
        for hit in hits:
            name = text.data[hit.start : hit.end].decode()
            words.setdefault(name, []).append(Word(Span(hit.start - span.start, hit.end - span.start), name))
        for name, each in words.items():
            leaves = [(word, piece.leaf(word)) for word in each]
            if any(node is None for _, node in leaves):
                self._note(unit, text, name, *self._whole(text, span.start, each))
            else:
                self._note(unit, text, name, piece, span.start, leaves)

    def _whole(self, text: _Text, start: int, words: Sequence[Word]) -> tuple[Source, int, list[_Leaf]]:
        """The same in the tree of the whole unit: definitions as of 1978 are more than one piece."""
        whole = self._units.get(text.blank) or Source("", text.blank, _WORDS)
        self._units = {text.blank: whole}
        moved = [Word(Span(w.span.start + start, w.span.end + start), w.text) for w in words]
        return whole, 0, [(word, whole.leaf(word)) for word in moved]

    def _note(self, unit: Unit, text: _Text, name: str, source: Source, start: int, leaves: Sequence[_Leaf]) -> None:
        for word, node in outermost(leaves):
            number = text.numbers.get(word.span.start + start)
            known = (id(source), word.span.start, number)
            if number is None:
                self._strange(unit, text, name, word.span.start + start, node is not None)
            elif known not in self._known:
                self._known.add(known)
                view = View(source, node) if node is not None else None
                self.found.made.setdefault(self.places[number], []).append(view)

    def _strange(self, unit: Unit, text: _Text, name: str, at: int, understood: bool) -> None:
        marker = _MARKER.match(text.data, text.data.rfind(b"\n# ", 0, at) + 1)
        if marker is None or (b"3" in marker[3] and not understood):
            return  # what a system's header says in words of its own that are not read for sure
        line = int(marker[1]) + text.data.count(b"\n", marker.end() + 1, at)
        path = os.path.normpath(unit.cwd / path_of(marker[2]))
        stranger = Stranger(self.units.relative(path), line, self.units.name(unit))
        self.found.strangers.setdefault(name, set()).add(stranger)
