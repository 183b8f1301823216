# SPDX-License-Identifier: MIT
"""What a program has in its memory, wherever that is: in a file that was not started, a core, a live process."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

PAGE = 4096
_LONG = 16 * PAGE


class Unreadable(Exception):
    """There is nothing at an address."""


class Memory(Protocol):
    """Addresses are the program's own."""

    def read(self, address: int, length: int) -> bytes:
        """All `length` bytes. Raises Unreadable."""

    def pointer(self, address: int) -> int:
        """The eight bytes there, as the loader leaves them. Raises Unreadable."""


class Cached:
    """Each page is fetched once: a moment's view of memory that is far away. What is long is not kept."""

    def __init__(self, fetch: Callable[[int, int], bytes]) -> None:
        """`fetch` reads a whole page, or many; it raises Unreadable."""
        self._fetch = fetch
        self._pages: dict[int, bytes] = {}

    def read(self, address: int, length: int) -> bytes:
        if length > _LONG:
            try:
                return self._fetch(address, length)
            except Unreadable:
                # Not in one piece: some of a core's pages are in files.
                pass
        first = address // PAGE
        pages = [self._page(number) for number in range(first, (address + max(length, 1) - 1) // PAGE + 1)]
        offset = address - first * PAGE
        return b"".join(pages)[offset : offset + length]

    def pointer(self, address: int) -> int:
        return int.from_bytes(self.read(address, 8), "little")

    def _page(self, number: int) -> bytes:
        if number not in self._pages:
            self._pages[number] = self._fetch(number * PAGE, PAGE)
        return self._pages[number]


def string(memory: Memory, address: int, limit: int = 4096) -> str:
    """The C string at `address`, or as much of it as can be read; "?" if that is nothing."""
    found = b""
    while len(found) < limit:
        # Never over a page's end, behind which there may be nothing.
        step = PAGE - (address + len(found)) % PAGE
        try:
            found += memory.read(address + len(found), step)
        except Unreadable:
            # A file's sections end anywhere.
            found += _bytewise(memory, address + len(found))
            break
        if b"\0" in found:
            break
    return found.partition(b"\0")[0].decode(errors="replace") or "?"


def _bytewise(memory: Memory, address: int) -> bytes:
    found = b""
    try:
        while len(found) < PAGE and b"\0" not in found:
            found += memory.read(address + len(found), 1)
    except Unreadable:
        pass
    return found


def words(memory: Memory, address: int, count: int) -> tuple[int, ...]:
    """`count` unsigned eight-byte numbers. Raises Unreadable."""
    return struct.unpack(f"<{count}Q", memory.read(address, 8 * count))
