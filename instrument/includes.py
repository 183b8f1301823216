# SPDX-License-Identifier: MIT
"""Who includes whom, by the text of `#include` lines and base names.

Knows no compiler and no conditions, so it finds too much (in comments, in dead branches) rather than too
little: whoever asks must be right, only slower or more careful, with an include too many.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# Expressions for text without splices.
_SPLICE = re.compile(rb"\\[ \t\f\v\0]*\r?\n")
_GAP = rb"(?:[ \t\f\v\0]|/\*(?:[^*]|\*(?!/))*\*/)"
# Each starts with a word, which is what makes a search fast.
_INCLUDES = tuple(
    re.compile(word + _GAP + rb"*[<\"]([^>\"\r\n]+)[>\"]") for word in (b"include", b"include_next", b"import")
)
_COMPUTED = tuple(
    re.compile(word + _GAP + rb"+[\w$\\\x80-\xff]") for word in (b"include", b"include_next", b"import")
)
_HASH = re.compile(rb"(?:\#|%:|\?\?=)" + _GAP + rb"*\Z")
_SOURCE = re.compile(rb"\.c\b")
_QUOTED, _WORD = re.compile(rb"[^<>\"/\n]+\Z"), re.compile(rb"[\w.+-]+\Z")
_DIRECTIVE = re.compile(rb"\#|%:|\?\?=")
_FORCED = re.compile(r".*[/=]|^-i(?:nclude|macros)")


class Includes:
    """The graph over `files`, which `links` give further names. Files that `contents` lacks may include anything."""

    def __init__(self, files: Iterable[str], links: Mapping[str, str], contents: Mapping[str, bytes]) -> None:
        self.files = tuple(files)
        self._contents = contents
        self._texts: dict[str, bytes] = {}
        self._by_base: dict[str, list[str]] = {}
        self._by_included: dict[str, list[str]] = {}
        aliases = ((link, os.path.normpath(Path(link).parent / target)) for link, target in links.items())
        for alias, name in (*((name, name) for name in self.files), *aliases):
            self._by_base.setdefault(_base(alias), []).append(name)

    def computed(self, name: str) -> bool:
        """Whether the text does not tell all that a file includes."""
        text = self._text(name)
        words = (m.start() for word in _COMPUTED for m in word.finditer(text))
        return name not in self._contents or any(_HASH.search(text[max(0, at - 1000) : at]) for at in words)

    def some_computed(self) -> bool:
        """Whether any of the files that are at hand has an include which its text does not tell."""
        return any(map(self.computed, self._contents))

    def sources(self) -> set[str]:
        """The .c files that some file's text names: in quotes, or in a directive that may become an include."""
        found: set[str] = set()
        for name in self._contents:
            text = self._text(name)
            for m in _SOURCE.finditer(text):
                start = text[text.rfind(b"\n", 0, m.start()) + 1 : m.end()]
                patterns = (_QUOTED, _WORD) if _DIRECTIVE.search(start) else (_QUOTED,)
                if text[m.end() : m.end() + 1] in (b'"', b">") or len(patterns) > 1:
                    words = (word[0] for pattern in patterns if (word := pattern.search(start)))
                    found.update(file for word in words for file in self._by_base.get(os.fsdecode(word), ()))
        return found

    def included(self, sources: Iterable[str]) -> set[str]:
        """What `sources` include, through other files too."""
        seen: set[str] = set()
        for name in (queue := sorted(sources)):
            new = [file for base in self._names(name) for file in self._by_base.get(base, ()) if file not in seen]
            seen.update(new)
            queue.extend(dict.fromkeys(new))
        return seen

    def possible(self, sources: Iterable[str], words: Iterable[str]) -> set[str]:
        """What `sources`, compiled with `words` among their flags, may include: `included`, and what lies behind
        `-include` and computed includes."""
        start = set(sources)
        forced = {file for word in words for file in self._by_base.get(_FORCED.sub("", word), ())} if start else set()
        found = forced | self.included(start | forced)
        if any(self.computed(name) for name in start | found):
            found |= {name for name in self.files if not name.endswith(".c")} | self.sources()
        return found

    def includers(self, name: str) -> Iterator[str]:
        """The files that include `name`, nearest first, and before them itself."""
        if not self._by_included:
            for file in sorted(self._contents):
                for base in self._names(file):
                    for included in self._by_base.get(base, ()):
                        self._by_included.setdefault(included, []).append(file)
        seen = {name}
        for file in (queue := [name]):
            yield file
            new = [includer for includer in self._by_included.get(file, ()) if includer not in seen]
            seen.update(new)
            queue.extend(new)

    def _names(self, name: str) -> list[str]:
        """The base names of what a file includes."""
        return sorted(
            {_base(os.fsdecode(header)) for names in _INCLUDES for header in names.findall(self._text(name))}
        )

    def _text(self, name: str) -> bytes:
        if name not in self._texts:
            data = self._contents.get(name, b"")
            self._texts[name] = _SPLICE.sub(b"", data) if b"\\" in data else data
        return self._texts[name]


def _base(name: str) -> str:
    return name.rpartition("/")[2]
