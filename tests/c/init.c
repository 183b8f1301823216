/* SPDX-License-Identifier: MIT */
/*
 * Before a key's first update its calls go by the trampoline. static_call_init() directs all of them, and so does an
 * update to the target that the key has already; neither changes what a call does.
 */
#include <stdio.h>
#include <stdlib.h>

#include <static_call.h>
#include <static_call_runtime.h>

static int one(void) { return 1; }
static void note(int *out) { ++*out; }
DEFINE_STATIC_CALL(number, one);
DEFINE_STATIC_CALL_NULL(hook, note);
DEFINE_STATIC_CALL_RET0(zero, one);
DEFINE_STATIC_CALL(far, abs);

static int check(void)
{
	int notes = 0;

	static_call_cond(hook)(&notes);
	return static_call(number)() != 1 || notes || static_call(zero)() != 0 || static_call(far)(-4) != 4;
}

static unsigned long pokes(void)
{
	struct static_call_statistics statistics;

	static_call_statistics(&statistics);
	return statistics.atomic_pokes + statistics.int3_pokes;
}

int main(void)
{
	unsigned long after_one, after_all;

	if (check() || pokes())
		return 1;
	if (static_call_update(hook, NULL) || check())
		return 2;
	after_one = pokes();
	if (static_call_init() || check())
		return 3;
	after_all = pokes();
	if (static_call_init() || check() || pokes() != after_all)
		return 4;
	printf("init: %lu then %lu\n", after_one, after_all);
	return 0;
}
