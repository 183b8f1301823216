/* SPDX-License-Identifier: MIT */
/*
 *     call time ROUNDS MICROSECONDS    "NAME|WAY|COPY|ROUND|NS" for each loop and round, so long each
 *     call count                       under callgrind: one dump a loop, named NAME|WAY|CALLS
 *
 * Lines that begin with # tell how many sites there are, and how many go by their trampoline.
 */
#include "call.h"

#include <static_call_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>
#include <x86intrin.h>

extern const struct loop *const __start_bench_loops[], *const __stop_bench_loops[];
unsigned char poly_order[POLY_LENGTH];
unsigned long cold_ticks[COLD_TURNS];

/* Data first, out of the first level; the code then, out of the second, which is for both. */
#define EVICTED (256 << 10)
static char *evicted;
void evict_code(void);
void evict(void)
{
	for (long i = 0; i < EVICTED; i += 64)
		*(volatile char *)(evicted + i);
	evict_code();
}

/* The processor time of this thread: what others do meanwhile does not count. */
static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

static double ns_of_tick(void)
{
	struct timespec began, ended;
	unsigned long ticks = __rdtsc();
	double took;

	clock_gettime(CLOCK_MONOTONIC, &began);
	do {
		clock_gettime(CLOCK_MONOTONIC, &ended);
		took = 1e9 * (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec);
	} while (took < 2e7);
	return took / (double)(__rdtsc() - ticks);
}

static int compare(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return (x > y) - (x < y);
}

/* Nanoseconds a call. */
static double timed(const struct loop *loop, long turns, double tick)
{
	double began = now();

	loop->run(turns);
	if (!loop->cold)
		return (now() - began) / (double)(turns * loop->calls);
	qsort(cold_ticks, COLD_TURNS, sizeof(*cold_ticks), compare);
	return tick * (double)cold_ticks[COLD_TURNS / 2] / loop->calls;
}

static long turns_for(const struct loop *loop, double length)
{
	long turns = 1;

	if (loop->cold)
		return COLD_TURNS;
	for (;; turns *= 2) {
		double took = timed(loop, turns, 0) * (double)(turns * loop->calls);

		if (took >= length)
			return (long)((double)turns * length / took) + 1;
	}
}

/* All loops of one name take turns, one way and then the other. */
static void measure(const char *name, int rounds, double length, double tick)
{
	const struct loop *loops[256];
	int count = 0;
	long turns;

	for (const struct loop *const *at = __start_bench_loops; at < __stop_bench_loops && count < 256; at++)
		if (!strcmp((*at)->name, name))
			loops[count++] = *at;
	turns = turns_for(loops[0], length);
	for (int i = 0; i < count; i++)
		loops[i]->run(turns);
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < count; i++) {
			const struct loop *loop = loops[round % 2 ? count - 1 - i : i];

			printf("%s|%s|%d|%d|%.4f\n", name, loop->way, loop->copy, round, timed(loop, turns, tick));
		}
}

static void count(void)
{
	char name[200];

	for (const struct loop *const *at = __start_bench_loops; at < __stop_bench_loops; at++) {
		const struct loop *loop = *at;

		if (loop->copy || loop->cold)
			continue;
		loop->run(1);
		snprintf(name, sizeof(name), "%s|%s|%d", loop->name, loop->way, 10 * loop->calls);
		CALLGRIND_ZERO_STATS;
		CALLGRIND_TOGGLE_COLLECT;
		loop->run(10);
		CALLGRIND_TOGGLE_COLLECT;
		CALLGRIND_DUMP_STATS_AT(name);
	}
}

static int visit(const struct static_call_site_info *site, void *argument)
{
	unsigned long *counts = argument;

	counts[0]++;
	counts[1] += (unsigned long)site->by_trampoline;
	return 0;
}

static void tell_sites(const char *name, const struct static_call_key *key)
{
	unsigned long counts[2] = { 0, 0 };

	static_call_each_site(key, visit, counts);
	printf("# %s: %lu sites, %lu by their trampoline\n", name, counts[0], counts[1]);
}

static int prepare(void)
{
	unsigned long random = 88172645463325252;

	evicted = malloc(EVICTED);
	if (!evicted)
		return 1;
	memset(evicted, 1, EVICTED);
	for (int i = 0; i < POLY_LENGTH; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		poly_order[i] = random >> 20 & 3;
	}
	if (static_call_init())
		return 1;
	static_call_set_folding(1);
	return static_call_update(constant, target_constant);
}

int main(int argc, char **argv)
{
	int error = prepare();
	double tick;

	if (error || argc < 2) {
		fprintf(stderr, "call: error %d\n", error);
		return 2;
	}
	tell_sites("all", NULL);
	tell_sites("empty", &STATIC_CALL_KEY(empty));
	tell_sites("far", &STATIC_CALL_KEY(far));
	if (!strcmp(argv[1], "count")) {
		count();
		return 0;
	}
	tick = ns_of_tick();
	for (const struct loop *const *at = __start_bench_loops; at < __stop_bench_loops; at++) {
		const struct loop *const *before = __start_bench_loops;

		while (strcmp((*before)->name, (*at)->name))
			before++;
		if (before == at)
			measure((*at)->name, atoi(argv[2]), 1000 * atof(argv[3]), tick);
	}
	return 0;
}
