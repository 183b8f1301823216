# SPDX-License-Identifier: MIT
"""Programs in which an asm is not what a call is to the compiler: they do what they do without the tool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.toolchain import COMPILERS, INCLUDE, instrument, run, runtime_object

HEAD = "#include <stdio.h>\n#include <pthread.h>\n#include <static_call.h>\n"
AVX512 = """#include <immintrin.h>
__attribute__((target("avx512f"), noinline)) static int hook(int x)
{
	__asm__ volatile("kxorw %%k1,%%k1,%%k1\\n kxorw %%k2,%%k2,%%k2" : : : "k1", "k2");
	return x * 2;
}
DEFINE_STATIC_CALL(k, hook);
static inline int helper(int x) { return static_call(k)(x) + 1; }
__attribute__((target("avx512f"), noinline)) static void big(double *p, int *r)
{
	__mmask8 m = _mm512_cmp_pd_mask(_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8), _CMP_LT_OQ);
	*r = helper(3);
	_mm512_storeu_pd(p, _mm512_maskz_loadu_pd(m, p));
}
int main(void)
{
	double p[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 2, 3, 4, 5, 1, 1, 1, 1 };
	int r = 0;
	if (__builtin_cpu_supports("avx512f"))
		big(p, &r);
	printf("%d %g %g %g %g\\n", r, p[0], p[1], p[2], p[4]);
	return 0;
}
"""
ROUNDABOUT = """#include <immintrin.h>
#define WIDE __attribute__((target("avx512f"), noinline))
typedef int (*function)(int);
WIDE static int hook(int x)
{
	__asm__ volatile("kxorw %%k1,%%k1,%%k1\\n kxorw %%k2,%%k2,%%k2" : : : "k1", "k2");
	return x * 2;
}
DEFINE_STATIC_CALL(k1, hook); DEFINE_STATIC_CALL(k2, hook); DEFINE_STATIC_CALL(k3, hook);
DEFINE_STATIC_CALL(k4, hook); DEFINE_STATIC_CALL(k5, hook); DEFINE_STATIC_CALL(k6, hook);
#define HIDDEN(name) static_call
static inline int named(int x) { return static_call(k1)(x) + 1; }
static inline int between(int x) { return named(x) + named(x + 1); }
static inline int held(int x) { return static_call(k2)(x) + 2; }
static const function table[] = { held };
static inline int stored(int x) { return static_call(k3)(x) + 3; }
static function variable;
static void store(function f) { variable = f; }
static int passed(int x) { return static_call(k4)(x) + 4; }
static inline int given(int x) { return static_call(k5)(x) + 5; }
static function giver(void) { return given; }
static inline int hidden(int x) { return HIDDEN(here)(k6)(x) + 6; }
#define BIG(name, call) \\
	WIDE static void name(double *p, int *r, function f) \\
	{ \\
		__mmask8 m = _mm512_cmp_pd_mask(_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8), _CMP_LT_OQ); \\
		(void)f; \\
		*r = call; \\
		_mm512_storeu_pd(p, _mm512_maskz_loadu_pd(m, p)); \\
	}
BIG(by_name, between(3)) BIG(by_table, table[0](3)) BIG(by_variable, variable(3)) BIG(by_argument, f(3))
BIG(by_result, f(3)) BIG(by_macro, hidden(3))
#define SHOW(big, f) \\
	{ \\
		double p[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 2, 3, 4, 5, 1, 1, 1, 1 }; \\
		int r = 0; \\
		if (__builtin_cpu_supports("avx512f")) \\
			big(p, &r, f); \\
		printf("%d %g %g %g %g\\n", r, p[0], p[1], p[2], p[4]); \\
	}
