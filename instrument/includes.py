# SPDX-License-Identifier: MIT
"""Who includes whom, by the text of `#include` lines and base names.

Knows no compiler and no conditions, so it finds too much (in comments, in dead branches) rather than too
little: whoever asks must be right, only slower or more careful, with an include too many.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from sys import intern

# Expressions for text without splices.
_SPLICE = re.compile(rb"\\[ \t\f\v\0]*\r?\n")
_GAP = rb"(?:[ \t\f\v\0]|/\*(?:[^*]|\*(?!/))*\*/)"
_WORDS = (b"include", b"import", b"embed")
"""`bytes.find` looks for a word several times as fast as `re` does. A file may also only be asked for, by
__has_include: then it matters whether it is there."""
_NAME = re.compile(rb"\w*" + _GAP + rb"*(?:\(" + _GAP + rb"*)?[<\"]([^>\"\r\n]+)[>\"]")
_COMPUTED = re.compile(rb"(?:_next)?" + _GAP + rb"+[\w$\\\x80-\xff]")
_ASKED = re.compile(rb"\w*" + _GAP + rb"*\(" + _GAP + rb"*[\w$\\\x80-\xff]")
_HASH = re.compile(rb"(?:\#|%:|\?\?=)" + _GAP + rb"*\Z")
_SOURCE = re.compile(rb"\.c\b")
_QUOTED, _WORD = re.compile(rb"[^<>\"/\n]+\Z"), re.compile(rb"[\w.+-]+\Z")
_DIRECTIVE = re.compile(rb"\#|%:|\?\?=")
_FORCED = re.compile(r".*[/=]|^-i(?:nclude|macros)")
_LINKS = 40
_UPWARDS = (b"../", b"../../")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file's text tells: the names that it includes, as they are spelled, and the base names of .c files;
    whether that is not all that it may include; how many directories up it may lead, at most 2."""

    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    computed: bool = False
    ups: int = 0


_UNKNOWN = Facts(computed=True)


def facts(data: bytes) -> Facts:
    """What the text `data` tells."""
    text = _SPLICE.sub(b"", data) if b"\\" in data else data
    names: set[str] = set()
    computed = False
    for word in _WORDS:
        at = text.find(word)
        while at >= 0:
            end = at + len(word)
            if m := _NAME.match(text, end):
                names.add(intern(os.fsdecode(m[1])))
            elif not computed and _COMPUTED.match(text, end):
                computed = _HASH.search(text, max(0, at - 1000), at) is not None
            elif not computed and text[max(0, at - 4) : at] == b"has_":
                computed = _ASKED.match(text, end) is not None
            at = text.find(word, end)
    ups = sum(up in data for up in _UPWARDS) if _UPWARDS[0] in data else 0
    return Facts(tuple(sorted(names)), tuple(sorted(_sources(text))), computed, ups)


def _sources(text: bytes) -> set[str]:
    """The .c files that a text names: in quotes, or in a directive that may become an include."""
    found: set[str] = set()
    for m in _SOURCE.finditer(text):
        start = text[text.rfind(b"\n", 0, m.start()) + 1 : m.end()]
        patterns = (_QUOTED, _WORD) if _DIRECTIVE.search(start) else (_QUOTED,)
        if text[m.end() : m.end() + 1] in (b'"', b">") or len(patterns) > 1:
            found.update(os.fsdecode(word[0]) for pattern in patterns if (word := pattern.search(start)))
    return found


@dataclass(frozen=True, slots=True)
class Reached:
    """The files that a compiler may read, and the directories that must be there for it to find them."""

    files: set[str]
    folders: set[str]


