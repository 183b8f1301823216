# SPDX-License-Identifier: MIT
"""The bytes that docs/protocols.md draws are what it says they are."""

from __future__ import annotations

import re

from capstone import CS_ARCH_X86, CS_MODE_64, Cs

from tests.toolchain import ROOT

DRAWN = re.compile(
    r"\b(40[0-9a-f]{4})(?:  |: +)((?:[0-9a-f]{2} ){4,7}[0-9a-f]{2})  (call A|call B|nop|mov 0,eax|int3)"
)
WORDS = {"call A": "call 0x401200", "call B": "call 0x401240", "mov 0,eax": "mov eax, 0", "int3": "int3 "}


def decoded(address: int, code: bytes) -> list[tuple[int, str]]:
    """Length and text of each instruction."""
    return [
        (insn.size, f"{insn.mnemonic} {insn.op_str}") for insn in Cs(CS_ARCH_X86, CS_MODE_64).disasm(code, address)
    ]


def test_the_bytes_are_what_is_written_beside_them() -> None:
    drawn = DRAWN.findall((ROOT / "docs" / "protocols.md").read_text())
    assert len(drawn) >= 14
    for address, text, what in drawn:
        code = bytes.fromhex(text)
        (length, said), *rest = decoded(int(address, 16), code)
        assert said.startswith(WORDS.get(what, what)), (text, said)
        assert length == (1 if what == "int3" else len(code))
        if what == "int3":
            # What a thread meets that goes on one byte further is a whole instruction to the site's end.
            assert rest[0][0] == len(code) - 1
        elif len(code) == 8:
            assert decoded(int(address, 16) + 1, code[1:])[0] == (7, said)
