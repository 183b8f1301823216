# SPDX-License-Identifier: MIT
"""Addresses -> source lines, from .debug_line alone (DWARF 2 to 5, section 6.2). Knows nothing of static calls.

By hand, since elftools decodes the tables of every unit that may hold the address. Here the units are found by the
bytes with which every assembler sets an address, and only those are run that may hold a wanted one.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

Place = tuple[str, int]
"""A file's path, as the compiler was given it, and a line from 1."""
Row = tuple[int, int, int]
"""An address, a file's number, a line."""

_SET_ADDRESS = re.compile(rb"\x00\x09\x02(?=(.{8}))", re.DOTALL)
# Bytes of the forms that a file's or directory's entry may have in DWARF 5.
_FIXED = {0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x1E: 16, 0x0E: 4, 0x1F: 4, 0x17: 4}
_STRING, _UDATA, _BLOCK, _STRP, _LINE_STRP = 0x08, 0x0F, 0x09, 0x0E, 0x1F
_PATH, _DIRECTORY = 1, 2


@dataclass(frozen=True, slots=True)
class Sections:
    """The contents of .debug_line, .debug_line_str and .debug_str, uncompressed, relocations applied."""

    line: bytes
    line_str: bytes = b""
    str: bytes = b""


@dataclass(slots=True)
class Unit:
    """The head of a table, which is that of one translation unit as a rule."""

    offset: int
    version: int
    start: int
    end: int
    least: int
    base: int
    width: int
    opcodes: int
    lengths: bytes
    directories: list[str]
    files: list[tuple[str, int]]

    def name(self, index: int) -> str:
        """A file's path, by its number."""
        # Files count from 1 before DWARF 5; directory 0 is the compiler's own, which the name is relative to.
        at = index if self.version >= 5 else index - 1
        if not 0 <= at < len(self.files):
            return "?"
        name, directory = self.files[at]
        at = directory if self.version >= 5 else directory - 1
        if name.startswith("/") or directory == 0 or not 0 <= at < len(self.directories):
            return name
        return f"{self.directories[at]}/{name}".removeprefix("./")


def places(sections: Sections, wanted: Collection[int]) -> dict[int, Place]:
    """The line of each wanted address that the tables know; damaged tables know nothing."""
    found: dict[int, Place] = {}
    for unit, addresses in units(sections, wanted).values():
        # Of what the linker has left out the sequence stays, with addresses from 0; the nearest one is right.
        for rows in sorted(_sequences(sections.line, unit), key=lambda rows: rows[0][0]):
            for address in addresses[bisect_left(addresses, rows[0][0]) : bisect_left(addresses, rows[-1][0])]:
                if (place := _among(rows, address, unit)) is not None:
                    found[address] = place
    return found


def units(sections: Sections, wanted: Collection[int]) -> dict[int, tuple[Unit, list[int]]]:
    """The tables that may tell of the wanted addresses, by their offsets in .debug_line, with these in order: of each
    address the one that names the last address before it."""
    named = []
    for unit in _units(sections) if wanted else ():
        for match in _SET_ADDRESS.finditer(sections.line, unit.start, unit.end):
            named.append((struct.unpack("<Q", match[1])[0], unit))
    named.sort(key=lambda item: item[0])
    keys = [address for address, _ in named]
    found: dict[int, tuple[Unit, list[int]]] = {}
    for address in sorted(wanted):
        if (index := bisect_right(keys, address) - 1) >= 0:
            unit = named[index][1]
            found.setdefault(unit.offset, (unit, []))[1].append(address)
    return found


def first(sections: Sections) -> Unit | None:
    """The head of the first table, for who wants the names of its files alone."""
    return next(_units(sections), None)


def _among(rows: list[Row], address: int, unit: Unit) -> Place | None:
    """By the last row that is not behind the address; the last of all only tells where the sequence ends."""
    index = bisect_right(rows, address, key=lambda row: row[0]) - 1
    if not 0 <= index < len(rows) - 1 or not rows[index][2]:
        return None
    return unit.name(rows[index][1]), rows[index][2]


# ---- the machine that makes the rows ----------------------------------------------------------------


def _sequences(data: bytes, unit: Unit) -> Iterator[list[Row]]:
    """The sequences of a table, each as its rows; of a damaged one those before the damage.

    From the table's beginning on: an address is set also in the middle of a sequence (gas does it where it does not
    know yet how far two functions are apart), with the file and line that are reached by then.
    """
    rows: list[Row] = []
    try:
        for row in _rows(data, unit):
            rows.append(row[:3])
            if row[3]:
                yield rows
                rows = []
    except (IndexError, struct.error):
        return


