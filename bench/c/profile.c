/* SPDX-License-Identifier: MIT */
/*
 * A loop around one call, as bench/profile.py builds it: with HARD as a hard-wired call, with STATIC as a static call,
 * else by a pointer, which a profile may promote. The targets are in this file, or with ELSEWHERE in another that has
 * TARGETS alone.
 *
 *     profile CALLS [another]      nanoseconds a call; with a second word another target than the first
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined ELSEWHERE
int one(int x);
int two(int x);
#else
/* Not inlined: what inlining wins is not what is asked here. */
__attribute__((__noinline__)) int one(int x)
{
	return x + 1;
}
__attribute__((__noinline__)) int two(int x)
{
	return x + 2;
}
#endif

#if !defined TARGETS

#if defined HARD
#define CALL(x) one(x)
#define CHANGE() ((void)0)
#elif defined STATIC
#include <static_call.h>
DEFINE_STATIC_CALL(op, one);
#define CALL(x) static_call(op)(x)
#define CHANGE() (static_call_update(op, two) ? abort() : (void)0)
#else
int (*op)(int) = one;
#define CALL(x) op(x)
#define CHANGE() ((void)(op = two))
#endif

int main(int argc, char **argv)
{
	struct timespec start, end;
	int x = 0;
	if (argc < 2)
		return 2;
	long calls = atol(argv[1]);
#if defined STATIC
	static_call_init();
#endif
	if (argc > 2)
		CHANGE();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
	for (long n = 0; n < calls; n++)
		x += CALL(x);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	printf("%.4f\n", ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / (double)calls);
	return x == 42;
}
#endif
