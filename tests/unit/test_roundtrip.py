# SPDX-License-Identifier: MIT
"""For any bytes: nothing raises, nothing outside of the reported spans changes, and a second run changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from instrument.model import Api, Mode
from tests import roundtrip

NAMES = [api.encode() for api in Api]
# Calls three times as likely as each other name.
WORDS = [*NAMES, *[b"static_call", b"static_call_cond", b"static_call_mod"] * 3, b"static_callx", b"k", b"key", b"R"]
MARKS = [
    b"(",
    b")",
    b",",
    b"{",
    b"}",
    b"<%",
    b"%>",
    b"[",
    b"]",
    b";",
    b"->",
    b".",
    b"=",
    b"?",
    b"1",
    b"9",
    b"e+",
    b"\\",
]
BLANKS = [
    b" ",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b"\v\f",
    b"\0",
    b"\\\n",
    b"\\\r\n",
    b"\\ \t\n",
    b"\\\r",
    b"??/\n",
    b"/**/",
]
HIDING = [b"/*", b"*/", b"//", b'"', b"'", b"\\", b'R"(', b')"', b'u8R"x(', b')x"', b"don't"]
LINES = [
    b"\n#",
    b"\n%:",
    b"\n??=",
    b"#",
    b"##",
    b"define M(x) ",
    b"if 0\n",
    b"ifdef A\n",
    b"else\n",
    b"endif\n",
    b"line 3\n",
]
LINES += [b"include <static_call.h>\n", b'include "static_call.h"', b"pragma x", b"undef static_call\n", b"include"]
BYTES = [b"\xef\xbb\xbf", b"\xc3\xa9", b"\xe9", b"\x80", b"\xf0\x9f\x98\x80", b"\\u00e9", b"\xff"]
# Whole calls, so that most texts hold some that are rewritten.
CALLS = [
    b"static_call(k)(1)",
    b"static_call(k, 1)",
    b"static_call_cond(k)(",
    b"static_call\n(\nk\n)\n(1)",
    b"(k)(1)",
    b"(k, ",
]

SOUP = st.lists(st.sampled_from([*WORDS, *MARKS * 2, *BLANKS * 2, *HIDING, *LINES, *BYTES, *CALLS * 4]), max_size=60)
ANYTHING = st.lists(st.one_of(st.binary(max_size=12), st.sampled_from([*WORDS, *CALLS, *MARKS])), max_size=30)


@settings(max_examples=800, deadline=None)
@given(SOUP, st.sampled_from(Mode))
@example([b"static_call(f, static_call(k)(1))(2)"], Mode.INLINE_ASM)
@example([b"static_call(k // c\r)(1) + (2\n)(3)"], Mode.INLINE_ASM)
@example([b"static_call(k\n/\\\n*x*/#line 3\n)(1)"], Mode.INLINE_ASM)
@example([b"static_call\n#\\static_call(k)(1)\nstatic_call_cond(k)("], Mode.INLINE_ASM)
def test_tokens_of_c_in_any_order(pieces: list[bytes], mode: Mode) -> None:
    roundtrip.check(b"".join(pieces), mode)


@settings(max_examples=400, deadline=None)
@given(ANYTHING, st.sampled_from(Mode))
def test_any_bytes(pieces: list[bytes], mode: Mode) -> None:
    roundtrip.check(b"".join(pieces), mode)


@pytest.mark.parametrize(
    ("text", "out"),
    [
        # Of the 2018 spelling, though another group follows: what the call returns is called.
        (b"static_call(f, 1)(2);", b"__SCW__f( 1)(2);"),
        (b"static_call(f, static_call(k)(1))(2);", b"__SCW__f( __SCW__k(1))(2);"),
        # A carriage return by itself ends a comment, a directive, and a line.
        (b"static_call(k // c\r)(1) + (2\n)(3);", b"__SCW__k\r(1) + (2\n)(3);"),
        (b"#define M\rstatic_call(k)(1);\r", b"#define M\r__SCW__k(1);\r"),
        # No edit goes over a directive, however it hides.
        (b"static_call(k\n/\\\n*x*/#line 3\n)(1);", None),
        (b"static_call(k\r%\\\n:undef x\n)(1);", None),
        # A trigraph, which only some dialects read, and a line's end in the text.
        (b"??=define M(x) static_call(/*\n*/k)(x)\n", None),
        (b"static_call(k // c??/\n)(1)+(2\n)(3);", None),
        (b"// ??/\nstatic_call(k)(1);", b"// ??/\n__SCW__k(1);"),
        # Only static_call() takes arguments behind the key; the compiler has the say.
        (b"static_call_mod(k, 1);", None),
        (b"static_call_cond(k, 1)(2);", None),
    ],
)
def test_what_is_rewritten_and_what_stays(text: bytes, out: bytes | None) -> None:
    roundtrip.check(text)
    assert roundtrip.instrumented(text, Mode.INLINE_ASM).out == (text if out is None else out)