void prepare(void) { store(stored); }
void show(void)
{
	SHOW(by_name, 0) SHOW(by_table, 0) SHOW(by_variable, 0) SHOW(by_macro, 0)
	SHOW(by_argument, passed) SHOW(by_result, giver())
}
int main(void)
{
	prepare();
	show();
	return 0;
}
"""
CLEANUPS = """
static int target(int x) { if (x) pthread_exit(0); return 1; }
DEFINE_STATIC_CALL(k, target);
static void clean(int *p) { printf("cleanup %d\\n", *p); }
static void handler(void *a) { (void)a; printf("handler\\n"); }
static void *one(void *a) { __attribute__((cleanup(clean))) int v = 7; static_call(k)(a != 0); return 0; }
static void *two(void *a)
{
	pthread_cleanup_push(handler, 0);
	static_call(k)(a != 0);
	pthread_cleanup_pop(0);
	return 0;
}
int main(void)
{
	pthread_t t;
	pthread_create(&t, 0, one, &t); pthread_join(t, 0);
	pthread_create(&t, 0, two, &t); pthread_join(t, 0);
	return 0;
}
"""
REGISTERS = """
register long acc __asm__("r15");
register long acc2 __asm__("r14");
static void f(int x) { acc += x; acc2 = x; }
DEFINE_STATIC_CALL(k, f);
__attribute__((noinline)) static long g(int n)
{
	acc = 1; acc2 = 5; static_call(k)(n);
	long r = acc;
	acc = 10; static_call(k)(n);
	return r * 1000 + acc * 10 + acc2;
}
int main(void) { long a = g(3); printf("%ld\\n", a); return 0; }
"""
TAIL = """
static int even(long n);
static int odd(long n);
DEFINE_STATIC_CALL(ke, even);
DEFINE_STATIC_CALL(ko, odd);
static int even(long n) { if (!n) return 1; __attribute__((musttail)) return static_call(ko)(n - 1); }
static int odd(long n) { if (!n) return 0; __attribute__((musttail)) return static_call(ke)(n - 1); }
int main(void) { printf("%d\\n", static_call(ke)(20000000)); return 0; }
"""
KEYWORDS = """
struct v { int a, b; };
static int g(struct v x, int z) { return x.a * 100 + x.b * 10 + z; }
static int h(const char *p, int z) { return *p + z; }
static double e(double a, double b, int c, int d, int i, int j, int k, int l)
{
	return a - b + c - d + i - j + k - l;
}
#define long int
DEFINE_STATIC_CALL(k, g);
DEFINE_STATIC_CALL(k2, h);
DEFINE_STATIC_CALL(k3, e);
int main(void)
{
	struct v x = { 1, 2 };
	char c = 2;
	printf("%d %d %g\\n", static_call(k)(x, 3), static_call(k2)(&c, 3), static_call(k3)(1, 2, 3, 4, 5, 6, 7, 8));
	return 0;
}
"""
LATER = """
struct s;
DECLARE_STATIC_CALL(k, struct s (struct s, int));
struct s { int a; float b; short c; };
static struct s f(struct s x, int e) { x.a += e; return x; }
DEFINE_STATIC_CALL(k, f);
DECLARE_STATIC_CALL(n, int (unsigned));
static int before(void) { return static_call(n)(1u); }
typedef unsigned u32;
static int impl(u32 x) { return (int)x + 1; }
DEFINE_STATIC_CALL(n, impl);
int main(void) { struct s x = { 1, 2, 3 }; printf("%d %d\\n", static_call(k)(x, -1).a, before()); return 0; }
"""
PROGRAMS = {
    "a helper that goes into a function with more registers": (AVX512, (), COMPILERS),
    "helpers that go there by a roundabout way": (ROUNDABOUT, ("-O3",), COMPILERS),
    "cleanups of a caller": (CLEANUPS, ("-fexceptions",), COMPILERS),
    "global register variables": (REGISTERS, (), ("gcc-12", "gcc-11")),
    "calls that must be tail calls": (TAIL, (), ("clang-14", "clang-19")),
    "keywords that are macros": (KEYWORDS, (), COMPILERS),
    "a register that is a macro": ("#define register\n" + KEYWORDS, (), COMPILERS),
    "types that come later": (LATER, (), COMPILERS),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_as_without_the_tool(name: str, tmp_path: Path) -> None:
    text, flags, compilers = PROGRAMS[name]
    first, *rest = text.partition("\n") if text.startswith("#define register") else ("", text)
    (tmp_path / "a.c").write_text(first + "\n" + HEAD + "".join(rest))
    for compiler in compilers:
        done = instrument("a.c", "-o", "out", "-q", "--", *flags, cwd=tmp_path, CC=compiler)
        assert done.returncode == 0, done.stderr
        for level in ("-O0", "-O2"):
            how = (level, "-w", *flags, INCLUDE)
            plain = run([compiler, *how, "a.c", "-pthread", "-o", "plain"], tmp_path) or run(["./plain"], tmp_path)
            runtime = runtime_object(compiler, level, *(flag for flag in flags if flag.startswith("-f")))
            run([compiler, *how, "out/a.c", runtime, "-pthread", "-o", "made"], tmp_path)
            assert run(["./made"], tmp_path) == plain, (compiler, level)


def test_helpers_that_link_time_optimisation_moves(tmp_path: Path) -> None:
    """A file without AVX-512 and one with it, both for -flto: the first one's functions may go into the second's."""
    text = HEAD + "int hook(int);\nDECLARE_STATIC_CALL(k, hook);\nint {}(int x) {{ return static_call(k)(x); }}\n"
    commands = []
    for name, flags in (("helper", "-flto"), ("big", "-flto -mavx512f")):
        (tmp_path / f"{name}.c").write_text(text.format(name))
        commands.append({"directory": str(tmp_path), "file": f"{name}.c", "command": f"gcc-12 {flags} -c {name}.c"})
    (tmp_path / "compile_commands.json").write_text(json.dumps(commands))
    done = instrument("helper.c", "big.c", "-o", "out", "-p", ".", cwd=tmp_path)
    assert done.returncode == 0 and "-flto may inline it" in done.stderr, done.stderr
    assert "__SCT__k(x)" in (tmp_path / "out" / "helper.c").read_text()
    assert "__SCW__k(x)" in (tmp_path / "out" / "big.c").read_text()
