# SPDX-License-Identifier: MIT
"""What in a translation unit keeps an asm from standing in for a call there: its calls take the trampoline.

Knows what compilers treat otherwise at an asm than at a call, in a whole unit; inlining.py looks at single calls.
"""

from __future__ import annotations

import re

from instrument.inlining import TARGET

_PRAGMA = re.compile(rb"\n[ \t]*#[ \t]*pragma[ \t]+(?:GCC|clang)[ \t][^\n]*" + TARGET.pattern)
_REGISTER = re.compile(rb"\bregister\b[^;{}()=]*?\b(?:__asm__|__asm|asm)\s*\(")

OTHER_REGISTERS = "a function that it may be part of is compiled for other registers"

EXCEPTIONS, AVX512 = b"__scm_exceptions", b"__scm_avx512"
"""static_call_pointer.h says so where the compiler's own macros do."""


def obstacle(text: bytes, outside: bytes) -> str | None:
    """Why a unit's calls must be the compiler's own; `text` is the unit, `outside` what is outside of functions."""
    if b"target" in text and _PRAGMA.search(text):
        return OTHER_REGISTERS
    if EXCEPTIONS in text:
        # An asm has no entry in the table by which the unwinder finds a caller's cleanups.
        return "its file is compiled with -fexceptions, and cleanups must run when a target unwinds"
    if b"register" in outside and _REGISTER.search(outside):
        # gcc takes it for used and changed by every call, but not by an asm that does not name it.
        return "its file has a global register variable"
    if b"musttail" in text:
        return "its file has calls that must be tail calls"
    return None
