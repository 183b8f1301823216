/* SPDX-License-Identifier: MIT */
#include "plain.h"

static int sum(int a, int b)
{
	return a + b;
}

int other(int a, int b)
{
	return static_call(op)(a, b);
}

/* RET0 taken here must be the RET0 that the other file has: one address in the program. */
int other_update(void)
{
	if (static_call_update(zero, (int (*)(int, int))(static_call_fn)__static_call_return0))
		return 10;
	return static_call_update(op, sum) ? 11 : 0;
}
