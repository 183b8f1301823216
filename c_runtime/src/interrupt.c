/* SPDX-License-Identifier: MIT */
/* Core synchronisation where there is no membarrier: a signal to each thread, one after the other. */
#include "runtime.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The thread that is to run a handler; 0 once it has. A signal may come late, when it has been sent again and answered
 * before: by its number a thread answers for no other.
 */
static pid_t asked_thread;
/* Whether any ever was. */
static bool asking;

/* The signal carries the address of `asked_thread`, by which it is known. */
static int ask(pid_t thread)
{
	siginfo_t info = { 0 };

	info.si_signo = SIGTRAP;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = (void *)&asked_thread;
	return syscall(SYS_rt_tgsigqueueinfo, info.si_pid, thread, SIGTRAP, &info) ? -errno : 0;
}

/* In looks of a millisecond each: the patience of look.c. */
#define MOST_LOOKS 64

/*
 * A thread that exits does not answer. Asked again until it does: a SIGTRAP that is pending already, its own from an
 * int3, swallows the question. One may block the signal since it has been looked for.
 */
static int interrupt(pid_t thread, void *argument)
{
	struct thread now;
	unsigned blocked = 0;

	(void)argument;
	__atomic_store_n(&asked_thread, thread, __ATOMIC_RELEASE);
	for (unsigned i = 0; __atomic_load_n(&asked_thread, __ATOMIC_ACQUIRE) == thread; i++) {
		int there, error;

		if (i % 8) {
			thread_pause(i < 256 ? 20000 : 1000000);
			continue;
		}
		there = thread_read(thread, &now);
		if (there < 1)
			return there;
		blocked = i && thread_blocks_traps(&now) ? blocked + 1 : 0;
		if (blocked == MOST_LOOKS)
			return state.policy.trusting ? 0 : -EBUSY;
		error = ask(thread);
		if (error)
			return proc_absent(error) ? 0 : error;
	}
	return 0;
}

/* One after the other: a list of them would be memory that a handler may look at whenever it comes. */
static int interrupt_threads(void)
{
	__atomic_store_n(&asking, true, __ATOMIC_RELAXED);
	return threads_each(interrupt, NULL);
}

static bool interrupt_answer(const siginfo_t *info)
{
	bool ours = info->si_code == SI_QUEUE && info->si_pid == getpid() &&
		    info->si_value.sival_ptr == (void *)&asked_thread;
	/* Where the user's queue of signals is full the kernel sends it without what it carries (send_signal). */
	bool bare = info->si_code == SI_USER && !info->si_pid;
	pid_t self = (pid_t)syscall(SYS_gettid);

	if (!__atomic_load_n(&asking, __ATOMIC_RELAXED) || !(ours || bare))
		return false;
	__atomic_compare_exchange_n(&asked_thread, &self, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	return true;
}
