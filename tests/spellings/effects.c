/* SPDX-License-Identifier: MIT */
/* What a call changes: variables whose address nobody takes, changed by functions that the compiler sees whole. */
#include <static_call.h>

#include "check.h"

static long changed, seen;

static void one(void) { changed = 1; seen = changed; }
static void two(void) { changed = 2; seen = changed; }

DEFINE_STATIC_CALL(k, one);

/* Not inlined, so that the compiler has a summary of it: gcc's (-fipa-reference) knows of no asm. */
__attribute__((__noinline__)) static void caller(void)
{
	static_call(k)();
}
__attribute__((__noinline__)) static int tail(void)
{
	return static_call(k)(), 5;
}

static void checks(void)
{
	changed = 0;
	caller();
	check(__LINE__, changed, step);
	changed = 0;
	check(__LINE__, tail() + changed, 5 + step);
	changed = 0;
	static_call(k)();
	check(__LINE__, changed + seen, 2 * step);
}

static int update(int to)
{
	return static_call_update(k, to == 2 ? two : one);
}

int main(void)
{
	return run(checks, update);
}
