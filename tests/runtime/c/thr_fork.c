/* SPDX-License-Identifier: MIT */
/*
 * Children are forked while threads call and update. A child calls, updates, starts a thread of its own, and forks
 * once more; the parent goes on, and what a child updates stays the child's.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "thr_run.h"

#define CHILDREN 12

static int one(void) { return 1; }
static int two(void) { return 2; }
static int three(void) { return 3; }

DEFINE_STATIC_CALL(thr_fork, one);
DEFINE_STATIC_CALL(thr_fork_child, one);

static int calls(void) { return static_call(thr_fork)(); }
static int is_right(int value) { return value == 1 || value == 2 || value == 0; }

static void *caller(void *unused)
{
	while (!stopped())
		CHECK(is_right(calls()) && static_call(thr_fork_child)() == 1);
	return unused;
}

static void *updater(void *unused)
{
	int (*const zero)(void) = (int (*)(void))(void (*)(void))__static_call_return0;

	for (int i = 0; !stopped(); i++)
		(void)made(static_call_update(thr_fork, i % 3 == 0 ? zero : i % 3 == 1 ? two : one));
	return unused;
}

static void *child_thread(void *unused)
{
	for (int i = 0; i < 1000; i++)
		CHECK(calls() == 1 || calls() == 3);
	return unused;
}

static void waited(pid_t child)
{
	int status;

	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
}

static void works(void)
{
	pthread_t thread;

	alarm(100);
	CHECK(is_right(calls()));
	CHECK(!static_call_update(thr_fork, one) && calls() == 1);
	thread = started(child_thread);
	for (int i = 0; i < 10; i++)
		(void)made(static_call_update(thr_fork, i & 1 ? one : three));
	CHECK(!pthread_join(thread, NULL));
	CHECK(!static_call_update(thr_fork_child, three) && static_call(thr_fork_child)() == 3);
	CHECK(!static_call_update(thr_fork, one));
}

static void child(void)
{
	pid_t grandchild;

	works();
	grandchild = fork();
	if (!grandchild) {
		CHECK(!static_call_update(thr_fork_child, one));
		works();
		_Exit(0);
	}
	waited(grandchild);
	CHECK(static_call(thr_fork_child)() == 3);
	_Exit(0);
}

int main(void)
{
	pthread_t threads[] = { started(caller), started(caller), started(updater) };

	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		if (!pid)
			child();
		waited(pid);
		CHECK(static_call(thr_fork_child)() == 1);
	}
	stop_all(threads, 3);
	CHECK(!static_call_update(thr_fork_child, two) && static_call(thr_fork_child)() == 2);
	return 0;
}
