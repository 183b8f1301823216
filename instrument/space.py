# SPDX-License-Identifier: MIT
"""Where memory of a program that runs or ran is to be had: what is mapped, and which files that came from.

Knows mappings and files; nothing of static calls, nor whether the program is alive.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from instrument import image, symbols
from instrument.diagnostics import InstrumentError
from instrument.image import Image
from instrument.memory import PAGE, Memory, Unreadable


@dataclass(frozen=True, slots=True)
class Mapping:
    """`path` is "" for memory that no file is behind; `offset` is where in the file it begins."""

    start: int
    end: int
    offset: int
    path: str
    executable: bool


class Space(Protocol):
    """A program's memory, at one moment or at all times. `name` is what messages call it."""

    name: str

    def mappings(self) -> Sequence[Mapping]: ...

    def memory(self) -> Memory:
        """A view of this moment."""

    def file(self, mapping: Mapping) -> bytes | None:
        """The content of the file behind a mapping, or None where that is not to be had."""


def images(mappings: Sequence[Mapping]) -> Iterator[Mapping]:
    """Mappings of files that have code mapped as well: programs and libraries, no data."""
    code = {mapping.path for mapping in mappings if mapping.executable and mapping.path}
    return (mapping for mapping in mappings if mapping.path in code)


class Names:
    """Addresses -> functions and lines, by the files that a space maps. A file is read once, when it is needed."""

    def __init__(self, space: Space, root: str = "/") -> None:
        """`root` is what the paths of mappings are below."""
        self._space, self._root = space, root
        self._mappings = sorted(space.mappings(), key=lambda mapping: mapping.start)
        self._starts = [mapping.start for mapping in self._mappings]
        self._images: dict[str, Image | None] = {}

    def mapping(self, address: int) -> Mapping | None:
        index = bisect_right(self._starts, address) - 1
        found = self._mappings[index] if index >= 0 else None
        return found if found is not None and address < found.end else None

    def image(self, address: int) -> tuple[Image, int] | None:
        """The file that the address is of, and by how much its addresses were moved."""
        mapping = self.mapping(address)
        if mapping is None or not mapping.path:
            return None
        if mapping.path not in self._images:
            self._images[mapping.path] = self._load(mapping)
        found = self._images[mapping.path]
        bias = _bias(found, mapping) if found is not None else None
        return (found, bias) if found is not None and bias is not None else None

    def _load(self, mapping: Mapping) -> Image | None:
        data = self._space.file(mapping)
        try:
            return image.load(mapping.path, data, self._root) if data is not None else None
        except InstrumentError:
            return None

    def name(self, address: int) -> str:
        """`function`, `function+0x10`, else `file+0x10` by the place in the file, else the address."""
        found = self.image(address)
        if found is not None:
            named = symbols.shown(found[0].symbols.at(address - found[1]))
            if named is not None:
                return named
        mapping = self.mapping(address)
        if mapping is None or not mapping.path:
            return f"{address:#x}"
        file = mapping.path.rpartition("/")[2].removesuffix(" (deleted)")
        return f"{file}+{address - mapping.start + mapping.offset:#x}"

    def start(self, address: int) -> int:
        """Where the function begins that the address is in, as far as symbols tell."""
        found = self.image(address)
        return found[0].start(address - found[1]) + found[1] if found is not None else address

    def path(self, address: int) -> str:
        mapping = self.mapping(address)
        return mapping.path if mapping is not None else ""

    def lines(self, addresses: set[int]) -> dict[int, tuple[str, int]]:
        of: dict[int, set[int]] = {}
        known: dict[int, tuple[Image, int]] = {}
        for address in addresses:
            if (found := self.image(address)) is not None:
                known[id(found[0])] = found
                of.setdefault(id(found[0]), set()).add(address)
        lines = {}
        for number, wanted in of.items():
            file, bias = known[number]
            for address, place in file.lines({address - bias for address in wanted}).items():
                lines[address + bias] = place
        return lines


def _bias(file: Image, mapping: Mapping) -> int | None:
    for address, _, offset in file.segments:
        if offset // PAGE * PAGE <= mapping.offset <= offset:
            return mapping.start - (address - offset + mapping.offset)
    # The later pages of a segment, split off by mprotect().
    for address, size, offset in file.segments:
        if offset <= mapping.offset < offset + size:
            return mapping.start - (address - offset + mapping.offset)
    return None


def text(mappings: Sequence[Mapping], memory: Memory, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The code that is mapped between two addresses."""
    for mapping in mappings:
        if mapping.executable and mapping.start < end and start < mapping.end:
            try:
                yield mapping.start, memory.read(mapping.start, mapping.end - mapping.start)
            except Unreadable:
                continue
