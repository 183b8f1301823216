/* SPDX-License-Identifier: MIT */
/* Threads that call as fast as they can, and the time. */
#ifndef BENCH_BUSY_H
#define BENCH_BUSY_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define BUSY_MAX 8
static struct {
	pthread_t threads[BUSY_MAX];
	int count, stop;
	void (*run)(void);
} busy;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

static void *busy_thread(void *unused)
{
	while (!__atomic_load_n(&busy.stop, __ATOMIC_RELAXED))
		busy.run();
	return unused;
}

static void busy_start(int count, void (*run)(void))
{
	busy.run = run;
	busy.count = 0;
	__atomic_store_n(&busy.stop, 0, __ATOMIC_RELAXED);
	while (busy.count < count && !pthread_create(&busy.threads[busy.count], NULL, busy_thread, NULL))
		busy.count++;
	if (busy.count < count)
		abort();
}

static void busy_end(void)
{
	__atomic_store_n(&busy.stop, 1, __ATOMIC_RELAXED);
	while (busy.count)
		pthread_join(busy.threads[--busy.count], NULL);
}

#endif
