/* SPDX-License-Identifier: MIT */
/*
 * One update at a time in the process, whatever signals, forks, cancellations and killed threads do.
 *
 * A lock of our own, and no robust mutex: who finds it held looks whether its owner still lives. A robust mutex is not
 * for signal handlers (it would write the thread's one note of a mutex that it is taking, also where it interrupts the
 * program's own), and knows nothing of fork(): a prepare handler had to hold it, with signals blocked, and other
 * libraries' handlers ran meanwhile. Now fork() waits for nobody; the child repairs what its copy is in the middle of.
 */
#include "runtime.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The thread that has it, and whether others may wait. */
#define WAITED 0x80000000u
static unsigned holder;
/* The same as libc knows it, which a fork does not change. Not in a __thread: libraries with one run out of its room. */
static pthread_t holding;

/* A page that the kernel clears in a child's copy (Linux 4.14), however it was made: fork(), _Fork(), clone(). */
static union {
	bool ours;
	char page[PAGE];
} family __attribute__((__aligned__(4096)));

static unsigned self(void)
{
	return (unsigned)syscall(SYS_gettid);
}

/* Not for ever: the holder may be killed without a word. */
static void wait_for(unsigned seen)
{
	const struct timespec patience = { 0, 10000000 };

	(void)syscall(SYS_futex, &holder, FUTEX_WAIT_PRIVATE, seen, &patience);
}

/* 0, or -EDEADLK. */
static int lock(void)
{
	unsigned wanted = self(), seen = 0;

	while (!__atomic_compare_exchange_n(&holder, &seen, wanted, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		unsigned other = seen & ~WAITED;

		if (other == (wanted & ~WAITED))
			return -EDEADLK;
		/* From here on there may be others that wait, whom an unlock has to wake. */
		wanted |= WAITED;
		if (!thread_lives((pid_t)other)) {
			if (__atomic_compare_exchange_n(&holder, &seen, wanted, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
				return 0;
		} else if ((seen & WAITED) || __atomic_compare_exchange_n(&holder, &seen, seen | WAITED, false,
									   __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			wait_for(other | WAITED);
		}
		seen = 0;
	}
	return 0;
}

static void unlock(void)
{
	if (__atomic_exchange_n(&holder, 0, __ATOMIC_RELEASE) & WAITED)
		(void)syscall(SYS_futex, &holder, FUTEX_WAKE_PRIVATE, 1);
}

/* Neither a handler nor a cancellation may end an update halfway. glibc never blocks its own cancellation signal. */
static void guard_begin(struct guard *guard)
{
	/* The kernel kills where it has to raise one that is blocked: seccomp's RET_TRAP raises SIGSYS. */
	static const int own[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };
	sigset_t all;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &guard->cancellation);
	sigfillset(&all);
	for (unsigned i = 0; i < sizeof(own) / sizeof(*own); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_BLOCK, &all, &guard->signals);
}

static void guard_end(const struct guard *guard)
{
	pthread_sigmask(SIG_SETMASK, &guard->signals, NULL);
	pthread_setcancelstate(guard->cancellation, NULL);
}

static bool is_holding(void)
{
	return __atomic_load_n(&holder, __ATOMIC_RELAXED) && pthread_equal(holding, pthread_self());
}

/* In a child: of the other threads none is there, neither in the handler nor in an update. */
static void adopt(void)
{
	if (__atomic_exchange_n(&family.ours, true, __ATOMIC_RELAXED))
		return;
	trap_forked();
	stores_done();
	__atomic_store_n(&holder, is_holding() ? self() : 0, __ATOMIC_RELAXED);
}

static int begin_locked(void)
{
	int error;

	/* After a seal nothing is written any more, and nothing is repaired: there was nothing to repair. */
	if (state.sealed)
		return 0;
	error = state_open();
	if (error)
		return error;
	error = update_repair();
	if (error)
		state_close();
	return error;
}

static int update_begin(struct guard *guard)
{
	int error;

	lock_init();
	guard_begin(guard);
	adopt();
	error = lock();
	if (!error) {
		holding = pthread_self();
		error = begin_locked();
		if (error)
			unlock();
	}
	if (error)
		guard_end(guard);
	return error;
}

static void update_end(const struct guard *guard)
{
	if (!state.sealed)
		state_close();
	unlock();
	guard_end(guard);
}

/*
 * The child's copy is of any moment of an update, as if its thread had been killed there, and its first thread repairs
 * it. Nothing is held over the fork. If it is this thread's own update (the handler of a fault in it forks), that goes on.
 */
static void fork_child(void)
{
	bool held = __atomic_load_n(&holder, __ATOMIC_RELAXED) && !is_holding();
	struct guard guard;

	/* Also where the kernel clears nothing. */
	family.ours = false;
	adopt();
	if (held && !update_begin(&guard))
		update_end(&guard);
}

static void lock_init(void)
{
	static bool watching;

	if (__atomic_load_n(&watching, __ATOMIC_ACQUIRE))
		return;
	/* Before anybody can come to adopt(). */
	__atomic_store_n(&family.ours, true, __ATOMIC_RELAXED);
	(void)madvise(&family, sizeof(family), MADV_WIPEONFORK);
	/* It may allocate, and the allocator be a key whose first call updates it. */
	if (!__atomic_exchange_n(&watching, true, __ATOMIC_ACQ_REL))
		pthread_atfork(NULL, NULL, fork_child);
}
