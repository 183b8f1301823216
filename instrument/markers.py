# SPDX-License-Identifier: MIT
"""Where each part of preprocessed text comes from, and who brought static_call.h in.

Knows the line markers of gcc and clang. Must not know keys or types.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from instrument.diagnostics import Finding
from instrument.model import HEADERS, Place, Unit
from instrument.shadow import Shadow
from instrument.value import dataclass

_MARKER = re.compile(rb'\n# \d+ "([^"\\\n]*(?:\\.[^"\\\n]*)*)"((?: \d)*)$', re.MULTILINE)
_NO_FILE = frozenset({b"<built-in>", b"<command-line>", b"<command line>"})
_EXPANDED = re.compile(rb"__SC[KT]__")
_API = re.compile(rb"\b(?:static_call(?:_\w+)?|(?:DECLARE|DEFINE)_STATIC_CALL\w*)\b")


@dataclass(frozen=True, slots=True)
class Mark:
    """A line marker: from `start` on the text is from `path`, as the marker has it.

    `file` is the file that was really opened, where a #line directive has made up another path. `by` is set
    where the marker enters a file: the one that includes it, or "<command line>" and its like.
    """

    start: int
    path: str
    system: bool
    file: str
    by: str | None = None


def marks(text: bytes) -> list[Mark]:
    """The line markers of preprocessed text."""
    found: list[Mark] = []
    stack = [b""]
    for m in _MARKER.finditer(text):
        path, flags, by = m[1], m[2], None
        if b"1" in flags:
            by = path_of(stack[-1])
            stack.append(path)
        elif b"2" in flags and len(stack) > 1:
            stack.pop()
            # clang's first marker is the text's first line, which the expression does not find.
            stack[-1] = stack[-1] or path
        # Before the main file the compilers change the name without a flag, as #line does later.
        elif path in _NO_FILE or stack[-1] in {b"", *_NO_FILE}:
            stack[-1] = path
        found.append(Mark(m.start(), path_of(path), b"3" in flags, path_of(stack[-1]), by))
    return found


@cache
def path_of(marker: bytes) -> str:
    """A line marker's file name; the compilers escape quotes and backslashes, gcc other bytes in octal, clang tabs
    and newlines by letters."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3}|.)", _unescaped, marker))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    what = escape[1]
    return bytes([int(what, 8)]) if len(what) == 3 else {b"t": b"\t", b"n": b"\n"}.get(what, what)


def entry(unit: Unit, include_dir: Path, markers: Sequence[Mark]) -> Mark | None:
    """The marker with which the text first enters one of our headers, or a copy of it."""
    seen: set[str] = set()
    for mark in markers:
        ours = HEADERS.get(mark.file.rpartition("/")[2])
        if mark.by is not None and mark.file not in seen and ours:
            seen.add(mark.file)
            whole = unit.cwd / mark.file
            if whole.parent.resolve() == include_dir.resolve() or (whole.is_file() and ours in whole.read_bytes()):
                return mark
    return None


def unseen(unit: Unit, tree: Shadow, first: Mark) -> Finding | None:
    """What is wrong if our header came in by another way than an #include that will lead to the generated one."""
    by, header = first.by or "", first.file.rpartition("/")[2]
    name = tree.name(by, unit.cwd)
    if name in tree.including:
        return None
    main = tree.name(str(unit.source), unit.cwd) or str(unit.source)
    if by.encode() in _NO_FILE:
        how = "the command line"
    elif name:
        how = f"a macro or another path in {name}"
    else:
        how = f"{tree.original(by)}, outside of the tree"
    return Finding(
        "IN006",
        f"{header} comes into {main} through {how}",
        Place(main, 1, 1),
        notes=(f"only an #include that is written out in the tree leads to the instrumented {header}",),
        fix=f"write #include <{header}> in the file itself, before anything else that includes it",
    )


def foreign(unit: Unit, tree: Shadow, include_dir: Path, text: bytes, markers: Sequence[Mark]) -> Iterator[Finding]:
    """Files outside of the tree in whose text a key is declared or called: their calls cannot be rewritten."""
    starts = [m.start for m in markers]
    at = {bisect_right(starts, m.start()) - 1 for m in _EXPANDED.finditer(text)}
    ours = {include_dir.resolve()}
    ours |= {(unit.cwd / f).parent.resolve() for f in {m.file for m in markers} if f.rpartition("/")[2] in HEADERS}
    for header in sorted({markers[i].file for i in at if i >= 0}):
        whole = unit.cwd / header
        if tree.inside(header, unit.cwd) or whole.parent.resolve() in ours or not whole.is_file():
            continue
        # A key's name can come from a macro of the tree's, so the file is looked into.
        if _API.search(whole.read_bytes()):
            yield Finding(
                "IN006",
                f"{tree.original(header)}, outside of the tree, uses static calls",
                notes=("what it declares would miss the instrumented static_call.h",),
                fix=f"add {tree.original(str(whole.parent))} to the inputs",
            )
