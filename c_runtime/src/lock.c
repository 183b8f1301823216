/* SPDX-License-Identifier: MIT */
/* One update at a time in the process, whatever signals, forks, cancellations and killed threads do. */
#include "runtime.h"

#include <errno.h>
#include <pthread.h>

/* Robust: the lock of a thread that was killed in an update comes to the next one, which repairs what it left. */
static pthread_mutex_t update_lock;

static void make_lock(void)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&update_lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
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

static int update_begin(struct guard *guard)
{
	int error;

	lock_init();
	guard_begin(guard);
	error = pthread_mutex_lock(&update_lock);
	if (error == EOWNERDEAD)
		error = pthread_mutex_consistent(&update_lock);
	if (!error) {
		error = -update_repair();
		if (error)
			pthread_mutex_unlock(&update_lock);
	}
	if (error)
		guard_end(guard);
	return -error;
}

static void update_end(const struct guard *guard)
{
	pthread_mutex_unlock(&update_lock);
	guard_end(guard);
}

/* A fork waits for the update that is under way; the child's one thread is not the one that the lock remembers. */
static struct guard fork_guard;
static bool fork_held;

static void fork_prepare(void)
{
	struct guard guard;

	/* Not in an update's own handler, nor where an interrupted update cannot be repaired. */
	if (!update_begin(&guard)) {
		fork_guard = guard;
		fork_held = true;
	}
}

static void fork_parent(void)
{
	struct guard guard = fork_guard;

	if (fork_held) {
		fork_held = false;
		update_end(&guard);
	}
}

static void fork_child(void)
{
	make_lock();
	if (fork_held) {
		fork_held = false;
		guard_end(&fork_guard);
	}
}

static void lock_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static bool watching;

	pthread_once(&once, make_lock);
	/* Not in there: pthread_atfork() may allocate, and the allocator be a key whose first call updates it. */
	if (!__atomic_load_n(&watching, __ATOMIC_RELAXED) && !__atomic_exchange_n(&watching, true, __ATOMIC_RELAXED))
		pthread_atfork(fork_prepare, fork_parent, fork_child);
}
