/* SPDX-License-Identifier: MIT */
/*
 * fork() in the middle of other threads' updates, some of them in a callback under a library's lock that its own fork
 * handler takes. Each child has whole calls at once, an update of its own works, and the library's thread has the mask of
 * who forked.
 *
 * usage: nb_fork FORKS
 */
#include <sys/wait.h>
#include <unistd.h>

#include "thr_run.h"

void nb_with_lock(void (*call)(void));
int nb_thread_blocks(void);

static int one(void) { return 1; }
static int two(void) { return 2; }
static int three(void) { return 3; }
DEFINE_STATIC_CALL(nb_key, one);
DEFINE_STATIC_CALL(nb_other, one);

static __attribute__((__noinline__)) int calls(void) { return static_call(nb_key)(); }
static __attribute__((__noinline__)) int calls_other(void) { return static_call(nb_other)(); }
static int is_right(int value) { return value == 0 || value == 1 || value == 2; }

static void change(void)
{
	static int (*const returns0)(void) = (int (*)(void))(void (*)(void))__static_call_return0;
	static unsigned turn;

	turn++;
	(void)made(static_call_update(nb_key, turn % 3 == 0 ? one : turn % 3 == 1 ? two : returns0));
}

static void *updater(void *unused)
{
	while (!stopped()) {
		nb_with_lock(change);
		usleep(50); /* a lock that is never free for longer starves whoever waits for it */
	}
	return unused;
}

static void *free_updater(void *unused)
{
	while (!stopped())
		(void)made(static_call_update(nb_other, calls_other() == 1 ? two : one));
	return unused;
}

static void child(void)
{
	alarm(20);
	CHECK(is_right(calls()) && is_right(calls_other()));
	CHECK(static_call_query(nb_key) == one ? calls() == 1 : static_call_query(nb_key) == two ? calls() == 2 : calls() == 0);
	CHECK(nb_thread_blocks() == 0);
	CHECK(!static_call_update(nb_key, three) && calls() == 3);
	CHECK(!static_call_update(nb_other, three) && calls_other() == 3);
	_exit(0);
}

int main(int argc, char **argv)
{
	pthread_t threads[] = { started(updater), started(free_updater) };

	alarm(200);
	for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--) {
		pid_t pid = fork();
		int status;

		if (!pid)
			child();
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	}
	stop_all(threads, 2);
	CHECK(!static_call_update(nb_key, two) && calls() == 2);
	return 0;
}
