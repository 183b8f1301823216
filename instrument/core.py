# SPDX-License-Identifier: MIT
"""A core file -> the memory of the program that it is of, with the files that it names (core(5), NT_FILE)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from instrument.image import check, refuse
from instrument.memory import Cached, Unreadable
from instrument.space import Mapping

_ET_CORE = 4


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
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            check(path, self._data[:64], len(self._data))
            try:
                elf = ELFFile(file)
                self._parts = [
                    _Part(
                        p["p_vaddr"],
                        p["p_vaddr"] + p["p_memsz"],
                        p["p_offset"],
                        p["p_filesz"],
                        bool(p["p_flags"] & 1),
                    )
                    for p in elf.iter_segments("PT_LOAD")
                ]
                files = _files(elf)
            except Exception as error:
                why = f"it is damaged ({type(error).__name__}: {' '.join(str(error).split())})"
                raise refuse(path, why) from error
        if any(part.offset + part.held > len(self._data) for part in self._parts):
            raise refuse(path, "it is truncated: a part of its memory ends behind the file's end")
        self._mappings = [
            Mapping(
                start, end, offset, name, any(p.executable and p.start < end and start < p.end for p in self._parts)
            )
            for start, end, offset, name in files
        ]
        self._contents: dict[str, bytes | None] = {}
        self._memory = Cached(self._fetch)

    def mappings(self) -> Sequence[Mapping]:
        return self._mappings

    def memory(self) -> Cached:
        return self._memory

    def file(self, mapping: Mapping) -> bytes | None:
        if mapping.path not in self._contents:
            try:
                path = self._root / mapping.path.removesuffix(" (deleted)").lstrip("/")
                self._contents[mapping.path] = path.read_bytes()
            except OSError:
                self._contents[mapping.path] = None
        return self._contents[mapping.path]

    def missing(self) -> list[str]:
        """Files with code that are not where the core names them."""
        code = {mapping.path: mapping for mapping in self._mappings if mapping.executable}
        return sorted(path for path, mapping in code.items() if self.file(mapping) is None)

    def _fetch(self, address: int, length: int) -> bytes:
        for part in self._parts:
            if part.start <= address and address + length <= part.start + part.held:
                at = part.offset + address - part.start
                return self._data[at : at + length]
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
