# SPDX-License-Identifier: MIT
"""Object file -> its symbols, the initial targets of its keys, its debug information.

Knows ELF for x86-64; must not know C's types. Reads tables by hand where elftools takes longer than the compiler.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from instrument.model import Target
from instrument.value import dataclass

if TYPE_CHECKING:
    from elftools.dwarf.dwarfinfo import DWARFInfo

TARGET_PROBE = "__sci_"


def is_x86_64(data: bytes) -> bool:
    """Whether the object is little-endian ELF64 for EM_X86_64; x32 is EM_X86_64 too, but ELF32."""
    return data[:6] == b"\x7fELF\x02\x01" and struct.unpack_from("<H", data, 18)[0] == 62


_R_X86_64_64, _R_X86_64_32 = 1, 10
_STT_FUNC, _STT_SECTION = 2, 3
_STB_LOCAL, _STB_WEAK = 0, 2
_SHN_UNDEF, _SHN_XINDEX = 0, 0xFFFF
_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS = 2, 4, 8
_SHF_COMPRESSED = 0x800
_HEADER = struct.Struct("<IIQQQQIIQQ")

# gcc appends ".0" to a static of a function, clang puts "function." before it.
_TARGET = re.compile(rf"(?:^|\.){TARGET_PROBE}([^.]+)(?:\.\d+)?$")


class Section(NamedTuple):
    """An entry of the section table: `name`, ELF's own numbers, and its bytes as they are in the file."""

    name: str
    kind: int
    flags: int
    link: int
    info: int
    offset: int
    data: bytes


def sections(data: bytes) -> list[Section]:
    """The sections of an object for x86-64. Raises struct.error where the table is not whole."""
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    first = _HEADER.unpack_from(data, table)
    # ELF has the true numbers in the first entry where they are too big for the file's header.
    count, names = count or first[5], first[6] if names == _SHN_XINDEX else names
    headers = [_HEADER.unpack_from(data, table + size * i) for i in range(count)]
    text = data[headers[names][4] :][: headers[names][5]]
    return [
        Section(
            text[name:].partition(b"\0")[0].decode("utf-8", "surrogateescape"),
            *(kind, flags, link, info, offset),
            data[offset : offset + size] if kind != _SHT_NOBITS else b"",
        )
        for name, kind, flags, _, offset, size, link, info, _, _ in headers
    ]


def debug_information(data: bytes, found: Sequence[Section]) -> Any:
    """The debug information with its relocations applied, as if each section lay at 0.

    All of them lead into other debug sections, or to code, which nothing here looks at. elftools does this as well,
    but takes 0.3 ms for each, two thirds of the whole time, and as long again to import what reads any ELF file;
    compressed sections are left to it.
    """
    if any(section.flags & _SHF_COMPRESSED or section.name.startswith(".zdebug_") for section in found):
        from elftools.elf.elffile import ELFFile

        return ELFFile(io.BytesIO(data)).get_dwarf_info()
    relocations = {section.info: section.data for section in found if section.kind == _SHT_RELA}
    by_name = {
        section.name: _relocated(section.data, relocations.get(i, b""))
        for i, section in enumerate(found)
        if section.name.startswith(".debug_")
    }
    return information(lambda name: by_name.get(name, b""))


def information(section: Callable[[str], bytes]) -> DWARFInfo:
    """elftools' view of debug sections, which `section` hands out by name: relocated, uncompressed, empty where there
    is none."""
    from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

    # Which sections it asks for differs between releases; each parameter has the section's name.
    code = DWARFInfo.__init__.__code__
    wanted = [word for word in code.co_varnames[: code.co_argcount] if word.endswith("_sec")]
    described = {}
    for word in wanted:
        name = f".{word.removesuffix('_sec')}"
        data = section(name) if name.startswith(".debug_") else b""
        described[word] = DebugSectionDescriptor(io.BytesIO(data), name, 0, len(data), 0) if data else None
    return DWARFInfo(config=DwarfConfig(True, "x64", 8), **described)


def _relocated(data: bytes, relocations: bytes) -> bytes:
    done = bytearray(data)
    for offset, info, addend in struct.iter_unpack("<QQq", relocations):
        if info & 0xFFFFFFFF == _R_X86_64_32:
            struct.pack_into("<I", done, offset, addend & 0xFFFFFFFF)
        elif info & 0xFFFFFFFF == _R_X86_64_64:
            struct.pack_into("<q", done, offset, addend)
    return bytes(done)


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


def targets(sections: Sequence[Section], symbols: Sequence[Symbol]) -> dict[str, Target]:
    """Key -> the function that its `__sci_` pointer is relocated to."""
    probes = [(m[1], s) for s in symbols if (m := _TARGET.search(s.name))]
    if not probes:
        return {}
    relocations = _relocations(sections, {s.section for _, s in probes})
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


def symbols(found: Sequence[Section]) -> list[Symbol]:
    """The symbol table."""
    table = next((section for section in found if section.kind == _SHT_SYMTAB), None)
    if table is None:
        return []
    names = found[table.link].data
    return [
        Symbol(
            names[at : names.index(b"\0", at)].decode("utf-8", "surrogateescape"),
            info & 15,
            info >> 4,
            section,
            value,
        )
        for at, info, _, section, value, _ in struct.iter_unpack("<IBBHQQ", table.data)
    ]


def _relocations(found: Sequence[Section], sections: Collection[int]) -> dict[tuple[int, int], tuple[int, int]]:
    """(section, offset) -> (symbol's index, addend) of the 64-bit absolute relocations."""
    return {
        (section.info, offset): (info >> 32, addend)
        for section in found
        if section.kind == _SHT_RELA and section.info in sections
        for offset, info, addend in struct.iter_unpack("<QQq", section.data)
        if info & 0xFFFFFFFF == _R_X86_64_64
    }
