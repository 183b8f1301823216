/* SPDX-License-Identifier: MIT */
/* A library of one key. */
#include <static_call.h>

extern int obj_space(void);

static int seven(int x) { return x + 7; }
static int eight(int x) { return x + 8; }

DEFINE_STATIC_CALL(obj_space_key, seven);

int obj_space(void)
{
	int error = static_call_update(obj_space_key, eight);

	return error ? error : static_call(obj_space_key)(1);
}
