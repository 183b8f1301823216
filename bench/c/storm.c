/* SPDX-License-Identifier: MIT */
/*
 * What callers notice of updates: one thread calls, on a processor of its own, another updates so often.
 *
 *     storm ROUNDS MILLISECONDS WAY...    "WAY|RATE|ROUND|CALLS A SECOND|99.9 % OF CALLS, NS|UPDATES A SECOND"
 *
 * WAY: a protocol; or `pointer`, which is called and stored to. With -DXRAY: LLVM's XRay, a function's entry and exit.
 */
#define _GNU_SOURCE
#include "busy.h"

#include <stdio.h>
#include <string.h>
#include <x86intrin.h>

#ifdef XRAY
#define ENTRY __attribute__((__noinline__, __xray_always_instrument__))
int __xray_set_handler(void (*entry)(int, int));
int __xray_patch_function(int function);
int __xray_unpatch_function(int function);
#else
#define ENTRY __attribute__((__noinline__))
#include "update_keys.h"
static void (*pointer)(void);
static int by_pointer;
#endif

#define BUCKETS 65536
static unsigned histogram[BUCKETS];
static unsigned long calls;
static int timed, stop;

#ifdef XRAY
ENTRY static void target(void) { __asm__ volatile(""); }
static void handler(int function, int kind) { (void)function, (void)kind; }
static void call(void) { target(); }
static int change(const char *way, unsigned long number)
{
	(void)way;
	return (number % 2 ? __xray_unpatch_function(1) : __xray_patch_function(1)) != 1;
}
static int choose(const char *way) { (void)way; return __xray_set_handler(handler) != 1; }
#else
ENTRY void first(void) { __asm__ volatile(""); }
ENTRY void second(void) { __asm__ volatile(""); }
DEFINE_STATIC_CALL(one, first);
DEFINE_STATIC_CALL(hundred, first);
DEFINE_STATIC_CALL(ten_thousand, first);
DEFINE_STATIC_CALL(million, first);
static void call(void)
{
	if (by_pointer)
		__atomic_load_n(&pointer, __ATOMIC_ACQUIRE)();
	else
		run_one();
}
static int change(const char *way, unsigned long number)
{
	static_call_fn func = number % 2 ? first : second;

	(void)way;
	if (by_pointer)
		return __atomic_store_n(&pointer, func, __ATOMIC_RELEASE), 0;
	return static_call_update(one, func);
}
static int choose(const char *way)
{
	static const char *const names[] = { "auto", "int3-push", "int3-resume", "int3-stub", "atomic" };

	by_pointer = !strcmp(way, "pointer");
	pointer = first;
	for (int i = 0; i < 5; i++)
		if (!strcmp(way, names[i]))
			return static_call_set_protocol((enum static_call_protocol)i);
	return !by_pointer;
}
#endif

static void pin(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *caller(void *unused)
{
	pin(1);
	calls = 0;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned core;
		unsigned long began, took;

		if (!timed) {
			for (int i = 0; i < 64; i++)
				call();
			calls += 64;
			continue;
		}
		began = __rdtscp(&core);
		call();
		took = __rdtscp(&core) - began;
		histogram[took < BUCKETS ? took : BUCKETS - 1]++;
		calls++;
	}
	return unused;
}

/* So many updates a second, or as many as can be; returns those that were made, in a second. */
static double update_for(double length, double rate, const char *way)
{
	double began = now(), end = began + length, at;
	unsigned long number = 0;

	while ((at = now()) < end) {
		if (!rate || at < began + (double)number * 1e9 / rate)
			continue;
		if (change(way, number++))
			abort();
	}
	return 1e9 * (double)number / (at - began);
}

static double percentile(double tick)
{
	unsigned long seen = 0, wanted = calls - calls / 1000, at = 0;

	while (at < BUCKETS && seen < wanted)
		seen += histogram[at++];
	return tick * (double)at;
}

static void measure(const char *way, double rate, int round, double length)
{
	double made, took, second_calls = 0, tail = 0, began;
	unsigned long ticks;
	pthread_t thread;

	memset(histogram, 0, sizeof(histogram));
	for (timed = 0; timed < 2; timed++) {
		__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
		began = now();
		ticks = __rdtsc();
		if (choose(way) || pthread_create(&thread, NULL, caller, NULL))
			abort();
		made = update_for(length, rate, way);
		__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		took = now() - began;
		if (timed)
			tail = percentile(took / (double)(__rdtsc() - ticks));
		else
			second_calls = 1e9 * (double)calls / took;
	}
	printf("%s|%.0f|%d|%.0f|%.1f|%.0f\n", way, rate, round, second_calls, tail, made);
}

int main(int argc, char **argv)
{
	static const double rates[] = { 0, 1e3, 1e4, 1e5, 1e6 };

	if (argc < 4)
		return 2;
	pin(0);
	for (int round = 0; round < atoi(argv[1]); round++)
		for (int i = 3; i < argc; i++)
			for (int j = 0; j < 5; j++)
				measure(argv[i], rates[j], round, 1e6 * atof(argv[2]));
	return 0;
}
