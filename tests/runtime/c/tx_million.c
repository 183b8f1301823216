/* SPDX-License-Identifier: MIT */
/*
 * A million sites in one commit. The assembler makes them, in no time that a compiler would need. A thread calls
 * meanwhile; targets count in memory what they were called for.
 */
#include <pthread.h>

#include <static_call.h>
#include <static_call_runtime.h>

#define SITES 1000000
static unsigned long first_calls, second_calls;

/* One thread calls at a time; read when it does not. */
static void first(void) { first_calls++; }
static void second(void) { second_calls++; }
DEFINE_STATIC_CALL(key, first);
DEFINE_STATIC_CALL(other, first);

/* A million calls of `key`, one behind the other (tx_million_sites.S). */
void run_all(void);

static int stop;
static unsigned long rounds;
static void *caller(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		run_all();
		rounds++;
	}
	return unused;
}

static struct static_call_statistics statistics(void)
{
	struct static_call_statistics now;

	static_call_statistics(&now);
	return now;
}

/* Both keys to a target, in one commit, while a thread calls. */
static int update_all(void (*target)(void))
{
	struct static_call_statistics before = statistics(), after;
	struct static_call_transaction t;

	static_call_begin(&t);
	if (static_call_queue(key, target, &t) || static_call_queue(other, target, &t) || static_call_commit(&t))
		return 1;
	after = statistics();
	if (after.sites != SITES + 1 || after.updates != before.updates + 1)
		return 2;
	if (after.atomic_pokes + after.int3_pokes - before.atomic_pokes - before.int3_pokes < SITES)
		return 3;
	if (after.synchronisations - before.synchronisations - 1 > 2)
		return 4;
	/*
	 * The text is one range, and perhaps another for the trampolines; and the keys. Opened and closed. The first time the
	 * index is made: its two tables become read-only, and keys are opened with the state from then on.
	 */
	return after.protections - before.protections > (before.updates ? 6 : 9) ? 5 : 0;
}

/* What a million calls do once nobody else calls. */
static int check(unsigned long firsts, unsigned long seconds)
{
	first_calls = second_calls = 0;
	run_all();
	return first_calls != firsts || second_calls != seconds;
}

static int while_called(void (*target)(void))
{
	pthread_t thread;
	int failed;

	first_calls = second_calls = rounds = 0;
	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, caller, NULL))
		return 6;
	failed = update_all(target);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	if (failed)
		return failed;
	/* Calls of NULL do nothing; no other call is lost, and none is made twice. */
	if (target ? first_calls + second_calls != rounds * SITES : first_calls || second_calls > rounds * SITES)
		return 7;
	return 0;
}

int main(void)
{
	int failed;

	if (check(SITES, 0))
		return 8;
	/* One site that the compiler made. */
	static_call(other)();
	failed = while_called(second);
	if (failed || check(0, SITES))
		return failed ? failed : 9;
	failed = while_called(NULL);
	if (failed || check(0, 0))
		return failed ? failed + 10 : 19;
	failed = update_all(first);
	if (failed || check(SITES, 0))
		return failed ? failed + 20 : 29;
	return 0;
}
