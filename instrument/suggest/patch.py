# SPDX-License-Identifier: MIT
"""Edits of several candidates to new bytes, and to a unified diff. Knows no C."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import diff_bytes, unified_diff
from io import BytesIO

from instrument.model import Edit
from instrument.suggest.model import Candidate


class Conflict(ValueError):
    """Two candidates want to change the same text."""


def patched(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`data` with the edits made, equal ones once. Of several insertions at one place the first given comes
    first. Lines end as they do in `data`."""
    pieces: list[bytes] = []
    done = 0
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    for edit in sorted(dict.fromkeys(edits), key=lambda e: (e.span.start, e.span.end)):
        if edit.span.start < done:
            raise Conflict(f"edits overlap at byte {edit.span.start}")
        pieces += [data[done : edit.span.start], edit.text.replace(b"\n", newline)]
        done = edit.span.end
    return b"".join([*pieces, data[done:]])


def changed(contents: Mapping[str, bytes], candidates: Sequence[Candidate]) -> dict[str, bytes]:
    """The files that the candidates' edits change, changed. Conflict if they cannot be made together."""
    paths = sorted({path for candidate in candidates for path in candidate.edits})
    return {path: patched(contents[path], [e for c in candidates for e in c.edits.get(path, ())]) for path in paths}


def diff(contents: Mapping[str, bytes], after: Mapping[str, bytes], prefix: str = "") -> Iterator[bytes]:
    """The lines of a unified diff that `patch -p0` takes where `prefix` leads to the tree."""
    for path, data in sorted(after.items()):
        name = (prefix + path).encode("utf-8", "surrogateescape")
        # As diff and git write it, so that patch knows where a name with a blank ends.
        name += b"\t" if b" " in name else b""
        before, now = (BytesIO(side).readlines() for side in (contents[path], data))
        for line in diff_bytes(unified_diff, before, now, name, name):
            yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
