/* SPDX-License-Identifier: MIT */
/*
 * Programs are started by vfork and exec and by posix_spawn while one thread updates and another calls. Until its exec
 * a child of vfork is in our memory, where it calls too.
 */
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "thr_run.h"

#define CHILDREN 40

static int one(void) { return 1; }
static int two(void) { return 2; }

DEFINE_STATIC_CALL(thr_spawn, one);

static unsigned long updates;

static int is_right(int value) { return value == 1 || value == 2 || value == 0; }

static void *caller(void *unused)
{
	while (!stopped())
		CHECK(is_right(static_call(thr_spawn)()));
	return unused;
}

static void *updater(void *unused)
{
	int (*const zero)(void) = (int (*)(void))(void (*)(void))__static_call_return0;

	for (int i = 0; !stopped(); i++)
		updates += made(static_call_update(thr_spawn, i % 3 == 0 ? zero : i % 3 == 1 ? two : one));
	return unused;
}

static void waited(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
}

/* Nothing is written but what the call itself needs; a wrong value is told by the exit status. */
static __attribute__((__noinline__)) void by_vfork(void)
{
	pid_t child = vfork();

	if (!child) {
		for (int i = 0; i < 3000; i++)
			if (!is_right(static_call(thr_spawn)()))
				_exit(99);
		execl("/bin/true", "true", (char *)NULL);
		_exit(98);
	}
	waited(child);
}

static void by_spawn(void)
{
	char name[] = "true", *arguments[] = { name, NULL }, *environment[] = { NULL };
	pid_t child;

	CHECK(!posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environment));
	waited(child);
}

int main(void)
{
	pthread_t threads[2];

	CHECK(!static_call_update(thr_spawn, two));
	threads[0] = started(caller);
	threads[1] = started(updater);
	for (int i = 0; i < CHILDREN; i++) {
		by_vfork();
		by_spawn();
	}
	stop_all(threads, 2);
	CHECK(updates > 3);
	return 0;
}
