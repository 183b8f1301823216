/* SPDX-License-Identifier: MIT */
/*
 * A library as allocators and thread pools are: a lock that its fork handlers hold over a fork, and a thread that it
 * starts again in the child. Loaded before the program's own constructors, so its handlers run last before a fork.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

void nb_with_lock(void (*call)(void));
int nb_thread_blocks(void);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int blocks = -1;

static void *work(void *unused)
{
	sigset_t mask;
	int found = 0;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int signal = 1; signal < SIGRTMIN; signal++)
		found += sigismember(&mask, signal);
	__atomic_store_n(&blocks, found, __ATOMIC_RELEASE);
	return unused;
}

static void start(void)
{
	pthread_t thread;

	__atomic_store_n(&blocks, -1, __ATOMIC_RELAXED);
	if (!pthread_create(&thread, NULL, work, NULL))
		pthread_detach(thread);
}

static void prepare(void) { pthread_mutex_lock(&lock); }
static void parent(void) { pthread_mutex_unlock(&lock); }

static void child(void)
{
	pthread_mutex_unlock(&lock);
	start();
}

static __attribute__((__constructor__)) void load(void) { pthread_atfork(prepare, parent, child); }

void nb_with_lock(void (*call)(void))
{
	pthread_mutex_lock(&lock);
	call();
	pthread_mutex_unlock(&lock);
}

/* How many signals the thread has blocked that was started in the child. */
int nb_thread_blocks(void)
{
	int found;

	while ((found = __atomic_load_n(&blocks, __ATOMIC_ACQUIRE)) < 0)
		usleep(100);
	return found;
}
