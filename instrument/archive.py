# SPDX-License-Identifier: MIT
"""A static library -> its members (ar(5), with GNU's and BSD's long names, and GNU's thin ones)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PLAIN, THIN = b"!<arch>\n", b"!<thin>\n"
_HEADER = 60
_INDEXES = ("/", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED")


class DamagedError(Exception):
    """The file does not go on as an archive must."""


def is_archive(data: bytes) -> bool:
    return data[:8] in (PLAIN, THIN)


def members(path: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The name and the content of each member. Raises DamagedError, also for a thin member that is not there."""
    thin, at, names = data[:8] == THIN, 8, b""
    while at < len(data):
        header = data[at : at + _HEADER]
        size_text = header[48:58].strip()
        if len(header) < _HEADER or header[58:] != b"`\n" or not size_text.isdigit():
            raise DamagedError("it is damaged: a member's header is none")
        name, size, at = header[:16].decode(errors="replace").rstrip(), int(size_text), at + _HEADER
        outside = thin and name not in ("//", *_INDEXES)
        content = b"" if outside else data[at : at + size]
        if not outside and len(content) < size:
            raise DamagedError("it is truncated: a member ends behind the file's end")
        at += 0 if outside else size + size % 2
        if name == "//":
            names = content
            continue
        if name.startswith("#1/") and name[3:].isdecimal():
            length = int(name[3:])
            name, content = content[:length].rstrip(b"\0").decode(errors="replace"), content[length:]
        elif name.startswith("/") and name[1:].isdecimal():
            name = names[int(name[1:]) :].partition(b"\n")[0].decode(errors="replace").removesuffix("/")
        elif name not in _INDEXES:
            name = name.removesuffix("/")
        if name in _INDEXES:
            continue
        yield name, _outside(Path(path).parent / name) if outside else content


def _outside(member: Path) -> bytes:
    try:
        return member.read_bytes()
    except (OSError, ValueError) as error:
        # A ValueError is a name that no file can have.
        why = error.strerror if isinstance(error, OSError) else error
        raise DamagedError(f"its member {member} cannot be read: {why}") from None
