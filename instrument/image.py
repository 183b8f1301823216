# SPDX-License-Identifier: MIT
"""An ELF file -> the memory that a program would have of it. Knows ELF for x86-64; nothing of static calls.

An object file is laid out as a linker would, one section behind the other, so that all that follows sees programs.
"""

from __future__ import annotations

import io
import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from instrument import inlined, lines, objectfile, separate, symbols
from instrument.diagnostics import Finding, InstrumentError
from instrument.memory import Unreadable
from instrument.symbols import Symbols

_ALLOC, _EXECUTABLE = 2, 4
_NOBITS, _RELA = "SHT_NOBITS", "SHT_RELA"
# SHT_ANDROID_REL and SHT_ANDROID_RELA, which no loader for this ABI reads.
_PACKED = (0x6000_0001, 0x6000_0002)
_NOWHERE, _NEAR = 0x7FF0_0000_0000, 0x4000_0000
"""Where symbols are put that are some other file's: no program is there; and for an object file, whose calls are to
reach them, no section."""
_64, _PC32, _GOT32, _PLT32, _COPY, _GLOB_DAT, _JUMP_SLOT, _RELATIVE = 1, 2, 3, 4, 5, 6, 7, 8
_GOTPCREL, _32, _32S, _PC64, _GOTPCRELX, _REX_GOTPCRELX = 9, 10, 11, 24, 41, 42
_RELAY = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25(....)", re.DOTALL)
_UNDEFINED, _COMMON = 0, 0xFFF2
_PIE = 0x0800_0000


@dataclass(slots=True)
class Section:
    name: str
    start: int
    data: bytes
    executable: bool
    relocatable: bool = False

    @property
    def end(self) -> int:
        return self.start + len(self.data)


@dataclass(slots=True)
class Image:
    """One file. `fixups` are the pointers that the loader fills in, with what it fills in: the address of something
    here, or one of `imports`, names by addresses that stand for what is elsewhere. `relays` are PLT entries and the
    like, with the pointer that each goes by. `kind` is one of "program", "library" and "object"."""

    path: str
    kind: str
    sections: list[Section]
    symbols: Symbols
    fixups: dict[int, int] = field(default_factory=dict)
    imports: dict[int, str] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    relays: dict[int, int] = field(default_factory=dict)
    segments: list[tuple[int, int, int]] = field(default_factory=list)
    debug: Callable[[str], bytes] = lambda name: b""
    _starts: list[int] = field(default_factory=list)

    def arrange(self) -> None:
        """All sections are there: from now on they are looked for."""
        self.sections.sort(key=lambda section: section.start)
        self._starts = [section.start for section in self.sections]

    def section_at(self, address: int) -> Section | None:
        index = bisect_right(self._starts, address) - 1
        section = self.sections[index] if index >= 0 else None
        return section if section is not None and address < section.end else None

    def read(self, address: int, length: int) -> bytes:
        section = self.section_at(address)
        if section is None or address + length > section.end:
            raise Unreadable(address)
        return section.data[address - section.start : address - section.start + length]

    def pointer(self, address: int) -> int:
        if address in self.fixups:
            return self.fixups[address]
        return int.from_bytes(self.read(address, 8), "little")

    def text(self) -> Iterator[tuple[int, bytes]]:
        for section in self.sections:
            if section.executable:
                yield section.start, section.data

    def place(self, address: int) -> str:
        """`function+0x10`, else `.text+0x10`, else the address."""
        return symbols.shown(self.symbols.at(address)) or self.in_section(address)

    def in_section(self, address: int) -> str:
        section = self.section_at(address)
        return f"{section.name}+{address - section.start:#x}" if section else f"{address:#x}"

    def start(self, address: int) -> int:
        """Where the function begins that the address is in, as far as symbols tell."""
        start = self.symbols.start(address)
        return address if start is None else start

    def lines(self, wanted: set[int]) -> dict[int, lines.Place]:
        """The lines of the wanted addresses; of what was inlined by a wrapper, those of the calls."""
        tables = lines.of(self.debug)
        found = lines.places(tables, wanted)
        # In a .dwo file the names are, where there are skeletons.
        names = any(inlined.WRAPPER in self.debug(name) for name in (".debug_str", ".debug_info"))
        if not names and not self.debug(".debug_addr"):
            return found
        return found | inlined.calls(lambda: objectfile.information(self.debug), tables, wanted & found.keys())


