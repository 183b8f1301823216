/* SPDX-License-Identifier: MIT */
/*
 * SIGTRAP is shared: a handler that was there before us still gets its own traps, one that comes after us is chained
 * to from the next update on, and a thread that runs into our int3 never reaches either.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <static_call.h>
#include <static_call_runtime.h>

static int one(void) { return 1; }
static int two(void) { return 2; }
DEFINE_STATIC_CALL(key, one);

static volatile sig_atomic_t before, after;
static int stop;

static void on_before(int signal) { (void)signal; before++; }
static struct sigaction found;

/* As a well-behaved handler does, it hands on what it has seen to the one that it found: ours, or in a plain program on_before. */
static void on_after(int signal, siginfo_t *info, void *context)
{
	after++;
	if (found.sa_flags & SA_SIGINFO)
		found.sa_sigaction(signal, info, context);
	else
		found.sa_handler(signal);
}

static void *caller(void *wrong)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		int value = static_call(key)();

		if (value != 1 && value != 2)
			++*(unsigned long *)wrong;
	}
	return NULL;
}

static int updates(int n)
{
	for (int i = 0; i < n; i++)
		if (static_call_update(key, i & 1 ? one : two))
			return 1;
	return 0;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_before };
	struct static_call_statistics statistics;
	unsigned long wrong = 0;
	pthread_t thread;

	if (static_call_set_protocol(STATIC_CALL_INT3_PUSH) || static_call_set_protocol((enum static_call_protocol)99) == 0)
		return 2;
	sigaction(SIGTRAP, &action, NULL);
	pthread_create(&thread, NULL, caller, &wrong);
	if (updates(2000))
		return 3;
	__asm__ volatile("int3");
	raise(SIGTRAP);
	if (before != 2)
		return 4;
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_after;
	action.sa_flags = SA_SIGINFO;
	sigaction(SIGTRAP, &action, &found);
	if (updates(2000))
		return 5;
	__asm__ volatile("int3");
	if (after != 1 || before != 3)
		return 6;
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	static_call_statistics(&statistics);
	printf("trap: ok, wrong %lu, traps %s\n", wrong, statistics.traps ? "seen" : "none");
	return wrong != 0;
}
