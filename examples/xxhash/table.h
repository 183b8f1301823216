/* SPDX-License-Identifier: MIT */
/* Ends xxh_x86dispatch.c where the pointers are kept: a choice is a plain store, as in the original. */
#include "choose.h"

int xxh_choose(int implementation)
{
	XXH_g_dispatch = XXH_kDispatch[implementation];
	XXH_g_dispatch128 = XXH_kDispatch128[implementation];
	return 0;
}