def refuse(path: str, why: str) -> InstrumentError:
    return InstrumentError(Finding("IN011", f"cannot read {path}: {why}"), status=2)


def load(path: str, data: bytes, root: str = "/") -> Image:
    """`root` is where debug information is looked for that is in a file of its own. Raises InstrumentError, status 2,
    for what is no x86-64 ELF file, or damaged."""
    check(path, data, len(data))
    # Not above: help, completions and manual pages, which know the commands' modules, are had without it.
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BytesIO(data))
        kind = elf["e_type"]
        if kind == "ET_CORE":
            raise refuse(path, "it is a core file, where a program or object is wanted")
        return _object(path, elf) if kind == "ET_REL" else _linked(path, elf, data, root)
    except InstrumentError:
        raise
    except Exception as error:
        # Whatever a damaged file makes a reader run into; it has read no code of ours by then.
        raise refuse(path, f"it is damaged ({type(error).__name__}: {' '.join(str(error).split())})") from error


def check(path: str, data: bytes, size: int | None = None) -> None:
    """Raises InstrumentError for what is no ELF file for x86-64 with 64-bit pointers, by its first 64 bytes; where
    the file's size is given, also for one that ends before what these name."""
    if data[:4] != b"\x7fELF":
        raise refuse(path, "it is no ELF file" if data else "it is empty")
    if len(data) < 64:
        raise refuse(path, "it ends within its header")
    (machine,) = struct.unpack_from("<H" if data[5] == 1 else ">H", data, 18)
    if machine == 62 and data[4] == 1:
        raise refuse(path, "it has 32-bit pointers (x32), where static calls need 64-bit ones")
    if machine != 62 or data[4] != 2 or data[5] != 1:
        raise refuse(path, f"it is for another machine ({_machine(machine)}), not for 64-bit x86-64")
    segments, sections = struct.unpack_from("<QQ", data, 32)
    segment_size, segment_count, section_size, section_count = struct.unpack_from("<4H", data, 54)
    end = max(segments + segment_size * segment_count, sections + section_size * section_count)
    if size is not None and size < end:
        raise refuse(path, f"it is truncated: it has {size} bytes, and its header tells of {end}")


def _undamaged(section: Callable[[str], bytes]) -> Callable[[str], bytes]:
    """What is read of a file beyond what it is inspected by is an aid: where it is damaged there is none."""

    @cache
    def read(name: str) -> bytes:
        try:
            return section(name)
        except Exception:
            # A bad index, a stream that does not decompress, a section that ends too early.
            return b""

    return read


def _machine(number: int) -> str:
    from elftools.elf.enums import ENUM_E_MACHINE

    return next((name for name, value in ENUM_E_MACHINE.items() if value == number), f"number {number}")


# ---- linked files -----------------------------------------------------------------------------------


def _linked(path: str, elf: Any, data: bytes, root: str) -> Image:
    headers = [(p["p_vaddr"], p["p_memsz"], p["p_offset"]) for p in elf.iter_segments("PT_LOAD")]
    sections = [
        Section(s.name, s["sh_addr"], bytes(s.data()), bool(s["sh_flags"] & _EXECUTABLE))
        for s in elf.iter_sections()
        if s["sh_flags"] & _ALLOC and s["sh_type"] != _NOBITS and s["sh_size"]
    ]
    size = elf.stream.getbuffer().nbytes
    for s in elf.iter_sections():
        if s["sh_type"] != _NOBITS and s["sh_offset"] + s["sh_size"] > size:
            raise refuse(path, f"it is truncated: {s.name or 'a section'} ends behind the file's end")
    if elf.num_sections() == 0:
        raise refuse(path, "it has no section headers, by which its tables are found")
    if any(s["sh_flags"] & _EXECUTABLE and s["sh_type"] == _NOBITS for s in elf.iter_sections()):
        raise refuse(path, "it holds debug information alone, and no code")
    image = Image(path, "program" if _is_program(elf) else "library", sections, symbols.read(elf), segments=headers)
    image.arrange()
    image.debug = _undamaged(lambda name: _contents(elf, name))
    if elf.get_section_by_name(".debug_line") is None:
        link = image.debug(".gnu_debuglink")
        if (other := separate.find(path, data, link, root)) is not None:
            _complete(image, other)
    _fix(image, elf)
    for section in image.sections:
        if section.executable and section.name.startswith(".plt"):
            for match in _RELAY.finditer(section.data):
                slot = section.start + match.end() + int.from_bytes(match[1], "little", signed=True)
                image.relays[section.start + match.start()] = slot
    return image


