/* SPDX-License-Identifier: MIT */
/*
 * Updates from a signal handler that interrupts updates, and from children that are forked while another thread
 * updates: neither waits for ever, and every call does what its key says.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <static_call.h>

static int one(void) { return 1; }
static int two(void) { return 2; }
DEFINE_STATIC_CALL(mine, one);
DEFINE_STATIC_CALL(handlers, one);

static volatile sig_atomic_t handled, failed;
static int stop;

static void on_alarm(int signal)
{
	(void)signal;
	handled++;
	if (static_call_update(handlers, handled & 1 ? two : one) || static_call(handlers)() != (handled & 1 ? 2 : 1))
		failed = 1;
}

static void *updater(void *unused)
{
	for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++)
		if (static_call_update(handlers, i & 1 ? two : one))
			failed = 1;
	return unused;
}

static int interrupted(void)
{
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
	time_t end = time(NULL) + 2;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; time(NULL) < end; i++)
		if (static_call_update(mine, i & 1 ? two : one) || static_call(mine)() != (i & 1 ? 2 : 1))
			return 1;
	setitimer(ITIMER_REAL, &never, NULL);
	return failed || !handled;
}

static int forked(void)
{
	pthread_t thread;
	int status, bad = 0;

	if (pthread_create(&thread, NULL, updater, NULL))
		return 1;
	for (int i = 0; i < 100; i++) {
		pid_t child = fork();

		if (!child) {
			alarm(10);
			_exit(static_call_update(mine, two) || static_call(mine)() != 2 || static_call_update(handlers, one) ||
			      static_call(handlers)() != 1);
		}
		bad |= waitpid(child, &status, 0) != child || status;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return bad || failed;
}

int main(void)
{
	int result = interrupted() ? 1 : forked() ? 2 : 0;

	printf("signals: %d\n", result);
	return result;
}
