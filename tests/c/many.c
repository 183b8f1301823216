/* SPDX-License-Identifier: MIT */
/* Every argument register at once, with a result of each kind: as many operands as a wrapper's asm can have. */
#include <stdio.h>

#include <static_call.h>

#define ALL long a, long b, long c, long d, long e, long f, double g, double h, double i, double j, double k, double l, \
	double m, double n
#define SUM (a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f)
#define REAL (g - h + 2 * i - j + 3 * k - l + 4 * m - n)

static long out;
static void nothing(ALL) { out = SUM + (long)REAL; }
static long whole(ALL) { return SUM + (long)REAL; }
static double real(ALL) { return (double)SUM + REAL; }
DEFINE_STATIC_CALL(nothing, nothing);
DEFINE_STATIC_CALL(whole, whole);
DEFINE_STATIC_CALL(real, real);

#define VALUES 1, 2, 3, 4, 5, 6, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5

int main(void)
{
	long wanted = whole(VALUES);

	static_call(nothing)(VALUES);
	if (out != wanted || static_call(whole)(VALUES) != wanted || static_call(real)(VALUES) != real(VALUES))
		return 1;
	puts("many: ok");
	return 0;
}
