# SPDX-License-Identifier: MIT
"""Which calls may come to be part of a function that is compiled for other registers."""

from __future__ import annotations

import pytest

from instrument.inlining import exposed
from instrument.preprocessed import declarations

# `f` is what has the call; `W` a function compiled for other registers.
W = '__attribute__((target("avx512f")))'
F = "int f(int x) { return CALL(x); }"


def is_exposed(text: str) -> bool:
    data = text.replace("W ", f"{W} ").replace("F;", F).encode()
    at = data.index(b"CALL")
    return exposed(data, declarations(data), [at]) == {at}


@pytest.mark.parametrize(
    "text",
    [
        "F; W int big(int x) { return f(x); }",
        "int f(int); W int big(int x) { return f(x); } F;",
        "W int big(int x) { return CALL(x); }",
        "W int big(int); int big(int x) { return CALL(x); }",
        "int big(int) W ; int big(int x) { return CALL(x); }",
        "static inline int (f)(int x) { return CALL(x); } W int big(int x) { return f(x); }",
        "int (*f(int x))(int) { return CALL(x); } W int big(int x) { return f(x)(x); }",
        "int f(struct s { int a; } *x) { return CALL(x); } W int big(int x) { return f(0); }",
        "struct { int a; } f(int x) { return CALL(x); } W void big(int x) { f(x); }",
        "F; W struct s { int a; } *big(int x) { f(x); return 0; }",
        # By what it names in turn.
        "F; int g(int x) { return f(x); } int h(int x) { return g(x); } W int big(int x) { return h(x); }",
        '#pragma omp simd a = b, c\nF; int g(int) __attribute__((alias("f"))); W int big(int x) { return g(x); }',
        # By constants, and by variables with one value.
        "F; static int (*const p)(int) = f; W int big(int x) { return p(x); }",
        "F; static const struct ops o = { .a = 1, .b = f }; W int big(int x) { return o.b(x); }",
        "F; typedef int fn(int); fn *t[] __attribute__((aligned(8))) = { f }; W int big(int x) { return t[0](x); }",
        "F; static int (*p)(int), (*q)(int); void set(void) { q = f; } W int big(int x) { return q(x); }",
        "F; static int (*p)(int); void to(fn *g) { p = g; } void set(void) { to(f); }"
        "W int big(int x) { return p(x); }",
        "F; fn *keep(fn *g) { static fn *p; if (g) p = g; return p; } void set(void) { keep(f); }"
        "W int big(int x) { return keep(0)(x); }",
        # As an argument: of its own, in an object, from a caller's caller, of a result.
        "F; W static int big(fn *g, int x) { return g(x); } int use(int x) { return big(f, x); }",
        "F; W static int big(struct o *o) { return o->g(1); } int use(void) { struct o o = { f }; return big(&o); }",
        "F; W static int big(fn *g) { return g(1); } int in(fn *g) { return big(g); } int u(void) { return in(f); }",
        "F; W static int big(fn *g) { return g(1); } fn *get(void) { return f; } int u(void) { return big(get()); }",
        # What cannot be read.
        "F; W int big(x) int x; { return f(x); }",
        "int f(x) int x; { return CALL(x); } W int big(void) { return 1; }",
        "W int big(void) { return 1; } int x = CALL(1);",
    ],
)
def test_what_may_come_into_a_wide_function(text: str) -> None:
    assert is_exposed(text)


@pytest.mark.parametrize(
    "text",
    [
        F,
        "F; W int big(int x) { return x; }",
        "F; W int big(int x) { return x; } int use(int x) { return f(x) + big(x); }",
        "F; int g(int x) { return f(x); } int use(int x) { return g(x); } W int big(int x) { return use_it(x); }",
        "F; W int big(int); int use(int x) { return big(f); }",
        '__attribute__((target("avx2"))) int g(int x) { return f(x); } F; W int big(int x) { return x; }',
        # Function pointers that have nothing to do with it: a dispatcher's, beside those that it chooses among.
        "F; int apply(fn *g) { return g(1); } int use(void) { return apply(f); } W int big(int x) { return x; }",
        "F; W int big(int x); int (*const table[])(int) = { big, f }; W int big(int x) { return x; }",
        "F; static const char text[] = { 1 }; int use(void) { return apply(f, text); }"
        "W int big(int x) { return *text; }",
        "F; struct s { int a; }; int other(struct s *); enum { A, B };"
        "int use(struct s *s) { return other(s) + apply(f); } W int big(struct s *s) { return other(s) + A; }",
        # What a key holds, no compiler knows.
        "F; struct static_call_key __SCK__k = { f }; extern __typeof__(f) __SCT__k;"
        "W int big(int x) { return ((__typeof__(__SCT__k) *)__static_call_load(&__SCK__k))(x); }",
    ],
)
def test_what_may_not(text: str) -> None:
    assert not is_exposed(text)
