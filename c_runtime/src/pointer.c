/* SPDX-License-Identifier: MIT */
/* The runtime where nothing can be patched: the key is the function pointer. */
#define STATIC_CALL_RUNTIME
#include "../include/static_call.h"
#include "../include/static_call_object.h"

int __static_call_rt_init(void)
{
	return 0;
}
