/* SPDX-License-Identifier: MIT */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

/*
 * Each program runs `checks` before any update, after one to the second functions, and after one back. What a key's
 * first function makes of its arguments differs from what its second does by `step`, which is 1 or 2.
 */
static long step = 1;
static int failed;

/* A function and no macro: calls stand in its arguments, and there they can be rewritten. */
static inline void check(int line, long got, long wanted)
{
	if (got != wanted) {
		printf("line %d, step %ld: got %ld, wanted %ld\n", line, step, got, wanted);
		failed = 1;
	}
}

static inline int run(void (*checks)(void), int (*update)(int to))
{
	checks();
	for (int to = 2; to >= 1; to--) {
		check(__LINE__, update(to), 0);
		step = to;
		checks();
	}
	return failed;
}

#endif
