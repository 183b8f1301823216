/* SPDX-License-Identifier: MIT */
/*
 * The other threads of the process, by /proc/self/task: whether they would survive an int3, and a signal to each
 * where there is no membarrier. By system calls: opendir() takes memory from malloc, which may be a key.
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What getdents64 fills in (getdents(2)). */
struct entry64 {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

/* Call visit for each thread but this one until it returns other than 0, and return that; or -errno. */
static int each_thread(int (*visit)(pid_t thread, void *argument), void *argument)
{
	_Alignas(struct entry64) char buffer[2048];
	pid_t self = (pid_t)syscall(SYS_gettid);
	int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	long got = 0;

	if (folder < 0)
		return -errno;
	while (!result && (got = syscall(SYS_getdents64, folder, buffer, sizeof(buffer))) > 0)
		for (long at = 0; at < got && !result;) {
			const struct entry64 *entry = (const void *)(buffer + at);
			pid_t thread = (pid_t)strtol(entry->name, NULL, 10);

			if (thread > 0 && thread != self)
				result = visit(thread, argument);
			at += entry->length;
		}
	if (got < 0)
		result = -errno;
	close(folder);
	return result;
}

/*
 * A field of /proc/self/task/THREAD/status, as a number; 0 if the thread is gone. The first one stays there as a zombie
 * when it has ended before the others.
 */
static unsigned long status_field(pid_t thread, const char *name, int base)
{
	char path[64], text[4096], *found = NULL;
	ssize_t got = -1;
	int file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)thread);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file >= 0) {
		got = read(file, text, sizeof(text) - 1);
		close(file);
	}
	if (got > 0) {
		text[got] = 0;
		found = strstr(text, "State:\tZ") ? NULL : strstr(text, name);
	}
	return found ? strtoul(found + strlen(name), NULL, base) : 0;
}

/* The thread that was found to block the signal. */
static pid_t blocker;

/* ThreadSanitizer has a thread of its own that blocks all signals; it makes no calls. */
#if defined __SANITIZE_THREAD__
#define OWN_BLOCKERS 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define OWN_BLOCKERS 1
#endif
#endif
#ifndef OWN_BLOCKERS
#define OWN_BLOCKERS 0
#endif

static int look(pid_t thread, void *argument)
{
	if (OWN_BLOCKERS)
		return 0;
	if (!(status_field(thread, "SigBlk:", 16) >> (SIGTRAP - 1) & 1))
		return 0;
	*(pid_t *)argument = thread;
	return THREADS_BLOCK;
}

/* Sleep, whatever signals come. */
static void pause_for(long nanoseconds)
{
	struct timespec left = { 0, nanoseconds };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/*
 * pthread_create() and a thread's exit block all signals for a moment, which on a busy machine is some milliseconds:
 * a third of a second of patience. Who blocks it for good is waited for once.
 */
static enum threads threads_look(void)
{
	pid_t found = 0;
	int state = THREADS_BLOCK;

	for (unsigned i = 0; i < 32 && state; i++) {
		if (i)
			pause_for(50000L << (i < 8 ? i : 8));
		state = each_thread(look, &found);
		/* Who blocked it the last time as well; or there is no /proc. */
		if (i >= 3 && (state < 0 || found == blocker))
			break;
	}
	blocker = state == THREADS_BLOCK ? found : 0;
	if (blocker)
		return THREADS_BLOCK;
	return status_field((pid_t)syscall(SYS_gettid), "TracerPid:", 10) ? THREADS_TRACED : THREADS_TRAP;
}

/* One thread that is to answer. The signal carries the address of `answered`. */
struct question {
	pid_t thread;
	int answered;
};

/*
 * Published before the signals are sent. The array may move when it grows, which it does while no question is open: a
 * handler that is so late that its question is of the last round finds an address that it may not write to, or one
 * whose thread is asked anew and answers twice.
 */
static struct array questions;
static struct {
	uintptr_t start, end;
} asked;

static int collect(pid_t thread, void *argument)
{
	int error;

	(void)argument;
	if (!status_field(thread, "Pid:", 10))
		return 0;
	error = array_reserve(&questions, questions.count + 1, sizeof(struct question));
	if (!error)
		((struct question *)questions.items)[questions.count++] = (struct question){ thread, 0 };
	return error;
}

static int ask(struct question *question)
{
	siginfo_t info = { 0 };

	info.si_signo = SIGTRAP;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = &question->answered;
	if (!syscall(SYS_rt_tgsigqueueinfo, info.si_pid, question->thread, SIGTRAP, &info))
		return 0;
	question->answered = errno == ESRCH;
	return question->answered ? 0 : -errno;
}

/*
 * A thread that exits does not answer; one that blocks the signal has been looked for. Asked again until it does: a
 * SIGTRAP that is pending already, its own from an int3, swallows the question.
 */
static int await(struct question *question)
{
	pid_t process = getpid();
	int error = 0;

	for (unsigned i = 1; !error && !__atomic_load_n(&question->answered, __ATOMIC_ACQUIRE) &&
			     !syscall(SYS_tgkill, process, question->thread, 0); i++) {
		pause_for(20000);
		if (i % 8 == 0 && !status_field(question->thread, "Pid:", 10))
			break;
		if (i % 8 == 0)
			error = ask(question);
	}
	return error;
}

static int threads_interrupt(void)
{
	struct question *all;
	int error;

	questions.count = 0;
	error = each_thread(collect, NULL);
	all = questions.items;
	__atomic_store_n(&asked.end, (uintptr_t)(all + questions.count), __ATOMIC_RELAXED);
	__atomic_store_n(&asked.start, (uintptr_t)all, __ATOMIC_RELEASE);
	for (size_t i = 0; i < questions.count && !error; i++)
		error = ask(&all[i]);
	for (size_t i = 0; i < questions.count && !error; i++)
		error = await(&all[i]);
	return error;
}

static bool answer_as_self(void)
{
	struct question *question = (struct question *)__atomic_load_n(&asked.start, __ATOMIC_ACQUIRE);
	const struct question *end = (const struct question *)__atomic_load_n(&asked.end, __ATOMIC_RELAXED);
	pid_t self = (pid_t)syscall(SYS_gettid);

	for (; question < end; question++)
		if (question->thread == self) {
			__atomic_store_n(&question->answered, 1, __ATOMIC_RELEASE);
			return true;
		}
	return false;
}

static bool threads_answer(const siginfo_t *info)
{
	uintptr_t where = (uintptr_t)info->si_value.sival_ptr;

	/* Where the user's queue of signals is full the kernel sends it without what it carries (send_signal). */
	if (info->si_code == SI_USER && !info->si_pid)
		return answer_as_self();
	if (info->si_code != SI_QUEUE || info->si_pid != getpid() ||
	    where < __atomic_load_n(&asked.start, __ATOMIC_ACQUIRE) ||
	    where >= __atomic_load_n(&asked.end, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n((int *)where, 1, __ATOMIC_RELEASE);
	return true;
}
