/* SPDX-License-Identifier: MIT */
/*
 * A thread blocks SIGTRAP and calls all the while: an int3 would kill the program. What an update says then, and again
 * once the thread has unblocked the signal.
 *
 * usage: host_blocked STATE    Prints "blocked ERROR" and "open ERROR", and the statistics that tell how.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "host_sites.h"

DEFINE_STATIC_CALL(key, target_a);
DEFINE_CALLS(key, SITES16(key))

static bool unblock, stop;
static int state; /* 1: SIGTRAP is blocked, 2: it is not */
static unsigned long wrong;

static void *caller(void *unused)
{
	sigset_t trap;

	sigemptyset(&trap);
	sigaddset(&trap, SIGTRAP);
	pthread_sigmask(SIG_BLOCK, &trap, NULL);
	__atomic_store_n(&state, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		wrong += calls_of_key(NULL, NULL);
		if (__atomic_load_n(&state, __ATOMIC_RELAXED) == 1 && __atomic_load_n(&unblock, __ATOMIC_RELAXED)) {
			pthread_sigmask(SIG_UNBLOCK, &trap, NULL);
			__atomic_store_n(&state, 2, __ATOMIC_RELEASE);
		}
	}
	return unused;
}

static void reach(int wanted)
{
	while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != wanted)
		sched_yield();
}

static int update(const char *label, const struct state *from, const struct state *to)
{
	int error = static_call_update(key, target_of(to));
	const struct state *now = error ? from : to;
	struct static_call_statistics s;
	struct static_call_failure failure;

	static_call_statistics(&s);
	static_call_last_failure(&failure);
	printf("%s %d\n%s_without_int3 %lu\n%s_kept_calls %lu\n%s_int3_pokes %lu\n", label, error, label, s.without_int3,
	       label, s.kept_calls, label, s.int3_pokes);
	if (calls_of_key(now, now) || static_call_query(key) != target_of(now))
		exit(3);
	if (error && (failure.error != error || !strstr(failure.what, "SIGTRAP")) && !strstr(failure.what, "one store"))
		exit(4);
	return error;
}

int main(int argc, char **argv)
{
	const struct state *to = state_named(argc == 2 ? argv[1] : ""), *now = &states[A];
	pthread_t thread;

	/* Sites that have been patched, some of them by int3. */
	if (static_call_update(key, far_target()) || static_call_update(key, target_b) || static_call_update(key, target_a))
		return 2;
	if (pthread_create(&thread, NULL, caller, NULL))
		return 2;
	reach(1);
	now = update("blocked", now, to) ? now : to;
	unblock = true;
	reach(2);
	/* And there and back, so that the change is made in any case. */
	if (update("back", now, &states[A]) || update("open", &states[A], to))
		return 5;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return wrong ? 6 : 0;
}