def _complete(image: Image, data: bytes) -> None:
    """With what was taken out of the file: its symbols, and the sections that it has no more."""
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BytesIO(data))
        symbols.read(elf, image.symbols)
    except Exception:
        # Damaged: then it is as if it were not there.
        return
    own, others = image.debug, _undamaged(lambda name: _contents(elf, name))
    image.debug = lambda name: own(name) or others(name)


def _is_program(elf: Any) -> bool:
    """Also one that is position-independent and static, which has no interpreter but a flag."""
    if elf["e_type"] == "ET_EXEC" or any(True for _ in elf.iter_segments("PT_INTERP")):
        return True
    tags = (tag for segment in elf.iter_segments("PT_DYNAMIC") for tag in segment.iter_tags("DT_FLAGS_1"))
    return any(tag["d_val"] & _PIE for tag in tags)


def _contents(elf: Any, name: str) -> bytes:
    section = elf.get_section_by_name(name)
    return bytes(section.data()) if section is not None and section["sh_type"] != _NOBITS else b""


def _fix(image: Image, elf: Any) -> None:
    for section in elf.iter_sections():
        if section["sh_type"] in _PACKED:
            raise refuse(image.path, "its relocations are packed as Android has them (--pack-dyn-relocs=android)")
        if section["sh_type"] != _RELA or not section["sh_flags"] & _ALLOC:
            continue
        table = elf.get_section(section["sh_link"]) if section["sh_link"] else None
        names = symbols.entries(elf, table) if table is not None and table["sh_type"] == "SHT_DYNSYM" else []
        data = section.data()
        for offset, info, addend in struct.iter_unpack("<QQq", data[: len(data) // 24 * 24]):
            kind, index = info & 0xFFFFFFFF, info >> 32
            if kind == _RELATIVE:
                image.fixups[offset] = addend
            elif kind in (_64, _GLOB_DAT, _JUMP_SLOT) and index < len(names):
                name, _, _, where, value, _ = names[index]
                image.fixups[offset] = (value if where != _UNDEFINED or value else _elsewhere(image, name)) + addend


def _elsewhere(image: Image, name: str) -> int:
    """An address that stands for what another file defines; the same for the same name."""
    address = image.places.get(name)
    if address is None:
        address = (_NEAR if image.kind == "object" else _NOWHERE) + 16 * len(image.imports)
        image.imports[address] = name
        image.places[name] = address
    return address


# ---- object files -----------------------------------------------------------------------------------


def _object(path: str, elf: Any) -> Image:
    """Laid out from a page's end on; the tables that are in many sections of one name become one."""
    size = elf.stream.getbuffer().nbytes
    bases: dict[int, int] = {}
    parts: dict[int, bytearray] = {}
    address = 0x1000
    # Made once: elftools takes 30 us for each, and an object may have one for each call.
    headers = list(enumerate(elf.iter_sections()))
    for number, section in sorted(headers, key=lambda item: _table_name(item[1])):
        if section["sh_type"] != _NOBITS and section["sh_offset"] + section["sh_size"] > size:
            raise refuse(path, f"it is truncated: {section.name or 'a section'} ends behind the file's end")
        if not section["sh_flags"] & _ALLOC or section["sh_size"] > 1 << 31:
            continue
        alignment = max(section["sh_addralign"], 1)
        address = -(-address // alignment) * alignment
        bases[number] = address
        if section["sh_type"] != _NOBITS:
            parts[number] = bytearray(section.data())
        address += section["sh_size"]
    image = Image(path, "object", [], Symbols())
    linker = _Linker(image, elf, [section for _, section in headers], bases, parts)
    linker.link()
    image.debug = _undamaged(linker.debug)
    joined: dict[str, Section] = {}
    for number, section in headers:
        if not parts.get(number):
            continue
        executable = bool(section["sh_flags"] & _EXECUTABLE)
        if section.name in joined and _table_name(section):
            joined[section.name].data += bytes(parts[number])
            continue
        piece = Section(section.name, bases[number], bytes(parts[number]), executable, relocatable=True)
        image.sections.append(piece)
        joined.setdefault(section.name, piece)
    image.arrange()
    return image


def _table_name(section: Any) -> str:
    """Tables lie side by side, as a linker puts them: a section whose name is a word of C."""
    return section.name if section.name.isidentifier() else ""


class _Linker:
    """Applies an object file's relocations to its sections where they were laid out."""

    def __init__(
        self, image: Image, elf: Any, sections: list[Any], bases: dict[int, int], parts: dict[int, bytearray]
    ) -> None:
        self._image, self._elf, self._sections, self._bases, self._parts = image, elf, sections, bases, parts
        self._relocations: dict[int, list[Any]] = {}
        for section in sections:
            if section["sh_type"] == _RELA:
                self._relocations.setdefault(section["sh_info"], []).append(section)
        self._slots: dict[int, int] = {}
        self._tables: dict[int, list[int]] = {}

    def link(self) -> None:
        for number, tables in self._relocations.items():
            if number in self._parts:
                for relocations in tables:
                    self._apply(relocations, self._parts[number], self._bases[number])

    def debug(self, name: str) -> bytes:
        for number, section in enumerate(self._sections):
            if section.name == name:
                data = bytearray(section.data())
                for relocations in self._relocations.get(number, ()):
                    self._apply(relocations, data, 0)
                return bytes(data)
        return b""

    def _values(self, link: int) -> list[int]:
        if link not in self._tables:
            table = symbols.entries(self._elf, self._elf.get_section(link))
            self._tables[link] = [self._value(*entry) for entry in table]
        return self._tables[link]

    def _value(self, name: str, kind: int, bind: int, section: int, value: int, size: int) -> int:
        if section in self._bases:
            address = self._bases[section] + value
            self._image.symbols.add(name, kind, bind, address, size)
            return address
        if section in (_UNDEFINED, _COMMON) and name:
            return _elsewhere(self._image, name)
        # Also a debug section's, which lies at 0.
        return value

    def _apply(self, relocations: Any, data: bytearray, base: int) -> None:
        values = self._values(relocations["sh_link"])
        raw = relocations.data()
        for offset, info, addend in struct.iter_unpack("<QQq", raw[: len(raw) // 24 * 24]):
            kind, symbol = info & 0xFFFFFFFF, values[info >> 32]
            place = base + offset
            if kind == _64:
                struct.pack_into("<Q", data, offset, (symbol + addend) % (1 << 64))
            elif kind in (_32, _32S):
                struct.pack_into("<I", data, offset, (symbol + addend) & 0xFFFFFFFF)
            elif kind in (_PC32, _PLT32):
                struct.pack_into("<I", data, offset, (symbol + addend - place) & 0xFFFFFFFF)
            elif kind in (_GOTPCREL, _GOTPCRELX, _REX_GOTPCRELX):
                struct.pack_into("<I", data, offset, (self._slot(symbol) + addend - place) & 0xFFFFFFFF)

    def _slot(self, symbol: int) -> int:
        """The GOT's entry for the symbol, which is not in any section: only what it holds is known."""
        if symbol not in self._slots:
            self._slots[symbol] = _GOT + 8 * len(self._slots)
            self._image.fixups[self._slots[symbol]] = symbol
        return self._slots[symbol]


_GOT = 0x6000_0000
"""Within 2 GiB of all that is laid out, and beyond it."""
