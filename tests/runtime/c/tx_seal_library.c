/* SPDX-License-Identifier: MIT */
/* A library that is opened after the seal: its keys do what their definitions say, for ever. */
#include <errno.h>

#include "tx_seal.h"

static int three(void) { return 3; }
static int four(void) { return 4; }
static void nothing(void) { }
DEFINE_STATIC_CALL(own, three);
DEFINE_STATIC_CALL_NULL(own_hook, nothing);
DEFINE_STATIC_CALL_RET0(own_zero, three);

static int calls_are_right(void)
{
	static_call_cond(own_hook)();
	return static_call(own)() == 3 && static_call(own_zero)() == 0 && static_call(tx_shared)() == 2;
}

int tx_seal_library(void)
{
	if (!calls_are_right())
		return 1;
	if (static_call_update(own, four) != -EPERM || static_call_update(tx_shared, four) != -EPERM ||
	    static_call_update(own_hook, nothing) != -EPERM || static_call_update(own_zero, four) != -EPERM)
		return 2;
	return calls_are_right() ? 0 : 3;
}
