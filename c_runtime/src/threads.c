/* SPDX-License-Identifier: MIT */
/*
 * The other threads of the process, by /proc/self/task. By system calls: opendir() takes memory from malloc, which may
 * be a key. `stat` has all that is asked of a thread, in half the time of `status` (Linux 6.18).
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

static int threads_each(int (*visit)(pid_t thread, void *argument), void *argument)
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

/* Behind the name, which may have any character: the state, then numbers (proc(5)); 0 is the state. */
static const char *field(const char *text, unsigned number)
{
	const char *at = strrchr(text, ')');

	for (unsigned i = 0; at && i <= number; i++)
		at = strchr(at + 1, ' ');
	return at ? at + 1 : NULL;
}

static int parse(const char *text, struct thread *read)
{
	const char *run = field(text, 0), *flags = field(text, 6), *blocked = field(text, 29);

	if (!run || !flags || !blocked)
		return -ENODATA;
	/* Of the signals it has the first 31. */
	*read = (struct thread){ strtoul(blocked, NULL, 10), strtoul(flags, NULL, 10), *run };
	return 0;
}

static int read_stat(const char *path, struct thread *read_to)
{
	char text[1024];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int error = 0;

	if (file < 0)
		return -errno;
	got = read(file, text, sizeof(text) - 1);
	if (got < 0)
		error = -errno;
	close(file);
	if (error)
		return error;
	text[got] = 0;
	return parse(text, read_to);
}

/*
 * Whether it is a thread of the kernel's own, which runs nothing of the program's and takes no signal: io_uring's and
 * vhost's (linux/sched.h, PF_IO_WORKER from 5.12 and PF_USER_WORKER from 6.4; copy_process() blocks for them all that
 * can be blocked, more than pthread_sigmask() does. Before, these bits meant other things.)
 */
static bool is_worker(const struct thread *thread)
{
	const unsigned long all = 0x7fffffff & ~(1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1));

	return thread->blocked == all && (thread->flags & (0x10 | 0x4000));
}

/* The first thread stays as a zombie until all have ended. */
static bool has_ended(const struct thread *thread)
{
	return thread->state == 'Z' || thread->state == 'X';
}

static int thread_read(pid_t thread, struct thread *read)
{
	char path[64];
	int error;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	error = read_stat(path, read);
	if (error)
		return proc_absent(error) ? 0 : error;
	return !has_ended(read) && !is_worker(read);
}

static bool thread_blocks_traps(const struct thread *thread)
{
	return thread->blocked >> (SIGTRAP - 1) & 1;
}

static bool thread_lives(pid_t thread)
{
	struct thread first;

	if (syscall(SYS_tgkill, getpid(), thread, 0) && errno == ESRCH)
		return false;
	return thread != getpid() || read_stat("/proc/self/stat", &first) || !has_ended(&first);
}

static void thread_pause(long nanoseconds)
{
	struct timespec left = { 0, nanoseconds };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}
