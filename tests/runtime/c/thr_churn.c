/* SPDX-License-Identifier: MIT */
/* Threads are created and end in a loop while one updates; each calls, every fourth updates too. */
#include "thr_run.h"

#define ROUNDS 30
#define THREADS 8

static int one(void) { return 1; }
static int two(void) { return 2; }

DEFINE_STATIC_CALL(thr_churn, one);
DEFINE_STATIC_CALL_RET0(thr_churn_0, one);

static unsigned long updates;

static int is_right(int value, int other) { return value == other || value == 1 || value == 2; }

static void *short_life(void *number)
{
	for (int i = 0; i < 200; i++) {
		CHECK(is_right(static_call(thr_churn)(), 1));
		CHECK(is_right(static_call(thr_churn_0)(), 0));
	}
	if (number && made(static_call_update(thr_churn_0, two)))
		CHECK(is_right(static_call(thr_churn_0)(), 0));
	return number;
}

static void *updater(void *unused)
{
	for (int i = 0; !stopped(); i++) {
		updates += made(static_call_update(thr_churn, i & 1 ? one : two));
		updates += made(static_call_update(thr_churn_0,
						   i & 1 ? one : (int (*)(void))(void (*)(void))__static_call_return0));
	}
	return unused;
}

int main(void)
{
	pthread_t thread = started(updater), threads[THREADS];

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < THREADS; i++)
			CHECK(!pthread_create(&threads[i], NULL, short_life, i % 4 ? NULL : &threads[i]));
		for (int i = 0; i < THREADS; i++)
			CHECK(!pthread_join(threads[i], NULL));
	}
	stop_all(&thread, 1);
	CHECK(updates > ROUNDS / 10);
	return 0;
}
