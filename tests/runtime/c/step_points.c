/* SPDX-License-Identifier: MIT */
/* The runtime itself, and where in it step_kills.c ends a thread: from the beginning of each function on. */
#include "../../../c_runtime/static_call_runtime.c"
#include "step_kills.h"

const struct point points[POINTS] = {
	{ "array_reserve", (uintptr_t)array_reserve, 60 },
	{ "merge", (uintptr_t)merge, 450 },
	{ "bring_home", (uintptr_t)bring_home, 250 },
	{ "trap_publish", (uintptr_t)trap_publish, 60 },
	{ "trap_retire", (uintptr_t)trap_retire, 40 },
	{ "store_keys", (uintptr_t)store_keys, 120 },
};
