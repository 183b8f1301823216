# SPDX-License-Identifier: MIT
"""A stripped file -> the file that its debug information was put into, where gdb would look for it.

By build-id below /usr/lib/debug/.build-id; by the name and checksum of .gnu_debuglink beside it, in .debug, and below
/usr/lib/debug. What is found is taken only where it is of this build.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from instrument.identity import build_id

_GLOBAL = "usr/lib/debug"


def find(path: str, data: bytes, link: bytes, root: str = "/") -> bytes | None:
    """`data` is the file's content, `link` that of its .gnu_debuglink, b"" where there is none; `root` is what
    absolute paths are below."""
    if number := build_id(data):
        text = number.hex()
        found = _content(Path(root, _GLOBAL, ".build-id", text[:2], f"{text[2:]}.debug"))
        if found is not None and build_id(found) == number:
            return found
    name, _, _ = link.partition(b"\0")
    if name and len(link) >= 8:
        checksum = int.from_bytes(link[-4:], "little")
        for candidate in _beside(path, name.decode(errors="surrogateescape"), root):
            found = _content(candidate)
            if found is not None and zlib.crc32(found) == checksum:
                return found
    return None


def _beside(path: str, name: str, root: str) -> Iterator[Path]:
    folder = Path(root, path.lstrip("/")).parent if path.startswith("/") else Path(path).parent
    yield folder / name
    yield folder / ".debug" / name
    yield Path(root, _GLOBAL, *Path(path).resolve().parent.parts[1:], name)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None
