/* SPDX-License-Identifier: MIT */
/* A project that says that it has no other spelling: static_call(key) is the call without arguments. */
#define STATIC_CALL_2018
#include <static_call.h>

#include "check.h"

typedef int (*fn)(int);

static long value_one(void) { return 1; }
static long value_two(void) { return 2; }
static long count;
static void hit_one(void) { count += 1; }
static void hit_two(void) { count += 2; }
static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static fn get_one(void) { return one; }
static fn get_two(void) { return two; }

DEFINE_STATIC_CALL(value, value_one);
DEFINE_STATIC_CALL(hit, hit_one);
DEFINE_STATIC_CALL(k, one);
DEFINE_STATIC_CALL(get, get_one);

static void checks(void)
{
	long v = static_call(value);

	check(__LINE__, v + static_call(value), 2 * step);
	check(__LINE__, static_call(k, static_call(value)), 2 * step);
	count = 0;
	static_call(hit);
	if (v)
		static_call(hit);
	check(__LINE__, count, 2 * step);
	check(__LINE__, (static_call(get))(5), 5 + step);
	check(__LINE__, static_call_mod(k)(1), 1 + step);
#ifdef CALLED_AT_ONCE
	check(__LINE__, static_call(get)(5), 5 + step);
#endif
}

static int update(int to)
{
	int error = static_call_update(value, to == 2 ? value_two : value_one);

	error |= static_call_update(hit, to == 2 ? hit_two : hit_one);
	error |= static_call_update(k, to == 2 ? two : one);
	error |= static_call_update(get, to == 2 ? get_two : get_one);
	return error;
}

int main(void)
{
	return run(checks, update);
}
