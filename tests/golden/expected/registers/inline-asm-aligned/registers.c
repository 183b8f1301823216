/* SPDX-License-Identifier: MIT */
/* One value of each kind that a register carries, in the first and the last register of its class. */
#include "static_call/static_call_runtime.h"

enum colour { RED, GREEN };
typedef unsigned short id_t_;
typedef double (*visit)(const char *restrict, int);

static void nothing(void) { }
static signed char narrow(signed char a, unsigned char b, short c, id_t_ d, _Bool e, enum colour f)
{
	return (signed char)(a + b + c + d + e + (int)f);
}
static unsigned long wide(long a, unsigned long b, const volatile char *const c, int (*d)[4], visit e, void **f)
{
	return (unsigned long)a + b + !c + !d + !e + !f;
}
static double reals(float a, double b, float c, double d, float e, double f, float g, double h)
{
	return (double)a - b + (double)c - d + (double)e - f + (double)g - h;
}
static float both(int a, float b, const char *c, double d) { return (float)a + b + (float)*c + (float)d; }
static _Bool truth(int x) { return x > 0; }
static const char *text(void) { return "text"; }

DEFINE_STATIC_CALL(nothing, nothing);
DEFINE_STATIC_CALL(narrow, narrow);
DEFINE_STATIC_CALL(wide, wide);
DEFINE_STATIC_CALL(reals, reals);
DEFINE_STATIC_CALL(both, both);
DEFINE_STATIC_CALL(truth, truth);
DEFINE_STATIC_CALL(text, text);

int main(void)
{
	__SCW__nothing();
	if (__SCW__narrow(-100, 7, -3, 9, 1, GREEN) != narrow(-100, 7, -3, 9, 1, GREEN))
		return 1;
	if (__SCW__wide(1, 2, 0, 0, 0, 0) != wide(1, 2, 0, 0, 0, 0))
		return 2;
	if (__SCW__reals(1, 2, 3, 4, 5, 6, 7, 8.5) != reals(1, 2, 3, 4, 5, 6, 7, 8.5))
		return 3;
	if (__SCW__both(1, 0.5f, "a", 2.25) != both(1, 0.5f, "a", 2.25))
		return 4;
	return !__SCW__truth(1) || __SCW__truth(0) || __SCW__text()[0] != 't';
}
