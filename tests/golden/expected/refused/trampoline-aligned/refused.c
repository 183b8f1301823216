/* SPDX-License-Identifier: MIT */
/* Signatures that registers alone do not carry yet: they take the trampoline and must be right all the same. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "static_call/static_call.h"

struct pair { long a; double b; };
struct big { long a[5]; };

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
static struct pair swap(struct pair p) { return (struct pair){ (long)p.b, (double)p.a }; }
static struct big fill(struct big b, int n) { b.a[4] = n; return b; }
static int seven(int a, int b, int c, int d, int e, int f, int g) { return a - b + c - d + e - f + g * 10; }
static double nine(double a, double b, double c, double d, double e, double f, double g, double h, double i)
{
	return a + b + c + d + e + f + g + h + i * 100;
}
__extension__ typedef __int128 huge_t;
static huge_t huge(huge_t x) { return x << 64; }
static double _Complex turn(double _Complex z) { return z * z; }

DEFINE_STATIC_CALL(sum, sum);
DEFINE_STATIC_CALL(wide, wide);
DEFINE_STATIC_CALL(swap, swap);
DEFINE_STATIC_CALL(fill, fill);
DEFINE_STATIC_CALL(seven, seven);
DEFINE_STATIC_CALL(nine, nine);
DEFINE_STATIC_CALL(huge, huge);
DEFINE_STATIC_CALL(turn, turn);

static int run(void)
{
	struct pair p = __SCT__swap((struct pair){ 3, 4.0 });
	struct big b = __SCT__fill((struct big){ { 1, 2, 3, 4, 5 } }, 50);

	if (__SCT__sum(3, 1L, 2L, 3L) != 6)
		return 1;
	if (__SCT__wide(1.5L, 2.0L) != 3.0L)
		return 2;
	if (p.a != 4 || p.b != 3.0)
		return 3;
	if (b.a[0] != 1 || b.a[4] != 50)
		return 4;
	if (__SCT__seven(1, 2, 3, 4, 5, 6, 7) != seven(1, 2, 3, 4, 5, 6, 7))
		return 5;
	if (__SCT__nine(1, 2, 3, 4, 5, 6, 7, 8, 9) != nine(1, 2, 3, 4, 5, 6, 7, 8, 9))
		return 6;
	if (__SCT__huge(5) != (huge_t)5 << 64)
		return 7;
	if (__SCT__turn(2.0) != 4.0)
		return 8;
	return 0;
}

static long none(int n, ...) { (void)n; return -1; }

int main(void)
{
	int failed = run();

	if (!failed && (static_call_update(sum, none) || __SCT__sum(2, 1L, 2L) != -1 || static_call_update(sum, sum)))
		failed = 9;
	if (!failed)
		failed = run();
	printf("refused: %s %d\n", failed ? "failed" : "ok", failed);
	return failed;
}
