/* SPDX-License-Identifier: MIT */
/* Calls in, across and beside the arms of #if, and with other directives inside of them. */
#define ON 1
#ifdef static_call
#error "nobody has defined it yet"
#endif
#include <static_call.h>

#include "check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static long add_one(long a, long b) { return a + b + 1; }
static long add_two(long a, long b) { return a + b + 2; }
#if ON
DEFINE_STATIC_CALL(k, one);
#else
DEFINE_STATIC_CALL(k, none);
#endif
DEFINE_STATIC_CALL(add, add_one);
#ifdef OFF
DECLARE_STATIC_CALL(absent, nobody);
#endif
#ifndef static_call
#error "static_call is a macro"
#endif
#if defined(static_call) && !defined static_call_sites
#define HAVE 1
#else
#define HAVE 0
#endif

static int absent(void)
{
#if 0
	it is static_call(unclosed
	static_call(absent)(1);
#elif defined OFF
	return static_call(absent)(1);
#elif 0
	return static_call(absent, 1);
#else
	return static_call(k)(1);
#endif
}

static int torn(void)
{
	int sum = 0;

	if (sum)
		;
#ifdef OFF
	else if (static_call(absent)(1))
		;
#endif
	else
		sum += static_call(k)(1);
#if ON
	if (static_call(k)(
#else
	if (static_call(absent)((
#endif
		2) == 2 + step)
		sum += 100;
	sum += static_call(k)
#ifdef OFF
		(50);
#else
		(5);
#endif
	sum +=
#ifdef OFF
		static_call(absent)
#else
		static_call(k)
#endif
			(7);
	return sum;
}

static long inside(void)
{
	long sum = static_call(add)(1,
#if ON
				    2
#else
				    static_call(absent)(3
#endif
	);

	sum += static_call(
#ifdef OFF
		absent
#else
		k
#endif
	)(10);
	sum += static_call(k
#undef GONE
	)(100);
	sum += static_call(k)(
#define INSIDE 500
		INSIDE);
	sum += static_call(add,
#ifdef OFF
			   1
#else
			   1000
#endif
			   ,
			   0);
	return sum;
}

static int line_at;
static int lines(void)
{
	int n = static_call(
		k
	)(
		1
	); line_at = __LINE__;

	return n;
}

#line 1000 "elsewhere.c"
static int after_a_line_directive(void) { return static_call(k)(__LINE__); }
#line 141 "branches.c"

static void checks(void)
{
	check(__LINE__, absent(), 1 + step);
	check(__LINE__, torn(), 1 + step + 100 + 5 + step + 7 + step);
	check(__LINE__, inside(), 3 + 10 + 100 + 500 + 1000 + 5 * step);
	check(__LINE__, lines(), 1 + step);
	check(__LINE__, line_at, 123);
	check(__LINE__, after_a_line_directive(), 1000 + step);
	check(__LINE__, HAVE, 1);
}

static int update(int to)
{
	return static_call_update(k, to == 2 ? two : one) | static_call_update(add, to == 2 ? add_two : add_one);
}

int main(void)
{
	return run(checks, update);
}

#ifdef OFF
static_call(absent)(
#endif
