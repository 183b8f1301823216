# SPDX-License-Identifier: MIT
"""Calls through a register that holds a trampoline's address for the whole of a function -> calls of the trampoline.

With -fno-plt clang loads the address once for all calls in a function, and gcc does with -mindirect-branch. Knows
x86-64 assembly as they print it. Where it takes more to tell that nothing else is called, the text stays as it is.
"""

from __future__ import annotations

import re

_NAME = rb"[\w$.\x80-\xff]+"
# What calls leave alone: nothing else is kept across one, and no argument comes in it.
KEPT = (b"rbx", b"rbp", b"r12", b"r13", b"r14", b"r15")
_KEPT = b"|".join(KEPT)
_LOAD = (
    rb"(?m)^[ \t]*(?:movq[ \t]+(?P<key>%b)@GOTPCREL\(%%rip\),[ \t]*%%(?P<register>%b)"
    rb"|mov[ \t]+(?P<register2>%b),[ \t]*(?i:qword ptr )(?:(?P<key2>%b)@GOTPCREL\[rip\]|"
    rb"\[rip ?\+ ?(?P<key3>%b)@GOTPCREL\]))[ \t]*(?=#|\n)" % (_NAME, _KEPT, _KEPT, _NAME, _NAME)
)
_BEGIN = rb"\n[ \t]*\.type[ \t]+(%b),[ \t]*[@%%]function" % _NAME


def lowered(text: bytes) -> bytes:
    """`text` with those calls as calls of the trampoline by its name, and without the loads; line by line."""
    if b"@GOTPCREL" not in text:
        return text
    loads = [found for found in re.finditer(_LOAD, text) if _key(found).startswith(b"__SCT__")]
    pieces, done = [], 0
    for load in loads:
        span = _function(text, load.start()) if load.start() >= done else None
        if span:
            pieces += [text[done : span[0]], _lowered(text[slice(*span)])]
            done = span[1]
    return b"".join((*pieces, text[done:])) if pieces else text


def _key(load: re.Match[bytes]) -> bytes:
    return load["key"] or load["key2"] or load["key3"]


def _register(load: re.Match[bytes]) -> bytes:
    return load["register"] or load["register2"]


def _function(text: bytes, at: int) -> tuple[int, int] | None:
    """The span of the function with `at`; None where not all of it stands there, or an asm stands in it."""
    start = text.rfind(b"\t.type\t", 0, at) - 1
    begin = re.compile(_BEGIN).match(text, start) if start >= 0 else None
    if not begin:
        return None
    name = re.escape(begin[1])
    end = re.compile(rb"\n[ \t]*\.size[ \t]+%b," % name).search(text, begin.end())
    if not end or end.start() < at or b".cold" in begin[1] or re.search(rb"\n%b\.(?:cold|__part)" % name, text):
        return None
    span = begin.end(), end.start() + 1
    return None if text.find(b"#APP", *span) >= 0 else span


def _lowered(function: bytes) -> bytes:
    held: dict[bytes, set[bytes]] = {}
    for load in re.finditer(_LOAD, function):
        held.setdefault(_register(load), set()).add(_key(load))
    for register, keys in held.items():
        if len(keys) == 1:
            function = _without(function, register, *keys)
    return function


def _without(function: bytes, register: bytes, key: bytes) -> bytes:
    """`function` without `register`, if that is for calls of `key` alone, and saved and restored at most."""
    letters = register[1:]
    names = rb"r%b[dwb]?" % letters if letters.isdigit() else rb"[re]?%b|%b[lh]" % (letters, letters[:1])
    thunk = rb"__(?:x86_indirect_thunk|llvm_retpoline)_%b\b" % register
    call = (
        rb"(?m)^([ \t]+(?:(?:notrack|bnd|cs)[ \t]+)*(?:call|jmp)q?[ \t]+)(?:\*%%%b|%b|%b(?:@PLT)?)(?=[ \t]*(?:#|\n))"
        % (register, register, thunk)
    )
    saved = rb"(?m)^[ \t]+(?:push|pop)q?[ \t]+%%?%b(?=[ \t]*\n)" % register
    lowered = re.sub(call, lambda found: found[1] + key + b"@PLT", function)
    lowered = re.sub(_LOAD, lambda load: b"" if _register(load) == register else load[0], lowered)
    rest = re.sub(rb"\n[ \t]*[.#][^\n]*", b"\n", re.sub(saved, b"", lowered))
    return function if re.search(rb"(?<![\w.$])(?:%b)(?![\w$])|%b" % (names, thunk), rest) else lowered
