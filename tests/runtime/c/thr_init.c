/* SPDX-License-Identifier: MIT */
/*
 * Initial targets that look at the processor and replace themselves: first all threads meet the same one at once,
 * round by round; then one thread puts it back again and again while the others call. Two keys, one of which is
 * void and becomes NULL.
 */
#include "thr_run.h"

#define THREADS 4
#define ROUNDS 150

static int probe(int x);
static void probe_hook(int *seen);
DEFINE_STATIC_CALL(thr_init, probe);
DEFINE_STATIC_CALL(thr_init_hook, probe_hook);

static int slow(int x) { return x + 1; }
static int fast(int x) { return x + 1; }

static unsigned long probes, hooks;
static pthread_barrier_t barrier;

/* In several threads at once, which may choose differently. */
static int probe(int x)
{
	unsigned long n = __atomic_fetch_add(&probes, 1, __ATOMIC_RELAXED);

	CHECK(!static_call_update(thr_init, n & 1 ? slow : fast));
	return static_call(thr_init)(x);
}

static void probe_hook(int *seen)
{
	__atomic_fetch_add(&hooks, 1, __ATOMIC_RELAXED);
	*seen = 1;
	CHECK(!static_call_update(thr_init_hook, NULL));
}

static void calls(void)
{
	int seen = 0;

	CHECK(static_call(thr_init)(1) == 2);
	static_call_cond(thr_init_hook)(&seen);
}

static void *round_by_round(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&barrier);
		for (int j = 0; j < 20; j++)
			calls();
		pthread_barrier_wait(&barrier);
	}
	return unused;
}

static void *without_rounds(void *unused)
{
	while (!stopped())
		calls();
	return unused;
}

static void reset(void)
{
	CHECK(!static_call_update(thr_init, probe));
	CHECK(!static_call_update(thr_init_hook, probe_hook));
}

int main(void)
{
	pthread_t threads[THREADS];

	CHECK(!pthread_barrier_init(&barrier, NULL, THREADS + 1));
	for (int i = 0; i < THREADS; i++)
		threads[i] = started(round_by_round);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned long before = probes, hooks_before = hooks;

		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		CHECK(probes > before && hooks > hooks_before);
		CHECK(static_call_query(thr_init) == slow || static_call_query(thr_init) == fast);
		CHECK(!static_call_query(thr_init_hook));
		reset();
	}
	stop_all(threads, THREADS);
	stop = 0;
	for (int i = 0; i < THREADS; i++)
		threads[i] = started(without_rounds);
	for (int i = 0; i < ROUNDS; i++)
		reset();
	stop_all(threads, THREADS);
	return 0;
}
