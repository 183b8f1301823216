# SPDX-License-Identifier: MIT
"""The instructions around a site, by capstone where it is installed, else the site's own alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from instrument.binary import Binary
from instrument.memory import Unreadable
from instrument.tables import Site

_BEFORE, _AFTER, _LONGEST = 3, 2, 15


@cache
def _decoder() -> Any:
    try:
        from capstone import CS_ARCH_X86, CS_MODE_64, CS_OPT_SYNTAX_ATT, Cs
    except ImportError:
        print(
            "instrument: capstone is not installed, so only the sites themselves are decoded: pip install capstone, "
            "where instrument is installed",
            file=sys.stderr,
        )
        return None
    decoder = Cs(CS_ARCH_X86, CS_MODE_64)
    decoder.syntax = CS_OPT_SYNTAX_ATT
    decoder.skipdata = True
    return decoder


def around(found: Binary, address: int, site: Site | None) -> Iterator[str]:
    """A few lines: what stands before the site in its function, itself, and what follows."""
    decoder = _decoder()
    if decoder is None:
        if site is not None:
            yield f"      > {'cs ' * site.prefixes}{found.goes(site)}"
        return
    start = found.start(address)
    end = address + (site.length if site is not None else _LONGEST) + _AFTER * _LONGEST
    instructions = list(decoder.disasm_lite(_code(found, start, end), start))
    # What does not meet the site's first byte was begun at a wrong place.
    index = next((i for i, (at, *_) in enumerate(instructions) if at == address), None)
    if index is None:
        instructions, index = list(decoder.disasm_lite(_code(found, address, end), address)), 0
    for at, size, name, operands in instructions[max(index - _BEFORE, 0) : index + _AFTER + 1]:
        mark = ">" if at == address else " "
        code = _code(found, at, at + size).hex(" ")
        words = f"{name} {operands}".rstrip()
        if at == address and site is not None:
            words = f"{'cs ' * site.prefixes}{found.goes(site)}"
        yield f"      {mark} {at:#x}  {code:<24}  {words}"


def _code(found: Binary, start: int, end: int) -> bytes:
    """From `start` as far as can be read."""
    for length in (end - start, *range(end - start - 1, 0, -1)):
        try:
            return found.code(start, length)
        except Unreadable:
            continue
    return b""
