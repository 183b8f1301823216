/* SPDX-License-Identifier: MIT */
/* One update between two calls of getppid(), by which a trace finds it; updates before it have made all that is made once. */
#include <unistd.h>

#include <static_call.h>

static int one(void) { return 1; }
static int two(void) { return 2; }
DEFINE_STATIC_CALL(key, one);

static __attribute__((__noinline__)) int call(void) { return static_call(key)(); }

int main(void)
{
	if (static_call_update(key, two) || static_call_update(key, one))
		return 1;
	(void)getppid();
	if (static_call_update(key, two))
		return 2;
	(void)getppid();
	return call() != 2;
}
