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

/*
 * Call visit for each thread but this one until it returns other than 0, and return that; or -errno. -EBUSY where this
 * one is not among them: the /proc of another pid namespace, whose numbers are other threads here.
 */
static int each_thread(int (*visit)(pid_t thread, void *argument), void *argument)
{
	_Alignas(struct entry64) char buffer[2048];
	pid_t self = (pid_t)syscall(SYS_gettid);
	int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	bool found = false;
	long got = 0;

	if (folder < 0)
		return -errno;
	while (!result && (got = syscall(SYS_getdents64, folder, buffer, sizeof(buffer))) > 0)
		for (long at = 0; at < got && !result;) {
			const struct entry64 *entry = (const void *)(buffer + at);
			pid_t thread = (pid_t)strtol(entry->name, NULL, 10);

			found |= thread == self;
			if (thread > 0 && thread != self)
				result = visit(thread, argument);
			at += entry->length;
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
	int there = policy_trusts() ? 0 : read_status(thread, &status);

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
	struct status own = { .tracer = 0 };
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
	__atomic_store_n(&asked, bigger, __ATOMIC_RELEASE);
	IN_ORDER();
	asked_room = room;
	return 0;
}

static int collect(pid_t thread, void *argument)
{
	struct status status;
	int there = read_status(thread, &status), error = 0;

	(void)argument;
	if (there < 1)
		return there;
	if (collected == asked_room)
		error = grow();
	if (!error)
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
 * A thread that exits does not answer. Asked again until it does: a SIGTRAP that is pending already, its own from an
 * int3, swallows the question. One may block the signal since it has been looked for; with the same patience as there.
 */
static int await(struct question *question)
{
	struct status status;
	int there;

	for (unsigned i = 1, blocked = 0; !__atomic_load_n(&question->answered, __ATOMIC_ACQUIRE); i++) {
		pause_for(i < 256 ? 20000 : 1000000);
		if (i % 8)
			continue;
		there = read_status(question->thread, &status);
		if (there < 1)
			return there;
		blocked = blocks(&status) ? blocked + 1 : 0;
		if (blocked == 2 * PATIENCE)
			return policy_trusts() ? 0 : -EBUSY;
		there = ask(question);
		if (there)
			return there;
	}
	return 0;
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