class Includes:
    """The graph over `files`, which `links` give further names. Files that `told` lacks may include anything."""

    def __init__(self, files: Iterable[str], links: Mapping[str, str], told: Mapping[str, Facts]) -> None:
        self.files = tuple(files)
        self._told = told
        self._links = links
        self._by_base: dict[str, list[str]] = {}
        self._by_included: dict[str, list[str]] = {}
        self._aliases: dict[str, list[str]] = {}
        for name in self.files:
            self._by_base.setdefault(_base(name), []).append(name)
        for link, target in links.items():
            name = os.path.normpath(Path(link).parent / target)
            self._by_base.setdefault(_base(link), []).append(name)
            self._aliases.setdefault(name, []).append(_base(link))

    @property
    def ups(self) -> int:
        """How many directories up from the root's files some text may lead."""
        return max((facts.ups for facts in self._told.values()), default=0)

    def computed(self, name: str) -> bool:
        """Whether the text does not tell all that a file includes."""
        return self._told.get(name, _UNKNOWN).computed

    def some_computed(self) -> bool:
        """Whether any of the files that are at hand has an include which its text does not tell."""
        return any(facts.computed for facts in self._told.values())

    def sources(self) -> set[str]:
        """The .c files that some file's text names."""
        return {
            file for facts in self._told.values() for name in facts.sources for file in self._by_base.get(name, ())
        }

    def included(self, sources: Iterable[str]) -> set[str]:
        """What `sources` include, through other files too."""
        seen: set[str] = set()
        bases: set[str] = set()
        for name in (queue := sorted(sources)):
            for base in self._names(name):
                if base not in bases:
                    bases.add(base)
                    new = [file for file in self._by_base.get(base, ()) if file not in seen]
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

    def includers(self, *names: str) -> Iterator[str]:
        """The files that include one of `names`, nearest first, and before them these themselves."""
        if not self._by_included:
            for file in sorted(self._told):
                for base in self._names(file):
                    self._by_included.setdefault(base, []).append(file)
        seen, bases = set(names), set[str]()
        for file in (queue := list(names)):
            yield file
            for base in {_base(file), *self._aliases.get(file, ())} - bases:
                bases.add(base)
                new = [includer for includer in self._by_included.get(base, ()) if includer not in seen]
                seen.update(new)
                queue.extend(new)

    def found(
        self, root: Path, sources: Iterable[str], folders: Iterable[str], forced: Iterable[str]
    ) -> Reached | None:
        """What a compiler finds in the tree at `root` for `sources`, each with `forced` included first, if it looks
        beside each file and in `folders`, which are names in the tree as well; None where some text does not tell.

        Exact, up to conditions, where `included` goes by base names: "types.h" is not every types.h of a tree.
        """
        places = [_path("", folder) for folder in folders]
        known, every = frozenset(self.files), frozenset(_ancestors(self.files))
        reached = Reached(set(), set(filter(every.__contains__, places)))
        first = dict.fromkeys(sources)
        queue = [(name.rpartition("/")[0], name) for name in first]
        seen = set(queue)
        for folder, file in queue:
            reached.files.add(file)
            if self.computed(file):
                return None
            for name in (*self._told[file].names, *(forced if file in first else ())):
                for place in (folder, *places):
                    spelled = f"{place}/{name}" if place else name
                    parent, _, base = spelled.rpartition("/")
                    where = self._folder(parent, every, reached.folders)
                    if where is None:
                        # Up, and perhaps down again to the tree.
                        if not frozenset(root.parts[-2:]).isdisjoint(name.split("/")):
                            return None
                        continue
                    at = self._followed(f"{where}/{base}" if where else base)
                    if at in known and (where, at) not in seen:
                        seen.add((where, at))
                        queue.append((where, at))
        return reached

    def _folder(self, path: str, every: Set[str], passed: set[str]) -> str | None:
        """The directory that `path` leads to, links followed; None outside. `passed` gets what a `..` needs there."""
        if path in every or (not self._links and ".." not in path):
            return path
        at = ""
        for part in path.split("/"):
            if part == "..":
                if not at:
                    return None
                if at in every:
                    passed.add(at)
                at = at.rpartition("/")[0]
            elif part not in ("", "."):
                at = self._followed(f"{at}/{part}" if at else part)
        return at

    def _followed(self, name: str) -> str:
        """`name`, or what it is a link to."""
        for _ in range(_LINKS):
            target = self._links.get(name)
            if target is None:
                break
            name = _path(name.rpartition("/")[0], target)
        return name

    def names(self, name: str) -> tuple[str, ...]:
        """What the text of a file includes, as it is spelled."""
        return self._told.get(name, _UNKNOWN).names

    def _names(self, name: str) -> set[str]:
        """The base names of what a file includes."""
        return {_base(included) for included in self._told.get(name, _UNKNOWN).names}


def _path(folder: str, name: str) -> str:
    """The normal form of `name` seen from `folder`, "" for the root itself."""
    whole = os.path.normpath(f"{folder}/{name}" if folder else name)
    return "" if whole == "." else whole


def _ancestors(names: Iterable[str]) -> Iterator[str]:
    """The directories of `names`."""
    seen = {""}
    yield ""
    for name in names:
        folder = name.rpartition("/")[0]
        while folder not in seen:
            seen.add(folder)
            yield folder
            folder = folder.rpartition("/")[0]


def _base(name: str) -> str:
    return name.rpartition("/")[2]
