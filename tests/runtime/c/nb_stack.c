/* SPDX-License-Identifier: MIT */
/*
 * How much of a thread's stack a trap takes: on an alternate stack, which is read afterwards. Prints bytes beyond the
 * kernel's frame.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include <static_call.h>
#include <static_call_runtime.h>

#include "thr_run.h"

#define UNUSED 0xa5

static int one(void) { return 1; }
static int two(void) { return 2; }
DEFINE_STATIC_CALL(nb_key, one);

static unsigned char room[65536];

static void *caller(void *unused)
{
	const stack_t own = { .ss_sp = room, .ss_size = sizeof(room) };

	CHECK(!sigaltstack(&own, NULL));
	while (!stopped())
		CHECK(static_call(nb_key)() > 0);
	return unused;
}

int main(void)
{
	unsigned long frame = getauxval(AT_MINSIGSTKSZ);
	struct static_call_statistics now;
	size_t left = 0;
	pthread_t thread;

	memset(room, UNUSED, sizeof(room));
	thread = started(caller);
	alarm(60);
	for (int i = 0; static_call_statistics(&now), now.traps < 100; i++)
		CHECK(!static_call_update(nb_key, i % 2 ? one : two));
	stop_all(&thread, 1);
	while (left < sizeof(room) && room[left] == UNUSED)
		left++;
	CHECK(frame && left < sizeof(room));
	printf("%ld\n", (long)(sizeof(room) - left) - (long)frame);
	return 0;
}
