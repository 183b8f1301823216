/* SPDX-License-Identifier: MIT */
/* The program ends while threads still call and update: they see nothing of it. */
#include "thr_run.h"

static int one(void) { return 1; }
static int two(void) { return 2; }

DEFINE_STATIC_CALL(thr_exit, one);

static unsigned long updates;

static void *caller(void *unused)
{
	for (;;) {
		int value = static_call(thr_exit)();

		CHECK(value == 1 || value == 2);
	}
	return unused;
}

static void *updater(void *unused)
{
	for (int i = 0;; i++) {
		CHECK(!static_call_update(thr_exit, i & 1 ? one : two));
		__atomic_fetch_add(&updates, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

int main(void)
{
	(void)started(caller);
	(void)started(updater);
	while (__atomic_load_n(&updates, __ATOMIC_RELAXED) < 10)
		sched_yield();
	return 0;
}
