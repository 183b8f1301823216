/* SPDX-License-Identifier: MIT */
/* A function that is kept has two sites, and so has one that nobody calls. */
#include "obj_check.h"

#include <static_call.h>
#include <static_call_runtime.h>

static int one(void) { return 1; }
static int two(void) { return 2; }

DEFINE_STATIC_CALL(obj_gc_key, one);

extern int obj_dropped(void);
int obj_dropped(void) { return static_call(obj_gc_key)() + static_call(obj_gc_key)(); }

int main(void)
{
	struct static_call_statistics now;

	CHECK(static_call(obj_gc_key)() == 1);
	CHECK(!static_call_update(obj_gc_key, two) && static_call(obj_gc_key)() == 2);
	static_call_statistics(&now);
	printf("%lu sites\n", now.sites);
	return 0;
}
