/* SPDX-License-Identifier: MIT */
/*
 * fork() in the middle of other threads' updates, some of them in a callback under a library's lock that its own fork
 * handler takes. Each child has whole calls at once, an update of its own works, and the library's thread has the mask of
 * who forked. By _Fork(), which runs no handlers, the first update repairs what the child is in the middle of.
 *
 * usage: nb_fork FORKS fork|_Fork
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <string.h>
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

/* The calls do what the key says. */
static int is_as_said(void)
{
	int (*said)(void) = static_call_query(nb_key);

	return calls() == (said == one ? 1 : said == two ? 2 : 0);
}

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

static void child(bool handlers)
{
	alarm(20);
	CHECK(is_right(calls()) && is_right(calls_other()));
	CHECK(!handlers || is_as_said());
	CHECK(!handlers || nb_thread_blocks() == 0);
	CHECK(!static_call_update(nb_key, three) && calls() == 3);
	CHECK(!static_call_update(nb_other, three) && calls_other() == 3);
	_exit(0);
}

int main(int argc, char **argv)
{
	pthread_t threads[] = { started(updater), started(free_updater) };

	CHECK(argc == 3);
	alarm(200);
	for (int i = atoi(argv[1]); i > 0; i--) {
		bool handlers = !strcmp(argv[2], "fork");
		pid_t pid = handlers ? fork() : _Fork();
		int status;

		if (!pid)
			child(handlers);
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	}
	stop_all(threads, 2);
	CHECK(!static_call_update(nb_key, two) && calls() == 2);
	return 0;
}
