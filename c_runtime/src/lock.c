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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The thread that has it, and whether others may wait. */
#define WAITED 0x80000000u
static unsigned holder;
/* Whether this thread has it. */
static __thread bool holding __attribute__((tls_model("initial-exec")));

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
	error = lock();
	if (!error) {
		error = begin_locked();
		if (error)
			unlock();
	}
	holding |= !error;
	if (error)
		guard_end(guard);
	return error;
}

static void update_end(const struct guard *guard)
{
	if (!state.sealed)
		state_close();
	holding = false;
	unlock();
	guard_end(guard);
}

/*
 * The child's copy is of any moment of an update, as if its thread had been killed there, and its first thread repairs
 * it. Nothing is held over the fork. If it is this thread's own update (the handler of a fault in it forks), that goes on.
 */
static void fork_child(void)
{
	struct guard guard;

	trap_forked();
	stores_done();
	if (holding)
		__atomic_store_n(&holder, self(), __ATOMIC_RELAXED);
	else if (__atomic_load_n(&holder, __ATOMIC_RELAXED) && !update_begin(&guard))
		update_end(&guard);
}

static void lock_init(void)
{
	static bool watching;

	/* pthread_atfork() may allocate, and the allocator be a key whose first call updates it. */
	if (!__atomic_load_n(&watching, __ATOMIC_RELAXED) && !__atomic_exchange_n(&watching, true, __ATOMIC_RELAXED))
		pthread_atfork(NULL, NULL, fork_child);
}
