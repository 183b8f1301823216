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
#include <sys/mman.h>
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

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)thread);
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

/* A thread that is to run a handler, and whether it has. */
struct question {
	pid_t thread;
	int answered;
};

/*
 * Who is asked. A signal may come late, when it has been asked again and answered before: then it answers the round of
 * that moment, which is as good, or none. So a handler may look at any time, and what it looks at is never given back.
 */
static struct round {
	unsigned count;
	struct question all[];
} *asked;
static unsigned asked_room, collected;

static int grow(void)
{
	unsigned room = asked_room ? 2 * asked_room : 64;
	struct round *bigger = mmap(NULL, sizeof(*bigger) + room * sizeof(struct question), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (bigger == MAP_FAILED)
		return -ENOMEM;
	if (asked)
		memcpy(bigger->all, asked->all, collected * sizeof(struct question));
	asked_room = room;
	__atomic_store_n(&asked, bigger, __ATOMIC_RELEASE);
	return 0;
}

static int collect(pid_t thread, void *argument)
{
	int error = collected == asked_room ? grow() : 0;

	(void)argument;
	if (!error && status_field(thread, "Pid:", 10))
		asked->all[collected++] = (struct question){ thread, 0 };
	return error;
}

/* The signal carries the address of `asked`, by which it is known. */
static int ask(struct question *question)
{
	siginfo_t info = { 0 };

	info.si_signo = SIGTRAP;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = (void *)&asked;
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
	int error = 0;

	for (unsigned i = 1; !error && !__atomic_load_n(&question->answered, __ATOMIC_ACQUIRE); i++) {
		pause_for(20000);
		if (i % 8)
			continue;
		if (!status_field(question->thread, "Pid:", 10))
			break;
		error = ask(question);
	}
	return error;
}

static int threads_interrupt(void)
{
	int error;

	collected = 0;
	if (asked)
		__atomic_store_n(&asked->count, 0, __ATOMIC_RELAXED);
	error = each_thread(collect, NULL);
	if (error || !collected)
		return error;
	__atomic_store_n(&asked->count, collected, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < collected && !error; i++)
		error = ask(&asked->all[i]);
	for (unsigned i = 0; i < collected && !error; i++)
		error = await(&asked->all[i]);
	return error;
}

static bool threads_answer(const siginfo_t *info)
{
	struct round *round = __atomic_load_n(&asked, __ATOMIC_ACQUIRE);
	bool ours = info->si_code == SI_QUEUE && info->si_pid == getpid() && info->si_value.sival_ptr == (void *)&asked;
	/* Where the user's queue of signals is full the kernel sends it without what it carries (send_signal). */
	bool bare = info->si_code == SI_USER && !info->si_pid;
	pid_t self = (pid_t)syscall(SYS_gettid);

	if (!round || !(ours || bare))
		return false;
	for (unsigned i = __atomic_load_n(&round->count, __ATOMIC_ACQUIRE); i-- > 0;)
		if (round->all[i].thread == self)
			__atomic_store_n(&round->all[i].answered, 1, __ATOMIC_RELEASE);
	return true;
}
