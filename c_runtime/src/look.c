/* SPDX-License-Identifier: MIT */
/* Whether the other threads would survive an int3: the kernel kills one that runs into it with SIGTRAP blocked. */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The thread that blocked the signal for good when last looked for: it is waited for once. */
static pid_t blocker;

/*
 * pthread_create() and a thread's exit block all signals for a moment, which on a busy machine is some milliseconds. So
 * each one that blocks is waited for, all together a third of a second. One pass: who begins meanwhile inherits a
 * mask from who does not block, and runs nothing of the program's while pthread_create() blocks for it.
 */
#define PATIENCE 330000000L

static int wait_until_open(pid_t thread, void *argument)
{
	long *patience = argument, pause = 20000;
	struct thread now;
	int there;

	while ((there = thread_read(thread, &now)) == 1 && thread_blocks_traps(&now)) {
		if (*patience <= 0 || (thread == blocker && pause > 1000000)) {
			blocker = thread;
			return THREADS_BLOCK;
		}
		thread_pause(pause);
		*patience -= pause;
		pause += pause < 5000000 ? pause / 2 : 0;
	}
	return there < 0 ? there : 0;
}

/* glibc 2.32 and later knows when a process has one thread for sure; the list of one takes longer than all else. */
extern char __libc_single_threaded __attribute__((__weak__));

static bool is_alone(void)
{
	return &__libc_single_threaded && *(const volatile char *)&__libc_single_threaded;
}

static int look_at_threads(void)
{
	long patience = PATIENCE;
	int found = state.policy.trusting || is_alone() ? 0 : threads_each(wait_until_open, &patience);

	if (found != THREADS_BLOCK)
		blocker = 0;
	return proc_absent(found) ? THREADS_TRAP : found;
}

static bool take_tracer(const char *line, void *argument)
{
	if (strncmp(line, "TracerPid:\t", 11) != 0)
		return false;
	*(bool *)argument = strtoul(line + 11, NULL, 10);
	return true;
}

static bool look_is_traced(void)
{
	int file = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	bool traced = false;

	if (file >= 0) {
		(void)proc_lines(file, take_tracer, &traced);
		close(file);
	}
	return traced;
}
