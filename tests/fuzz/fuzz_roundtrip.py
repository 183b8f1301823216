# SPDX-License-Identifier: MIT
"""`make fuzz`: the round trip of arbitrary bytes, steered by coverage.

    python tests/fuzz/fuzz_roundtrip.py [libFuzzer options] CORPUS

Bytes are taken as they are, or, if the first one is below 128, as indices into a list of C's tokens: so most inputs
hold calls.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found, unused-ignore]

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# What is only used: to watch it as well would cost time and lead nowhere.
with atheris.instrument_imports(include=["instrument"]):
    from instrument import plan, report, rewrite, scan, structure  # noqa: F401
    from instrument.model import Mode

from tests import roundtrip
from tests.unit.test_roundtrip import BLANKS, BYTES, CALLS, HIDING, LINES, MARKS, WORDS

TOKENS = [*WORDS, *MARKS, *BLANKS, *HIDING, *LINES, *BYTES, *CALLS]


def text(data: bytes) -> bytes:
    if data[:1] >= b"\x80":
        return data[1:]
    return b"".join(TOKENS[byte % len(TOKENS)] for byte in data[1:])


def one_input(data: bytes) -> None:
    modes = list(Mode)
    roundtrip.check(text(data), modes[data[0] % 2] if data else modes[0])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
