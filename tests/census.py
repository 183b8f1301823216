# SPDX-License-Identifier: MIT
"""What `--json` says of a run, held against the files: every token told, every changed byte told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instrument.model import Scanned
from instrument.scan import scan

Told = Mapping[str, Any]

FATES = {"rewritten", "left to the header's macro", "inactive", "the header's own macro", "named in a directive"}
FATES |= {"the name alone"}


def check(told: Told, sources: Mapping[str, bytes], out: Path) -> None:
    """`sources` are the C files by their path from the root, `out` is where the instrumented ones are."""
    for path, data in sources.items():
        found, tokens = scan(data, path), [token for token in told["tokens"] if token["path"] == path]
        assert [(t["offset"], t["api"]) for t in tokens] == [(t.name.start, t.api) for t in found.tokens], path
        for token in tokens:
            check_token(token)
        assert (out / path).read_bytes() == edited(data, found, tokens, path), path


def check_token(token: Told) -> None:
    """Nothing unexplained: what is live has keys and forms, what is not rewritten says why."""
    assert token["fate"] in FATES, token
    live = token["fate"] in ("rewritten", "left to the header's macro")
    assert bool(token["keys"]) == live, token
    assert set(token["keys"].values()) <= {"inline-asm", "trampoline"}, token
    assert (token["replaced"] is not None) == (token["fate"] == "rewritten"), token
    if live or token["fate"] == "inactive":
        assert (token["left_code"] is None) == (token["fate"] == "rewritten"), token
    if "trampoline" in token["keys"].values():
        assert token["code"] and token["reason"], token


def edited(data: bytes, found: Scanned, tokens: Sequence[Told], path: str) -> bytes:
    """The file with what the report says of it, and nothing else. Lines inside of a replaced text stay behind it."""
    header = f'"{"../" * path.count("/")}static_call/static_call.h"'
    edits = [(include.header.start, include.header.end, header) for include in found.includes]
    edits += [(*token["replaced"], token["replacement"]) for token in tokens if token["replaced"]]
    pieces, at = [], 0
    for start, end, text in sorted(edits):
        assert at <= start < end <= len(data), path
        kept = bytes(byte for byte in data[start:end] if byte in b"\r\n")
        pieces += [data[at:start], text.encode("utf-8", "surrogateescape"), kept]
        at = end
    return b"".join((*pieces, data[at:]))