def _rows(data: bytes, unit: Unit) -> Iterator[tuple[int, int, int, bool]]:
    """(address, file, line, whether a sequence ends)."""
    at = unit.start
    address, file, line = 0, 1, 1
    while at < unit.end:
        opcode = data[at]
        at += 1
        if opcode >= unit.opcodes:
            step, more = divmod(opcode - unit.opcodes, unit.width)
            address, line = address + step * unit.least, line + unit.base + more
            yield address, file, line, False
        elif opcode == 0:
            length, at = _uleb(data, at)
            if data[at] == 1:
                yield address, file, line, True
                address, file, line = 0, 1, 1
            if data[at] == 2:
                address = int.from_bytes(data[at + 1 : at + length], "little")
            at += length
        elif opcode == 1:
            yield address, file, line, False
        elif opcode == 2:
            step, at = _uleb(data, at)
            address += step * unit.least
        elif opcode == 3:
            step, at = _sleb(data, at)
            line += step
        elif opcode == 4:
            file, at = _uleb(data, at)
        elif opcode == 8:
            address += (255 - unit.opcodes) // unit.width * unit.least
        elif opcode == 9:
            address += struct.unpack_from("<H", data, at)[0]
            at += 2
        else:
            for _ in range(unit.lengths[opcode - 1]):
                _, at = _uleb(data, at)


# ---- headers ----------------------------------------------------------------------------------------


def _units(sections: Sections) -> Iterator[Unit]:
    data, at = sections.line, 0
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        if length >= 0xFFFFFFF0:
            # 64-bit DWARF; no compiler writes it without being asked.
            return
        end = at + 4 + length
        try:
            unit = _unit(sections, at, at + 4, end)
        except (IndexError, ValueError, KeyError, struct.error):
            unit = None
        if unit is not None and end <= len(data):
            yield unit
        at = end


def _unit(sections: Sections, offset: int, at: int, end: int) -> Unit | None:
    data = sections.line
    (version,) = struct.unpack_from("<H", data, at)
    if not 2 <= version <= 5:
        return None
    at += 4 if version >= 5 else 2
    (length,) = struct.unpack_from("<I", data, at)
    start = at + 4 + length
    at += 4
    least = data[at]
    at += 3 if version >= 4 else 2
    base, width, opcodes = struct.unpack_from("<bBB", data, at)
    if not width:
        return None
    lengths = data[at + 3 : at + 2 + opcodes]
    at += 2 + opcodes
    if version >= 5:
        rows, at = _table(sections, at)
        files, _ = _table(sections, at)
        directories = [name for name, _ in rows]
    else:
        directories, files, at = _old_tables(data, at)
    return Unit(offset, version, start, end, least, base, width, opcodes, lengths, directories, files)


def _old_tables(data: bytes, at: int) -> tuple[list[str], list[tuple[str, int]], int]:
    directories: list[str] = []
    files: list[tuple[str, int]] = []
    while data[at]:
        name, at = _text(data, at)
        directories.append(name)
    at += 1
    while data[at]:
        name, at = _text(data, at)
        directory, at = _uleb(data, at)
        _, at = _uleb(data, at)
        _, at = _uleb(data, at)
        files.append((name, directory))
    return directories, files, at


def _table(sections: Sections, at: int) -> tuple[list[tuple[str, int]], int]:
    """The directories, or the files, of DWARF 5: each a path and the number of its directory."""
    data = sections.line
    shape = []
    count, at = data[at], at + 1
    for _ in range(count):
        what, at = _uleb(data, at)
        form, at = _uleb(data, at)
        shape.append((what, form))
    total, at = _uleb(data, at)
    rows = []
    for _ in range(total):
        values: dict[int, str | int] = {}
        for what, form in shape:
            values[what], at = _value(sections, form, at)
        rows.append((str(values.get(_PATH, "?")), int(values.get(_DIRECTORY, 0))))
    return rows, at


def _value(sections: Sections, form: int, at: int) -> tuple[str | int, int]:
    data = sections.line
    if form == _STRING:
        return _text(data, at)
    if form == _UDATA:
        return _uleb(data, at)
    if form == _BLOCK:
        length, at = _uleb(data, at)
        return 0, at + length
    size = _FIXED[form]
    number = int.from_bytes(data[at : at + size], "little")
    if form in (_STRP, _LINE_STRP):
        return _text(sections.str if form == _STRP else sections.line_str, number)[0], at + size
    return number, at + size


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at) if 0 <= at < len(data) else _missing()
    return data[at:end].decode(errors="replace"), end + 1


def _missing() -> int:
    raise IndexError("a string beyond its section")


def _uleb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _sleb(data: bytes, at: int) -> tuple[int, int]:
    value, end = _uleb(data, at)
    bits = 7 * (end - at)
    return (value - (1 << bits) if data[end - 1] & 0x40 else value), end


Section = Callable[[str], bytes]


def of(section: Section) -> Sections:
    """The tables of a file, whose sections `section` hands out by name, empty where there is none."""
    return Sections(section(".debug_line"), section(".debug_line_str"), section(".debug_str"))
