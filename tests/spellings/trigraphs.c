/* SPDX-License-Identifier: MIT */
/* -std=c11 has trigraphs, -std=gnu11 has not, and no token tells. */
#include <static_call.h>
#include "check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
DEFINE_STATIC_CALL(k, one);

??=define MACRO(x) static_call(/*
*/ k)(x)
#define MORE(x) ??/
	static_call( ??/
		k)(x)

static int comments(void)
{
	int n = 0; // is this one line??/
	n = static_call(k)(100);
	return static_call(k // and this??/
	)(200)
	)(n);
}

static void checks(void)
??<
	int array??(1??) = ??< static_call(k)(1) ??>;

	check(__LINE__, array[0], 1 + step);
	check(__LINE__, MACRO(1) + MORE(1), 2 + 2 * step);
	check(__LINE__, comments(), step);
	check(__LINE__, "??/"static_call(k)(1)"[0] == '"', 1);
	check(__LINE__, sta??/
tic_call(k)(1), 1 + step);
	check(__LINE__, static_call(k)??/
(1), 1 + step);
	check(__LINE__, static_call(
		k
	)(1), 1 + step);
??>

static int update(int to)
{
	return static_call_update(k, to == 2 ? two : one);
}

int main(void)
{
	return run(checks, update);
}
