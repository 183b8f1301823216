/* SPDX-License-Identifier: MIT */
/* The runtime itself, and where in it step_kills.c ends a thread: from the beginning of each function on. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>

#include "step_kills.h"

bool text_stays_open;

static int refusing_mprotect(void *start, size_t size, int protection)
{
	if (!text_stays_open || protection != (PROT_READ | PROT_EXEC))
		return mprotect(start, size, protection);
	errno = ENOMEM;
	return -1;
}

#define mprotect refusing_mprotect
#include "../../../c_runtime/static_call_runtime.c"

const struct point points[POINTS] = {
	{ "array_reserve", (uintptr_t)array_reserve, 60 },
	{ "merge", (uintptr_t)merge, 450 },
	{ "bring_home", (uintptr_t)bring_home, 250 },
	{ "ranges_find", (uintptr_t)ranges_find, 500 },
	{ "trap_publish", (uintptr_t)trap_publish, 60 },
	{ "trap_retire", (uintptr_t)trap_retire, 40 },
	{ "store_keys", (uintptr_t)store_keys, 120 },
};
