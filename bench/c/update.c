/* SPDX-License-Identifier: MIT */
/*
 *     update ROUNDS    "SITES|THREADS|CHANGE|PROTOCOL|ROUND|NS|SYNCHRONISATIONS" for each update
 *
 * Every protocol has its turn in each round, but int3-resume only where targets alone change: its sites stay calls.
 * "pointer store": what a program without static calls would do. "floor": the system calls that no update of read-only
 * keys and text can do without, two pairs of mprotect and a synchronisation, or three for int3.
 */
#define _GNU_SOURCE
#include "busy.h"
#include "update_keys.h"

#include <linux/membarrier.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void first(void) {}
void second(void) {}
DEFINE_STATIC_CALL(one, first);
DEFINE_STATIC_CALL(hundred, first);
DEFINE_STATIC_CALL(ten_thousand, first);
DEFINE_STATIC_CALL(million, first);

static static_call_fn stored;
static const char *const protocols[] = { "auto", "int3-push", "int3-stub", "atomic", "int3-resume" };
static const enum static_call_protocol numbers[] = {
	STATIC_CALL_AUTO, STATIC_CALL_INT3_PUSH, STATIC_CALL_INT3_STUB, STATIC_CALL_ATOMIC, STATIC_CALL_INT3_RESUME,
};

static unsigned long synchronisations(void)
{
	struct static_call_statistics statistics;

	static_call_statistics(&statistics);
	return statistics.synchronisations;
}

/* One key, or with NULL all the many in one transaction. 0 or -errno. */
static int update(struct static_call_key *key, static_call_fn func)
{
	struct static_call_transaction t;

	if (key)
		return __static_call_update(key, NULL, (void *)func);
	static_call_begin(&t);
	for (unsigned long i = 0; i < many_count; i++)
		(void)__static_call_queue(&t, many_keys[i], func);
	return static_call_commit(&t);
}

struct what {
	const char *sites;
	int threads;
	struct static_call_key *key;
	static_call_fn other;
};

/* The update there, whose time is told, and back; how often it is refused is seen by what is missing in the output. */
static void once(const struct what *what, int protocol, int round)
{
	unsigned long before;
	double began, took;

	static_call_set_protocol(numbers[protocol]);
	before = synchronisations();
	began = now();
	if (!update(what->key, what->other)) {
		took = now() - began;
		printf("%s|%d|%s|%s|%d|%.0f|%lu\n", what->sites, what->threads, what->other ? "target" : "NULL",
		       protocols[protocol], round, took, synchronisations() - before);
	}
	if (update(what->key, first)) {
		static_call_set_protocol(STATIC_CALL_AUTO);
		(void)update(what->key, first);
	}
}

static void store(const struct what *what, int round)
{
	double began = now();

	__atomic_store_n(&stored, what->other, __ATOMIC_RELEASE);
	printf("%s|%d|target|pointer store|%d|%.0f|0\n", what->sites, what->threads, round, now() - began);
}

/* A page of keys and one of text, as the runtime leaves them: mappings of their own after the first update. */
static void floor_of(const struct what *what, int syncs, int round)
{
	void *key = (void *)((uintptr_t)&STATIC_CALL_KEY(one) & ~4095ul);
	void *text = (void *)((uintptr_t)STATIC_CALL_TRAMP_ADDR(one) & ~4095ul);
	double began = now(), took;
	int failed = mprotect(key, 4096, PROT_READ | PROT_WRITE) | mprotect(text, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);

	for (int i = 0; i < syncs; i++)
		failed |= (int)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
	failed |= mprotect(text, 4096, PROT_READ | PROT_EXEC) | mprotect(key, 4096, PROT_READ);
	took = now() - began;
	if (!failed)
		printf("%s|%d|target|floor, %d syncs|%d|%.0f|%d\n", what->sites, what->threads, syncs, round, took, syncs);
}

static void measure(const struct what *what, void (*run)(void), int rounds)
{
	int count = what->other ? 5 : 4;

	busy_start(what->threads, run);
	once(what, 0, -1); /* not counted: pages that are touched for the first time */
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < count; i++)
			once(what, round % 2 ? count - 1 - i : i, round);
		if (what->other && what->key == &STATIC_CALL_KEY(one))
			store(what, round);
		if (what->other && (what->key == &STATIC_CALL_KEY(one) || what->key == &STATIC_CALL_KEY(hundred))) {
			floor_of(what, 1, round);
			floor_of(what, 3, round);
		}
	}
	busy_end();
}

int main(int argc, char **argv)
{
	static const int threads[] = { 0, 1, 2, 8 };
	struct {
		struct static_call_key *key;
		const char *sites;
		void (*run)(void);
		int slow;
	} keys[] = {
		{ &STATIC_CALL_KEY(one), "1", run_one, 1 },
		{ &STATIC_CALL_KEY(hundred), "100", run_hundred, 1 },
		{ &STATIC_CALL_KEY(ten_thousand), "10000", run_ten_thousand, 1 },
		{ &STATIC_CALL_KEY(million), "1000000", run_million, 5 },
		{ NULL, "10000 keys", run_one, 2 },
	};
	int rounds = argc > 1 ? atoi(argv[1]) : 0;

	if (rounds < 1 || static_call_init())
		return 2;
	for (int change = 0; change < 2; change++)
		for (unsigned i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			for (unsigned j = 0; j < sizeof(threads) / sizeof(*threads); j++) {
				struct what what = { keys[i].sites, threads[j], keys[i].key, change ? second : NULL };
				int few = rounds / keys[i].slow;

				measure(&what, keys[i].run, few ? few : 1);
			}
	return 0;
}
