# SPDX-License-Identifier: MIT
"""Addresses -> names, from an ELF file's symbol tables. Knows nothing of static calls.

Read by hand: elftools takes 40 us a symbol.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import Any

_ENTRY = struct.Struct("<IBBHQQ")
_FUNC, _IFUNC, _NOTYPE, _OBJECT = 2, 10, 0, 1
_UNDEFINED, _COMMON, _ABSOLUTE = 0, 0xFFF2, 0xFFF1


class Symbols:
    """The defined functions and objects of one file, .symtab and .dynsym together, by address."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int, str]] = {}
        self._starts: list[int] = []

    def add(self, name: str, kind: int, bind: int, address: int, size: int) -> None:
        """Of several names for one address the best one stays: a function's, with a size, global, without a dot."""
        if kind not in (_FUNC, _IFUNC, _NOTYPE, _OBJECT) or not name or name.startswith((".L", "$")):
            return
        rank = 8 * (kind in (_FUNC, _IFUNC)) + 4 * bool(size) + 2 * bool(bind) + ("." not in name)
        if address not in self._known or self._known[address][0] < rank:
            self._known[address] = rank, size, name
            self._starts.clear()

    def at(self, address: int) -> tuple[str, int] | None:
        """The symbol whose range holds the address, and how far in that is."""
        if not self._starts:
            self._starts = sorted(self._known)
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start = self._starts[index]
        _, size, name = self._known[start]
        return (name, address - start) if address < start + max(size, 1) else None

    def start(self, address: int) -> int | None:
        """Where the symbol begins whose range holds the address."""
        found = self.at(address)
        return address - found[1] if found else None


def entries(elf: Any, table: Any) -> list[tuple[str, int, int, int, int, int]]:
    """(name, kind, bind, section, value, size) of each symbol of a table, in its order."""
    names = elf.get_section(table["sh_link"]).data()
    data = table.data()
    return [
        (_string(names, at), info & 15, info >> 4, section, value, size)
        for at, info, _, section, value, size in _ENTRY.iter_unpack(data[: len(data) // _ENTRY.size * _ENTRY.size])
    ]


def read(elf: Any, known: Symbols | None = None) -> Symbols:
    """The symbols of a linked file, with those that are known."""
    found = known or Symbols()
    for table in elf.iter_sections():
        if table["sh_type"] in ("SHT_SYMTAB", "SHT_DYNSYM"):
            for name, kind, bind, section, value, size in entries(elf, table):
                if section not in (_UNDEFINED, _COMMON, _ABSOLUTE):
                    found.add(name, kind, bind, value, size)
    return found


def _string(table: bytes, at: int) -> str:
    end = table.find(b"\0", at)
    return table[at : end if end >= 0 else None].decode(errors="replace")


def shown(found: tuple[str, int] | None) -> str | None:
    """`name` or `name+0x10`."""
    if found is None:
        return None
    name, offset = found
    return f"{name}+{offset:#x}" if offset else name
