# SPDX-License-Identifier: MIT
"""What in a translation unit keeps an asm from standing in for a call there: its calls take the trampoline.

Knows what compilers treat otherwise at an asm than at a call. It looks at whole units, not at the function around a
call: that may be inlined into any other (seen with gcc 12 and clang 19: AVX-512 state lost when a helper went
into a function with target("avx512f")).
"""

from __future__ import annotations

import re

# xmm16-31, masks and r16-31 can be named as changed only where a function is compiled for them; and what a wrapper
# names must be there.
_TARGET = re.compile(
    rb"target(?:_clones)?(?:__)?\s*\([^;{}]*?(?:avx512|avx10|apx|arch=|general-regs-only|no-(?:sse|mmx|80387)\b)"
)
_REGISTER = re.compile(rb"\bregister\b[^;{}()=]*?\b(?:__asm__|__asm|asm)\s*\(")

EXCEPTIONS, AVX512 = b"__scm_exceptions", b"__scm_avx512"
"""static_call_pointer.h says so where the compiler's own macros do."""


def obstacle(text: bytes, outside: bytes) -> str | None:
    """Why a unit's calls must be the compiler's own; `text` is the unit, `outside` what is outside of functions."""
    if b"target" in text and _TARGET.search(text):
        return "a function of its file is compiled for other registers"
    if EXCEPTIONS in text:
        # An asm has no entry in the table by which the unwinder finds a caller's cleanups.
        return "its file is compiled with -fexceptions, and cleanups must run when a target unwinds"
    if b"register" in outside and _REGISTER.search(outside):
        # gcc takes it for used and changed by every call, but not by an asm that does not name it.
        return "its file has a global register variable"
    if b"musttail" in text:
        return "its file has calls that must be tail calls"
    return None
