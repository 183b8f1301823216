# SPDX-License-Identifier: MIT
"""A core file -> the memory of the program that it is of, with the files that it names (core(5), NT_FILE)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from instrument.identity import same, segments
from instrument.image import check, refuse
from instrument.memory import PAGE, Cached, Unreadable
from instrument.space import Mapping

_ET_CORE, _PT_LOAD = 4, 1


def is_core(header: bytes) -> bool:
    """By the first 18 bytes of a file."""
    return header[:4] == b"\x7fELF" and len(header) >= 18 and struct.unpack_from("<H", header, 16)[0] == _ET_CORE


@dataclass(frozen=True, slots=True)
class _Part:
    """What the core holds of a range of memory; the rest of it, and of a `Mapping`, is in its file."""

    start: int
    end: int
    offset: int
    held: int
    executable: bool


class Core:
    """The memory of a core file; pages that the kernel left out, since a file has them, come from there."""

    def __init__(self, path: str, root: str = "/") -> None:
        """`root` is what the paths in it are below. Raises InstrumentError, status 2, for what is no core of an
        x86-64 program, or damaged."""
        self.name = path
        self._root = Path(root)
        with Path(path).open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        check(path, self._data[:64])
        # gdb's cores have section headers, at their end, which is the first to be cut off; nothing here needs them.
        self._data[40:48], self._data[58:64] = bytes(8), bytes(6)
        self._parts = [
            _Part(start, start + size, offset, held, bool(flags & 1))
            for kind, flags, offset, start, _, held, size, _ in segments(self._data)
            if kind == _PT_LOAD
        ]
        self.cut = any(offset + held > len(self._data) for _, _, offset, _, _, held, *_ in segments(self._data))
        """Whether the file ends before what it says that it holds, as `ulimit -c` makes it."""
        from elftools.elf.elffile import ELFFile

        try:
            files = _files(ELFFile(cast(IO[bytes], self._data)))
        except Exception as error:
            why = "truncated" if self.cut else f"damaged ({type(error).__name__}: {' '.join(str(error).split())})"
            raise refuse(path, f"it is {why}") from error
        if not self._parts:
            raise refuse(path, "it has no memory")
        self._contents: dict[str, bytes | None] = {}
        self._strangers: set[str] = set()
        self._mappings = [Mapping(start, end, offset, name, False) for start, end, offset, name in files]
        self._mappings = [replace(mapping, executable=self._executable(mapping)) for mapping in self._mappings]
        self._memory = Cached(self._fetch)

    def _executable(self, mapping: Mapping) -> bool:
        """As the core says; gdb leaves out of it what is in a file, and with it what may be executed."""
        parts = [part for part in self._parts if part.start < mapping.end and mapping.start < part.end]
        if parts:
            return any(part.executable for part in parts)
        return any(
            kind == _PT_LOAD and flags & 1 and offset // PAGE * PAGE <= mapping.offset < offset + size
            for kind, flags, offset, _, _, size, _, _ in segments((self.file(mapping) or b"")[:PAGE])
        )

    def mappings(self) -> Sequence[Mapping]:
        return self._mappings

    def memory(self) -> Cached:
        return self._memory

    def file(self, mapping: Mapping) -> bytes | None:
        """Only if it is the build that the core is of, as far as the core has its beginning."""
        if mapping.path not in self._contents:
            self._contents[mapping.path] = self._read(mapping.path)
        return self._contents[mapping.path]

    def _read(self, name: str) -> bytes | None:
        try:
            content = (self._root / name.removesuffix(" (deleted)").lstrip("/")).read_bytes()
        except OSError:
            return None
        if (begins := self._beginning(name)) is not None and not same(begins, content[:PAGE]):
            self._strangers.add(name)
            return None
        return content

    def _beginning(self, name: str) -> bytes | None:
        """The first page of a file as it was mapped; the kernel puts that into a core for just this purpose."""
        start = next((m.start for m in self._mappings if m.path == name and m.offset == 0), None)
        try:
            return self._held(start, PAGE) if start is not None else None
        except Unreadable:
            return None

    def missing(self) -> dict[str, str]:
        """Files with code that are not where the core names them, and what is there instead."""
        code = {mapping.path: mapping for mapping in self._mappings if mapping.executable}
        why = ("is not there", "is another build than the core's")
        return {path: why[path in self._strangers] for path in sorted(code) if self.file(code[path]) is None}

    def lacks(self, address: int) -> bool:
        """Whether the file ends before what it says that it holds of the address."""
        return any(p.start + len(self._data) - p.offset <= address < p.start + p.held for p in self._parts)

    def _held(self, address: int, length: int) -> bytes | None:
        """What the core has of memory, None where that is left to files. Raises Unreadable where it is cut off."""
        for part in self._parts:
            if part.start <= address and address + length <= part.start + part.held:
                at = part.offset + address - part.start
                if at + length > len(self._data):
                    raise Unreadable(address)
                return self._data[at : at + length]
        return None

    def _fetch(self, address: int, length: int) -> bytes:
        if (held := self._held(address, length)) is not None:
            return held
        for mapping in self._mappings:
            if mapping.start <= address < mapping.end:
                content = self.file(mapping)
                at = mapping.offset + address - mapping.start
                if content is not None and at < len(content):
                    return content[at : at + length].ljust(length, b"\0")
        raise Unreadable(address)


def _files(elf: Any) -> list[tuple[int, int, int, str]]:
    for segment in elf.iter_segments("PT_NOTE"):
        for note in segment.iter_notes():
            if note["n_type"] == "NT_FILE":
                described = note["n_desc"]
                entries = zip(described["Elf_Nt_File_Entry"], described["filename"], strict=True)
                size = described["page_size"]
                return [
                    (entry["vm_start"], entry["vm_end"], entry["page_offset"] * size, name.decode(errors="replace"))
                    for entry, name in entries
                ]
    return []
