/* SPDX-License-Identifier: MIT */
/*
 * Signatures that registers alone do not carry, or that compilers pass in different ways: they take the trampoline and
 * must be right all the same.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <static_call.h>

struct big { long a[5]; };
struct packed { char a; int b; } __attribute__((__packed__));
struct padded { float a; int : 32; };
struct atomic { _Atomic int a; };
struct flexible { int a; int b[]; };

static long sum(int n, ...)
{
	va_list list;
	long total = 0;

	va_start(list, n);
	while (n--)
		total += va_arg(list, long);
	va_end(list);
	return total;
}

static long double wide(long double a, long double b) { return a * b; }
static struct big fill(struct big b, int n) { b.a[4] = n; return b; }
static int seven(int a, int b, int c, int d, int e, int f, int g) { return a - b + c - d + e - f + g * 10; }
static double nine(double a, double b, double c, double d, double e, double f, double g, double h, double i)
{
	return a + b + c + d + e + f + g + h + i * 100;
}
static struct packed pack(struct packed p) { return (struct packed){ (char)p.b, p.a }; }
static struct padded pad(struct padded p) { return (struct padded){ p.a * 2 }; }
static int load(struct atomic p) { return p.a; }
static int flex(struct flexible p) { return p.a; }

DEFINE_STATIC_CALL(sum, sum);
DEFINE_STATIC_CALL(wide, wide);
DEFINE_STATIC_CALL(fill, fill);
DEFINE_STATIC_CALL(seven, seven);
DEFINE_STATIC_CALL(nine, nine);
DEFINE_STATIC_CALL(pack, pack);
DEFINE_STATIC_CALL(pad, pad);
DEFINE_STATIC_CALL(load, load);
DEFINE_STATIC_CALL(flex, flex);

static int run(void)
{
	struct packed p = static_call(pack)((struct packed){ 3, 4 });
	struct big b = static_call(fill)((struct big){ { 1, 2, 3, 4, 5 } }, 50);

	if (static_call(sum)(3, 1L, 2L, 3L) != 6)
		return 1;
	if (static_call(wide)(1.5L, 2.0L) != 3.0L)
		return 2;
	if (p.a != 4 || p.b != 3)
		return 3;
	if (b.a[0] != 1 || b.a[4] != 50)
		return 4;
	if (static_call(seven)(1, 2, 3, 4, 5, 6, 7) != seven(1, 2, 3, 4, 5, 6, 7))
		return 5;
	if (static_call(nine)(1, 2, 3, 4, 5, 6, 7, 8, 9) != nine(1, 2, 3, 4, 5, 6, 7, 8, 9))
		return 6;
	if (static_call(pad)((struct padded){ 2.0f }).a != 4.0f)
		return 7;
	if (static_call(load)((struct atomic){ 8 }) != 8 || static_call(flex)((struct flexible){ 9 }) != 9)
		return 8;
	return 0;
}

static long none(int n, ...) { (void)n; return -1; }

int main(void)
{
	int failed = run();

	if (!failed && (static_call_update(sum, none) || static_call(sum)(2, 1L, 2L) != -1 || static_call_update(sum, sum)))
		failed = 9;
	if (!failed)
		failed = run();
	printf("refused: %s %d\n", failed ? "failed" : "ok", failed);
	return failed;
}
