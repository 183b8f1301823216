# SPDX-License-Identifier: MIT
"""The files of a tree, looked through once each; their bytes are kept only where they are worked on.

Knows how files are read and by how many processes; must not know what becomes of them. So the memory for a tree is
that for its names and its largest file, and for what mentions the API.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instrument import includes, inputs, workers
from instrument.inputs import State


class Contents(Mapping[str, bytes]):
    """The bytes of the files `states`, by name below `root`: read when they are asked for, or `kept`.

    Raises InstrumentError where a file is not what it was any more.
    """

    def __init__(self, root: Path, states: Mapping[str, State]) -> None:
        self._root = str(root)
        self._states = states
        self._kept: dict[str, bytes] = {}

    def keep(self, name: str) -> bytes:
        """The bytes of `name`, which will be asked for again."""
        self._kept[name] = self[name]
        return self._kept[name]

    def __getitem__(self, name: str) -> bytes:
        if name in self._kept:
            return self._kept[name]
        before = self._states[name]
        path = f"{self._root}/{name}"
        data, state = inputs.read(path)
        if state != before:
            raise inputs.changed(path)
        return data

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)


_BUILT = (b"\x7fELF", b"!<arch>\n", b"!<thin>\n")


@dataclass(frozen=True, slots=True)
class Files:
    """`digests` are those of the manifest, empty if nobody has asked for them; `chosen` are in the files' order;
    `built` are objects, libraries and programs."""

    contents: Contents
    states: Mapping[str, State]
    digests: Mapping[str, str]
    chosen: tuple[str, ...]
    built: frozenset[str]


def digest(data: bytes) -> str:
    """What the manifest says of a file's content."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def look(root: Path, names: Sequence[str], choose: Callable[[str, bytes], bool], digests: bool, jobs: int) -> Files:
    """Read every file below `root` that is among `names`."""

    def each(part: Sequence[str]) -> list[tuple[State, bool, str, bool]]:
        found = []
        for name in part:
            data, state = inputs.read(f"{root}/{name}")
            found.append((state, choose(name, data), digest(data) if digests else "", data.startswith(_BUILT)))
        return found

    found = workers.spread(each, names, jobs)
    states = {name: state for name, (state, *_) in zip(names, found, strict=True)}
    return Files(
        Contents(root, states),
        states,
        {name: value for name, (_, _, value, _) in zip(names, found, strict=True)} if digests else {},
        tuple(name for name, (_, chosen, *_) in zip(names, found, strict=True) if chosen),
        frozenset(name for name, (*_, built) in zip(names, found, strict=True) if built),
    )


def told(contents: Contents, jobs: int) -> dict[str, includes.Facts]:
    """What every file's text tells of what it includes."""
    names = list(contents)

    def each(part: Sequence[str]) -> list[includes.Facts]:
        return [includes.facts(contents[name]) for name in part]

    return dict(zip(names, workers.spread(each, names, jobs), strict=True))
