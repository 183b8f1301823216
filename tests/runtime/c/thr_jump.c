/* SPDX-License-Identifier: MIT */
/* Targets that leave by longjmp, and some that return, while another thread updates. */
#include <setjmp.h>

#include "thr_run.h"

#define UPDATES 300

static _Thread_local jmp_buf away;

static int jumps_1(int x) { longjmp(away, x + 1); }
static int jumps_2(int x) { longjmp(away, x + 2); }
static int returns(int x) { return x + 3; }

DEFINE_STATIC_CALL(thr_jump, jumps_1);

/* What the target did: 11 and 12 by longjmp, 13 by return, 0 where the key returns 0. */
static __attribute__((__noinline__)) int outcome(void)
{
	int value = setjmp(away);

	return value ? value : static_call(thr_jump)(10);
}

static unsigned long jumped;

static void *caller(void *unused)
{
	while (!stopped()) {
		int value = outcome();

		CHECK(value == 0 || (value >= 11 && value <= 13));
		if (value == 11 || value == 12)
			__atomic_fetch_add(&jumped, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

int main(void)
{
	int (*const targets[])(int) = { jumps_2, jumps_1, returns, (int (*)(int))(void (*)(void))__static_call_return0,
					jumps_1, jumps_2 };
	pthread_t threads[] = { started(caller), started(caller) };

	while (!__atomic_load_n(&jumped, __ATOMIC_RELAXED))
		sched_yield();
	for (int i = 0; i < UPDATES; i++)
		CHECK(!static_call_update(thr_jump, targets[i % 6]));
	stop_all(threads, 2);
	CHECK(outcome() == 12);
	return 0;
}
