# SPDX-License-Identifier: MIT
"""The beginning of an ELF file -> what tells it from another build. Knows ELF headers and the build-id note."""

from __future__ import annotations

import struct
from mmap import mmap

_PT_NOTE, _NT_GNU_BUILD_ID = 4, 3
_HEADER, _NOTE = struct.Struct("<IIQQQQQQ"), struct.Struct("<III")


def same(one: bytes, other: bytes) -> bool:
    """Whether two beginnings may be of one build: by the build-ids, else by the entry and the program headers, which
    `strip` and `objcopy` leave as they are."""
    ids = build_id(one), build_id(other)
    return ids[0] == ids[1] if all(ids) else _headers(one) == _headers(other)


def build_id(data: bytes) -> bytes:
    """The note that linkers write, b"" where there is none in these bytes."""
    for kind, _, offset, _, _, size, _, _ in segments(data):
        at, end = offset, min(offset + size, len(data))
        while kind == _PT_NOTE and at + _NOTE.size <= end:
            name, length, what = _NOTE.unpack_from(data, at)
            begin = at + _NOTE.size + (name + 3 & ~3)
            if what == _NT_GNU_BUILD_ID and data[at + _NOTE.size : at + _NOTE.size + name] == b"GNU\0":
                return data[begin : begin + length]
            at = begin + (length + 3 & ~3)
    return b""


def segments(data: bytes | mmap) -> list[tuple[int, ...]]:
    """The program headers, each as its eight fields; none where the bytes do not have them all."""
    if len(data) < 64:
        return []
    (table,), (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
    if size != _HEADER.size or table + size * count > len(data):
        return []
    return list(_HEADER.iter_unpack(data[table : table + size * count]))


def _headers(data: bytes) -> tuple[bytes, list[tuple[int, ...]]]:
    # Where they are mapped, and how much: the offsets in the file may be others.
    return data[24:32], [(kind, flags, to, held) for kind, flags, _, to, _, _, held, _ in segments(data)]
