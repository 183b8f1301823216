/* SPDX-License-Identifier: MIT */
/* Threads that call or update until they are told to stop. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <static_call.h>

#include "obj_check.h"

static int stop;

static inline int stopped(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }

static inline pthread_t started(void *(*run)(void *))
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, run, NULL));
	return thread;
}

static inline void stop_all(const pthread_t *threads, int count)
{
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < count; i++)
		CHECK(!pthread_join(threads[i], NULL));
}

/* An update was made, or was refused since a thread that begins, ends or spawns blocks SIGTRAP for too long. */
static inline int made(int error)
{
	CHECK(!error || error == -EBUSY);
	return !error;
}
