/* SPDX-License-Identifier: MIT */
#include "pointers.h"

int other(int value)
{
	return transform(value);
}
