/* SPDX-License-Identifier: MIT */
#include "basic.h"

int other_op(int a, int b)
{
	return static_call(op)(a, b);
}
