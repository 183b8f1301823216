# SPDX-License-Identifier: MIT
"""Object file -> its symbols, the initial targets of its keys, its debug information.

Knows ELF for x86-64; must not know C's types. Reads tables by hand where elftools takes longer than the compiler.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from elftools.elf.elffile import ELFFile

from instrument.model import Target

TARGET_PROBE = "__sci_"


def is_x86_64(data: bytes) -> bool:
    """Whether the object is little-endian ELF64 for EM_X86_64; x32 is EM_X86_64 too, but ELF32."""
    return data[:6] == b"\x7fELF\x02\x01" and struct.unpack_from("<H", data, 18)[0] == 62


_R_X86_64_64, _R_X86_64_32 = 1, 10
_STT_FUNC, _STT_SECTION = 2, 3
_STB_LOCAL, _STB_WEAK = 0, 2
_SHN_UNDEF = 0

# gcc appends ".0" to a static of a function, clang puts "function." before it.
_TARGET = re.compile(rf"(?:^|\.){TARGET_PROBE}([^.]+)(?:\.\d+)?$")


def debug_information(elf: ELFFile, data: bytes) -> Any:
    """The debug information with its relocations applied, as if each section lay at 0.

    All of them lead into other debug sections, or to code, which nothing here looks at. elftools does this as
    well, but takes 0.3 ms for each, two thirds of the whole time; compressed sections are left to it.
    """
    relocations = list(elf.iter_sections("SHT_RELA"))
    targets = [elf.get_section(section["sh_info"]) for section in relocations]
    if any(target.compressed for target in targets):
        return elf.get_dwarf_info()
    done = bytearray(data)
    for section, target in zip(relocations, targets, strict=True):
        if target.name.startswith(".debug_"):
            for offset, info, addend in struct.iter_unpack("<QQq", section.data()):
                at = target["sh_offset"] + offset
                if info & 0xFFFFFFFF == _R_X86_64_32:
                    struct.pack_into("<I", done, at, addend & 0xFFFFFFFF)
                elif info & 0xFFFFFFFF == _R_X86_64_64:
                    struct.pack_into("<q", done, at, addend)
    return ELFFile(io.BytesIO(done)).get_dwarf_info(relocate_dwarf_sections=False)


@dataclass(frozen=True, slots=True)
class Symbol:
    """An entry of the symbol table, by ELF's own numbers."""

    name: str
    kind: int
    bind: int
    section: int
    value: int

    @property
    def defined(self) -> bool:
        return self.section != _SHN_UNDEF

    @property
    def target(self) -> Target:
        return Target(self.name, self.bind == _STB_LOCAL)


def targets(elf: ELFFile, symbols: Sequence[Symbol]) -> dict[str, Target]:
    """Key -> the function that its `__sci_` pointer is relocated to."""
    probes = [(m[1], s) for s in symbols if (m := _TARGET.search(s.name))]
    if not probes:
        return {}
    relocations = _relocations(elf, {s.section for _, s in probes})
    functions: dict[tuple[int, int], set[Target]] = {}
    for s in symbols:
        if s.kind == _STT_FUNC:
            functions.setdefault((s.section, s.value), set()).add(s.target)
    named: dict[str, set[Target]] = {}
    for key, probe in probes:
        if (probe.section, probe.value) in relocations:
            index, addend = relocations[probe.section, probe.value]
            symbol = symbols[index]
            # A weak function that nobody defines is NULL, and a jump to it a crash: the slot knows better.
            missing = symbol.bind == _STB_WEAK and symbol.section == _SHN_UNDEF
            local = symbol.kind == _STT_SECTION
            found = functions.get((symbol.section, addend), set()) if local else {symbol.target}
            named.setdefault(key, set()).update(() if missing else found)
    return {key: next(iter(names)) for key, names in named.items() if len(names) == 1}


def symbols(elf: ELFFile) -> list[Symbol]:
    """The symbol table. Read by hand: elftools takes 40 us a symbol, and sqlite3.c has 3,000."""
    table = elf.get_section_by_name(".symtab")
    if table is None:
        return []
    names = elf.get_section(table["sh_link"]).data()
    return [
        Symbol(
            names[at : names.index(b"\0", at)].decode("utf-8", "surrogateescape"),
            info & 15,
            info >> 4,
            section,
            value,
        )
        for at, info, _, section, value, _ in struct.iter_unpack("<IBBHQQ", table.data())
    ]


def _relocations(elf: ELFFile, sections: Collection[int]) -> dict[tuple[int, int], tuple[int, int]]:
    """(section, offset) -> (symbol's index, addend) of the 64-bit absolute relocations."""
    return {
        (section["sh_info"], offset): (info >> 32, addend)
        for section in elf.iter_sections("SHT_RELA")
        if section["sh_info"] in sections
        for offset, info, addend in struct.iter_unpack("<QQq", section.data())
        if info & 0xFFFFFFFF == _R_X86_64_64
    }
