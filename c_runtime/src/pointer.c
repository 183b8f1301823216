/* SPDX-License-Identifier: MIT */
/* The runtime where nothing can be patched: the key is the function pointer. */
#define STATIC_CALL_RUNTIME
#include "../include/static_call.h"
#include "../include/static_call_object.h"

int __static_call_rt_update(struct static_call_key *key, static_call_fn func)
{
	__atomic_store_n(&key->func, func, __ATOMIC_RELEASE);
	return 0;
}

int __static_call_rt_init(void)
{
	return 0;
}
