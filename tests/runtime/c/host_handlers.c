/* SPDX-License-Identifier: MIT */
/*
 * Handlers on an alternate stack that call through every site, in all threads, while updates go on: by timers (these
 * wait for the end of an update in the updating thread itself), and by SIGFPE sent to the updating thread, which is one of
 * the signals that an update leaves open, so that it is interrupted in the middle. The timers' handlers update too.
 *
 * usage: host_handlers UPDATES
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "host_sites.h"

#define STACK 65536

DEFINE_STATIC_CALL(key, target_a);
DEFINE_CALLS(key, SITES16(key))
DEFINE_STATIC_CALL(other, target_a);
DEFINE_CALLS(other, SITES3(other))

static bool stop;
static unsigned long wrong, by_timer, in_update, handler_updates, odd;
static pid_t updater;

static void count(unsigned long *counter, unsigned long n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* On the alternate stack; no update is under way in this thread, so one that is asked for is made. */
static void on_timer(int signal)
{
	int saved = errno;
	static unsigned which;

	(void)signal;
	count(&by_timer, 1);
	count(&wrong, calls_of_key(NULL, NULL));
	if (static_call_update(other, __atomic_add_fetch(&which, 1, __ATOMIC_RELAXED) % 2 ? target_b : target_a))
		count(&odd, 1);
	else
		count(&handler_updates, 1);
	count(&wrong, calls_of_other(&states[A], &states[B]));
	errno = saved;
}

/* In the middle of an update, or between two. */
static void on_fault(int signal)
{
	int saved = errno, error;

	(void)signal;
	count(&wrong, calls_of_key(NULL, NULL) + calls_of_other(&states[A], &states[B]));
	error = static_call_update(other, target_b);
	count(error == -EDEADLK ? &in_update : &odd, error == -EDEADLK || error != 0);
	count(&wrong, calls_of_key(NULL, NULL));
	errno = saved;
}

static void alternate_stack(void)
{
	stack_t stack = { .ss_sp = malloc(STACK), .ss_size = STACK };

	if (!stack.ss_sp || sigaltstack(&stack, NULL))
		exit(3);
}

static void *caller(void *unused)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	struct itimerspec often = { { 0, 300000 }, { 0, 300000 } };
	timer_t timer;

	alternate_stack();
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &often, NULL))
		exit(4);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		count(&wrong, calls_of_key(NULL, NULL));
	timer_delete(timer);
	return unused;
}

static void *interrupter(void *unused)
{
	const struct timespec pause = { 0, 50000 };

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		syscall(SYS_tgkill, getpid(), updater, SIGFPE); /* pthread_kill() would block SIGTRAP meanwhile */
		nanosleep(&pause, NULL);
	}
	return unused;
}

static void handle(int signal, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART };

	if (sigaction(signal, &action, NULL))
		exit(5);
}

int main(int argc, char **argv)
{
	static const int order[] = { B, NOTHING, RET0, FAR, NOTHING, A };
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
	struct static_call_statistics statistics;
	pthread_t threads[3];
	long least = argc == 2 ? atol(argv[1]) : 1;

	updater = (pid_t)syscall(SYS_gettid);
	alternate_stack();
	handle(SIGALRM, on_timer);
	handle(SIGUSR1, on_timer);
	handle(SIGFPE, on_fault);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, i < 2 ? caller : interrupter, NULL))
			return 2;
	setitimer(ITIMER_REAL, &often, NULL);
	/* Until an update has been interrupted, however the machine is loaded. */
	for (long i = 0; i < least || (i < 1000 * least && !__atomic_load_n(&in_update, __ATOMIC_RELAXED)); i++) {
		const struct state *state = &states[order[i % 6]];

		if (static_call_update(key, target_of(state)))
			return 6;
		count(&wrong, calls_of_key(state, state));
	}
	setitimer(ITIMER_REAL, &never, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	static_call_statistics(&statistics);
	printf("wrong %lu\nodd %lu\nby_timer %lu\nin_update %lu\nhandler_updates %lu\ntraps %lu\n", wrong, odd, by_timer,
	       in_update, handler_updates, statistics.traps);
	return wrong ? 7 : odd ? 8 : !by_timer || !in_update || !handler_updates ? 9 : 0;
}
