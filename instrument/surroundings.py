# SPDX-License-Identifier: MIT
"""What in a translation unit keeps an asm from standing in for a call there: its calls take the trampoline.

Knows what compilers treat otherwise at an asm than at a call. The function around a call may be inlined into any that
names it (seen with gcc 12 and clang 19: AVX-512 state lost when a helper went into one with target("avx512f")).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from instrument.model import Span

# xmm16-31, masks and r16-31 can be named as changed only where a function is compiled for them; and what a wrapper
# names must be there.
_TARGET = re.compile(
    rb"target(?:_clones)?(?:__)?\s*\([^;{}]*?(?:avx512|avx10|apx|arch=|general-regs-only|no-(?:sse|mmx|80387)\b)"
)
_PRAGMA = re.compile(rb"\n[ \t]*#[ \t]*pragma[ \t]+(?:GCC|clang)[ \t][^\n]*" + _TARGET.pattern)
_TAIL = re.compile(rb"[;{]")
_CALLABLE = re.compile(rb"([A-Za-z_$][\w$]*)\s*\(")
_WORD = re.compile(rb"[A-Za-z_$][\w$]*")
_NO_CALL = re.compile(rb"([A-Za-z_$][\w$]*)\b(?!\s*\()")
_ATTRIBUTES = frozenset((b"__attribute__", b"__attribute", b"target", b"__target__", b"target_clones", b"__typeof__"))
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


def exposed(text: bytes, outside: bytes, bodies: Sequence[Span], positions: Iterable[int]) -> set[int]:
    """The positions in functions that are compiled for other registers, or that may be inlined into such.

    A function is safe if no body names it, and nothing outside but declarations with its parameters.
    """
    if b"target" not in text or not _TARGET.search(text):
        return set()
    unsafe = {word for body in bodies for word in _WORD.findall(text, body.start, body.end)}
    unsafe.update(_NO_CALL.findall(outside))
    for m in _TARGET.finditer(outside):
        end = _TAIL.search(outside, m.end())
        unsafe |= _declared(outside, end.start() if end else len(outside))
    starts = [body.start for body in bodies]
    found = set()
    for at in positions:
        i = bisect_right(starts, at) - 1
        inside = i >= 0 and at < bodies[i].end
        names = _declared(text, bodies[i].start) if inside else set()
        if not names or names & unsafe or _is_wide(text, starts[i]):
            found.add(at)
    return found


def _is_wide(text: bytes, end: int) -> bool:
    start = max(text.rfind(b";", 0, end), text.rfind(b"}", 0, end)) + 1
    return _TARGET.search(text, start, end) is not None


def _declared(text: bytes, end: int) -> set[bytes]:
    """The names before a parenthesis in the declaration that ends at `end`: the function's, and too many."""
    start = max(text.rfind(b";", 0, end), text.rfind(b"}", 0, end)) + 1
    return set(_CALLABLE.findall(text, start, end)) - _ATTRIBUTES
