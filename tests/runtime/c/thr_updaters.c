/* SPDX-License-Identifier: MIT */
/*
 * Several updaters of one key, of different ones, and of all in transactions, while threads call. At the end each
 * key, each site and each trampoline agree.
 */
#include "thr_run.h"

#include <static_call_runtime.h>

#define UPDATES 200

static int one(void) { return 1; }
static int two(void) { return 2; }
static int three(void) { return 3; }

DEFINE_STATIC_CALL(thr_a, one);
DEFINE_STATIC_CALL(thr_b, two);
DEFINE_STATIC_CALL_RET0(thr_c, one);

static int calls_a(void) { return static_call(thr_a)(); }
static int calls_b(void) { return static_call(thr_b)(); }
static int calls_c(void) { return static_call(thr_c)(); }

static int is_right(int value) { return value >= 0 && value <= 3; }

static void *caller(void *unused)
{
	while (!stopped()) {
		CHECK(is_right(calls_a()) && is_right(calls_b()) && is_right(calls_c()));
		CHECK(calls_a() != 0);
	}
	return unused;
}

static void *updates_a(void *unused)
{
	for (int i = 0; i < UPDATES; i++)
		CHECK(!static_call_update(thr_a, i & 1 ? one : two));
	return unused;
}

static void *updates_b_and_c(void *unused)
{
	for (int i = 0; i < UPDATES; i++) {
		CHECK(!static_call_update(thr_b, i & 1 ? one : three));
		CHECK(!static_call_update(thr_c, i & 1 ? one : (int (*)(void))(void (*)(void))__static_call_return0));
	}
	return unused;
}

static void *updates_all(void *unused)
{
	for (int i = 0; i < UPDATES; i++) {
		struct static_call_transaction t;

		static_call_begin(&t);
		CHECK(!static_call_queue(thr_a, i & 1 ? three : one, &t));
		CHECK(!static_call_queue(thr_b, i & 1 ? three : two, &t));
		CHECK(!static_call_queue(thr_c, i & 1 ? three : two, &t));
		CHECK(!static_call_commit(&t));
	}
	return unused;
}

static int agrees(const struct static_call_site_info *site, void *argument)
{
	static_call_fn target = __static_call_load(site->key);

	(void)argument;
	CHECK(site->by_trampoline || site->form == STATIC_CALL_CONSTANT ||
	      site->target == __extension__(const void *)target);
	return 0;
}

static int value_of(int (*target)(void)) { return target(); }

int main(void)
{
	void *(*const updaters[])(void *) = { updates_a, updates_a, updates_b_and_c, updates_all, updates_all };
	pthread_t callers[2], threads[5];

	for (int i = 0; i < 2; i++)
		callers[i] = started(caller);
	for (int i = 0; i < 5; i++)
		threads[i] = started(updaters[i]);
	for (int i = 0; i < 5; i++)
		CHECK(!pthread_join(threads[i], NULL));
	stop_all(callers, 2);
	CHECK(calls_a() == value_of(static_call_query(thr_a)));
	CHECK(calls_b() == value_of(static_call_query(thr_b)));
	CHECK(calls_c() == value_of(static_call_query(thr_c)));
	CHECK(!static_call_each_site(NULL, agrees, NULL));
	return 0;
}
