/* SPDX-License-Identifier: MIT */
/*
 * An update from inside a call of the same key, in several threads at once: the first target replaces itself, as
 * dispatchers do. And a key whose first target is libc's malloc, far out of reach of the executable.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <static_call.h>

#define THREADS 4

static int lazy(int x);
static int chosen(int x) { return x * 2; }

DEFINE_STATIC_CALL(dispatch, lazy);
DEFINE_STATIC_CALL(allocate, malloc);

static unsigned long lazy_calls, failures, allocations;

static int lazy(int x)
{
	__atomic_fetch_add(&lazy_calls, 1, __ATOMIC_RELAXED);
	if (static_call_update(dispatch, chosen))
		__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
	return static_call(dispatch)(x);
}

static void *counted(size_t size)
{
	__atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
	return malloc(size);
}

static pthread_barrier_t barrier;

static void *worker(void *unused)
{
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 1000; i++)
		if (static_call(dispatch)(i) != i * 2)
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
	return unused;
}

int main(void)
{
	pthread_t threads[THREADS];
	void *p;

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, worker, NULL))
			return 2;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);

	free(static_call(allocate)(100));
	if (static_call_query(allocate) != malloc || allocations)
		return 3;
	if (static_call_update(allocate, counted))
		return 4;
	free(static_call(allocate)(100));
	if (allocations != 1)
		return 5;
	if (static_call_update(allocate, malloc)) /* back, beyond +-2 GiB: through the slot */
		return 6;
	p = static_call(allocate)(100);
	free(p);
	if (!p || allocations != 1)
		return 7;
	printf("inside: lazy calls %s, failures %lu\n", lazy_calls && lazy_calls <= THREADS ? "ok" : "wrong", failures);
	return failures != 0 || !lazy_calls;
}
