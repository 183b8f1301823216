/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fault_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

const char *fault_name = "nothing";
bool fault_refuse_text, fault_refuse_query, fault_refuse_proc;

static __thread struct fault fault;
static __thread bool armed;
static __thread long seen;
/* The kind of the call that failed: its function, and of syscall() which. */
static __thread const char *kind;
static __thread long kind_number;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

void fault_arm(struct fault wanted)
{
	fault = wanted;
	seen = 0;
	kind = NULL;
	armed = true;
}

long fault_disarm(void)
{
	armed = false;
	return seen;
}

/* Whether this call is to fail, errno set. What is called between is not counted. */
static bool fails(const char *name, long number)
{
	if (!armed)
		return false;
	/*
	 * What stands before the call that fails has been seen when earlier ones did; of the later ones every fourth, which
	 * are others when another one fails.
	 */
	if (fault.between && (!fault.number || (seen + 1 >= fault.number && (seen + 1 - fault.number) % 4 == 0))) {
		armed = false;
		fault.between();
		armed = true;
	}
	if (++seen == fault.number) {
		fault_name = name;
		kind = name;
		kind_number = number;
		if (!fault.error)
			__real_syscall(SYS_exit, 0);
	} else if (!(fault.persistent && kind && !strcmp(kind, name) && kind_number == number)) {
		return false;
	}
	errno = fault.error;
	return true;
}

/* One function: its own refusals are `refused`, with what they say. */
#define WRAP(type, name, parameters, arguments, refused, error) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		if (fails(#name, 0)) \
			return (type)-1; \
		if (refused) { \
			errno = error; \
			return (type)-1; \
		} \
		return __real_##name arguments; \
	}

WRAP(int, mprotect, (void *start, size_t size, int protection), (start, size, protection),
     fault_refuse_text && (protection & PROT_WRITE) && (protection & PROT_EXEC), EACCES)
WRAP(void *, mmap, (void *start, size_t size, int protection, int flags, int file, off_t offset),
     (start, size, protection, flags, file, offset), false, 0)
WRAP(int, munmap, (void *start, size_t size), (start, size), false, 0)
WRAP(int, mincore, (void *start, size_t size, unsigned char *result), (start, size, result), false, 0)
WRAP(int, sigaction, (int signal, const struct sigaction *new, struct sigaction *old), (signal, new, old), false, 0)
WRAP(int, open, (const char *path, int flags), (path, flags), fault_refuse_proc && !strncmp(path, "/proc", 5), ENOENT)
WRAP(ssize_t, read, (int file, void *buffer, size_t size), (file, buffer, size), false, 0)
WRAP(ssize_t, pwrite, (int file, const void *buffer, size_t size, off_t offset), (file, buffer, size, offset), false, 0)
WRAP(off_t, lseek, (int file, off_t offset, int whence), (file, offset, whence), false, 0)
WRAP(int, close, (int file), (file), false, 0)
WRAP(int, ioctl, (int file, unsigned long request, void *argument), (file, request, argument), fault_refuse_query,
     ENOTTY)
WRAP(int, nanosleep, (const struct timespec *wanted, struct timespec *left), (wanted, left), false, 0)
WRAP(int, sched_yield, (void), (), false, 0)

long __wrap_syscall(long number, ...)
{
	va_list list;
	long a[6];

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	/* Who asks for its own number is never refused. */
	if (number != SYS_gettid && fails("syscall", number))
		return -1;
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
