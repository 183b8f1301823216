# SPDX-License-Identifier: MIT
"""Spans and replacement text to new bytes. Knows no C: every byte outside of a span stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from instrument.model import Edit, Fate, Scanned, SitePlan

NEWLINE = re.compile(rb"\r\n|\n|\r")


def apply(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`data` with the edits applied. Line breaks inside of a span are kept, behind its replacement, so that
    every line of the file keeps its number. Overlapping edits are a mistake of the caller: ValueError."""
    pieces: list[bytes] = []
    done = 0
    for edit in sorted(edits, key=lambda e: (e.span.start, e.span.end)):
        if edit.span.start < done:
            raise ValueError(f"edits overlap at byte {edit.span.start}")
        breaks = NEWLINE.findall(data[edit.span.start : edit.span.end])
        pieces += [
            data[done : edit.span.start],
            edit.text,
            _apart([*breaks, data[edit.span.end : edit.span.end + 1]]),
        ]
        done = edit.span.end
    return b"".join([*pieces, data[done:]])


def _apart(breaks: Sequence[bytes]) -> bytes:
    """The line breaks before the last of `breaks`: a lone carriage return that came to stand before a newline would
    be one line's end with it."""
    pairs = pairwise(breaks)
    return b"".join(b"\r " if mark == b"\r" and behind[:1] == b"\n" else mark for mark, behind in pairs)


def rewrite(data: bytes, scanned: Scanned, sites: Sequence[SitePlan], folder: str) -> bytes:
    """One file, instrumented. `folder` is the way from it to the generated headers."""
    edits = [Edit(include.header, f'"{folder}/{include.name}"'.encode()) for include in scanned.includes]
    edits += [Edit(s.span, s.text.encode()) for s in sites if s.fate is Fate.REWRITTEN and s.span]
    return apply(data, edits)
