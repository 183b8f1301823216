/* SPDX-License-Identifier: MIT */
/*
 * The other threads of the process, by /proc/self/task: whether they would survive an int3, and a signal to each
 * where there is no membarrier. By system calls: opendir() takes memory from malloc, which may be a key.
 */
#include "runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Call visit for each thread but this one until it returns other than 0, and return that; or -errno. -EBUSY where this
 * one is not among them: the /proc of another pid namespace, whose numbers are other threads here.
 */
static int each_thread(int (*visit)(pid_t thread, void *argument), void *argument)
{
	/* As getdents64 fills it in; a thousand threads, since between two pieces of the list the kernel may lose its place. */
	static _Alignas(struct dirent) char buffer[32768];
	pid_t self = (pid_t)syscall(SYS_gettid);
	int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	bool found = false;
	long got = 0;

	if (folder < 0)
		return -errno;
	while (!result && (got = syscall(SYS_getdents64, folder, buffer, sizeof(buffer))) > 0)
		for (long at = 0; at < got && !result;) {
			const struct dirent *entry = (const void *)(buffer + at);
			pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

			found |= thread == self;
			if (thread > 0 && thread != self)
				result = visit(thread, argument);
			at += entry->d_reclen;
		}
	if (got < 0)
		result = -errno;
	close(folder);
	return result || found ? result : -EBUSY;
}

/* What /proc says of a thread. */
struct status {
	char state;
	unsigned long tracer, blocked; /* the signals, as a mask */
};

/* "Name:" comes first, and a thread's name may be anything but a second line. What is blocked comes last. */
static bool parse(const char *line, void *argument)
{
	struct status *status = argument;

	if (!strncmp(line, "State:\t", 7))
		status->state = line[7];
	if (!strncmp(line, "TracerPid:\t", 11))
		status->tracer = strtoul(line + 11, NULL, 10);
	if (!strncmp(line, "SigBlk:\t", 8)) {
		status->blocked = strtoul(line + 8, NULL, 16);
		return true;
	}
	return false;
}

static int open_of(pid_t thread, const char *name)
{
	char path[64];
	int file;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)thread, name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	return file < 0 ? -errno : file;
}

/*
 * Whether it is a thread of the kernel's own, which runs nothing of the program's and takes no signal: io_uring's and
 * vhost's (linux/sched.h, PF_IO_WORKER from 5.12 and PF_USER_WORKER from 6.4; copy_process() blocks for them all that
 * can be blocked, more than pthread_sigmask() does. Before, these bits meant other things.)
 */
static int is_worker(pid_t thread, const struct status *status)
{
	const unsigned long all = ~(1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1)), flags = 0x10 | 0x4000;
	char text[256], *at;
	int file;
	ssize_t got;

	if (status->blocked != all)
		return 0;
	file = open_of(thread, "stat");
	if (file < 0)
		return file;
	got = read(file, text, sizeof(text) - 1);
	close(file);
	if (got < 0)
		return -errno;
	text[got] = 0;
	/* Behind the name, which may have any character: state, five numbers, flags (proc(5)). */
	at = strrchr(text, ')');
	for (unsigned i = 0; at && i < 7; i++)
		at = strchr(at + 1, ' ');
	return at && (strtoul(at, NULL, 10) & flags);
}

/* 1; 0 if there is no such thread of the program's, or no more: the first stays as a zombie until all have ended. */
static int read_status(pid_t thread, struct status *status)
{
	int file = open_of(thread, "status"), error = file;

	*status = (struct status){ .tracer = 0 };
	if (file >= 0) {
		error = proc_lines(file, parse, status);
		error = error > 0 ? 0 : error ? error : -ENODATA;
		close(file);
	}
	if (!error && (status->state == 'Z' || status->state == 'X'))
		return 0;
	if (!error)
		error = is_worker(thread, status);
	if (error < 0)
		return proc_absent(error) ? 0 : error;
	return !error;
}

static bool blocks(const struct status *status)
{
	return status->blocked >> (SIGTRAP - 1) & 1;
}

/* The thread that was found to block the signal. */
static pid_t blocker;

static int look(pid_t thread, void *argument)
{
	struct status status;
	int there = policy.trusting ? 0 : read_status(thread, &status);

	if (there < 1 || !blocks(&status))
		return there < 0 ? there : 0;
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

#define PATIENCE 32

/*
 * pthread_create() and a thread's exit block all signals for a moment, which on a busy machine is some milliseconds:
 * a third of a second of patience. Who blocks it for good is waited for once.
 */
static int threads_look(void)
{
	struct status own;
	pid_t found = 0;
	int state = THREADS_BLOCK;

	for (unsigned i = 0; i < PATIENCE && state; i++) {
		if (i)
			pause_for(50000L << (i < 8 ? i : 8));
		state = each_thread(look, &found);
		/* Who blocked it the last time as well. */
		if (state < 0 || (i >= 3 && found == blocker))
			break;
	}
	blocker = state == THREADS_BLOCK ? found : 0;
	if (state && !proc_absent(state))
		return state;
	state = read_status((pid_t)syscall(SYS_gettid), &own);
	if (state < 0)
		return state;
	return own.tracer ? THREADS_TRACED : THREADS_TRAP;
}

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

/*
 * A thread that exits does not answer. Asked again until it does: a SIGTRAP that is pending already, its own from an
 * int3, swallows the question. One may block the signal since it has been looked for; with the same patience as there.
 */
static int interrupt(pid_t thread, void *argument)
{
	struct status status;
	unsigned blocked = 0;

	(void)argument;
	__atomic_store_n(&asked_thread, thread, __ATOMIC_RELEASE);
	for (unsigned i = 0; __atomic_load_n(&asked_thread, __ATOMIC_ACQUIRE) == thread; i++) {
		int there, error;

		if (i % 8) {
			pause_for(i < 256 ? 20000 : 1000000);
			continue;
		}
		there = read_status(thread, &status);
		if (there < 1)
			return there;
		blocked = i && blocks(&status) ? blocked + 1 : 0;
		if (blocked == 2 * PATIENCE)
			return policy.trusting ? 0 : -EBUSY;
		error = ask(thread);
		if (error)
			return proc_absent(error) ? 0 : error;
	}
	return 0;
}

/* One after the other: a list of them would be memory that a handler may look at whenever it comes. */
static int threads_interrupt(void)
{
	__atomic_store_n(&asking, true, __ATOMIC_RELAXED);
	return each_thread(interrupt, NULL);
}

static bool threads_answer(const siginfo_t *info)
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
