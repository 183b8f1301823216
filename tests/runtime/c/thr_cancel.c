/* SPDX-License-Identifier: MIT */
/*
 * Threads are cancelled inside a target, deferred and asynchronously, or end there by pthread_exit, while another
 * thread updates the key: the cleanups of the caller and of the target run. Built with -fexceptions, so that
 * __attribute__((cleanup)) counts and the call is the compiler's own; and without, for pthread_cleanup_push alone.
 */
#include <unistd.h>

#include "thr_run.h"

#define THREADS 30

static unsigned long entered, handlers, cleanups, updates;

static void count(void *counter)
{
	__atomic_fetch_add((unsigned long *)counter, 1, __ATOMIC_RELAXED);
}

static unsigned long read_count(const unsigned long *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }

static int waits(int how);
static int spins(int how);
static int leaves(int how);
DEFINE_STATIC_CALL(thr_cancel, waits);

/* Until it is cancelled, at a cancellation point. */
static int waits(int how)
{
	pthread_cleanup_push(count, &handlers);
	count(&entered);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return how;
}

/* Until it is cancelled, anywhere in the loop, where compilers expect no unwinding: it has no cleanup of its own. */
static int spins(int how)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &how);
	count(&entered);
	for (;;)
		__asm__ volatile("pause");
	return how;
}

static int leaves(int how)
{
	count(&entered);
	pthread_cleanup_push(count, &handlers);
	pthread_exit(NULL);
	pthread_cleanup_pop(0);
	return how;
}

static __attribute__((__unused__)) void clean(const int *value)
{
	if (*value == 7)
		count(&cleanups);
}
#ifdef __EXCEPTIONS
#define CLEANED __attribute__((__cleanup__(clean)))
#define CLEANUPS 1
#else
#define CLEANED
#define CLEANUPS 0
#endif

static __attribute__((__noinline__)) int calls(int how)
{
	int mine CLEANED = 7;

	return static_call(thr_cancel)(how) + mine;
}

static void *caller(void *unused)
{
	pthread_cleanup_push(count, &handlers);
	CHECK(calls(0) != 7); /* never returns */
	pthread_cleanup_pop(0);
	return unused;
}

/* Changes the key under the threads that wait in its target, and back to what the next ones are to meet. */
static void *updater(void *target)
{
	int (*const *next)(int) = target;

	for (int i = 0; !stopped(); i++)
		updates += (unsigned long)made(static_call_update(thr_cancel, *next));
	return target;
}

int main(void)
{
	static int (*const targets[])(int) = { waits, spins, leaves };
	pthread_t thread, updating;
	int (*next)(int);
	void *result;
	unsigned long expected = 0;

	for (unsigned long i = 0; i < THREADS; i++) {
		CHECK(!static_call_update(thr_cancel, targets[i % 3]));
		thread = started(caller);
		while (read_count(&entered) == i)
			sched_yield();
		next = targets[(i + 1) % 3];
		stop = 0;
		CHECK(!pthread_create(&updating, NULL, updater, &next));
		if (i % 3 != 2)
			CHECK(!pthread_cancel(thread));
		CHECK(!pthread_join(thread, &result));
		CHECK(result == (i % 3 != 2 ? PTHREAD_CANCELED : NULL));
		stop_all(&updating, 1);
		expected += i % 3 == 1 ? 1 : 2;
		CHECK(handlers == expected);
		CHECK(cleanups == CLEANUPS * (i + 1));
	}
	CHECK(updates);
	return 0;
}
