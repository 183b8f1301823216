# SPDX-License-Identifier: MIT
"""instrument.bitfields: which records of preprocessed text have a bit-field without a name, and where they stand."""

from __future__ import annotations

import pytest

from instrument import bitfields

UNNAMED = [
    "struct s { float a; int : 32; };",
    "struct s { float a; unsigned long long : 0; float b; };",
    "struct s { unsigned a : 3, : 5; };",
    "struct s { unsigned : 5, a : 3; };",
    "struct s { uint32_t : 3; };",
    "struct s { const volatile unsigned : 3; };",
    "struct s { enum colour : 3; };",
    "struct s { int : sizeof(int) == 4 ? 3 : 5; };",
    "union u { int : 3; float b; };",
    "typedef struct { int : 3; } t;",
    "struct s { struct { int : 3; } inner; float b; };",
    "struct __attribute__((packed)) s { int : 3; };",
    'struct s { char c[sizeof ":{"]; int : 3; };',
    "int f(void) { struct { int : 3; } s; return 0; }",
    "int x; struct s { int : 3; } y = { };",
    "struct s { __typeof__(x) : 3; };",
]
NAMED = [
    "struct s { int a : 3; unsigned b : 2, c : 1; };",
    "struct s { uint32_t a : 3; enum colour b : 2; const int c : 4; struct t *d; };",
    "struct s { struct { int *p; } *x; _Bool flag : 1; };",
    "int f(int a) { switch (a) { case 1: default: ; } label: return a ? 1 : 2; }",
    "enum e { A = 1 ? 2 : 3 };",
    "int a[] = { [0] = 1 ? 2 : 3 };",
    'struct s { char c[sizeof "{ int : 3; }"]; };',
    "",
]


@pytest.mark.parametrize("text", UNNAMED)
def test_unnamed(text: str) -> None:
    assert bitfields.lines(text.encode()) == [range(1, 2)]


@pytest.mark.parametrize("text", NAMED)
def test_named(text: str) -> None:
    assert bitfields.lines(text.encode()) == []


def test_lines_are_those_of_the_source() -> None:
    """The record's, from its keyword to its brace, as the line markers have them; an outermost one's."""
    text = """# 1 "a.c"
struct a { int : 3; };
# 100 "a.h" 1
struct b {
  struct {
    int : 3;
  } c;
#pragma pack(1)
  float d;
};
struct e { int f : 3; };
# 2 "a.c" 2
union
g { int h; int : 2; };
"""
    assert bitfields.lines(text.encode()) == [range(1, 2), range(100, 107), range(2, 4)]
