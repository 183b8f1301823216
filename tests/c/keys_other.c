/* SPDX-License-Identifier: MIT */
#include "keys.h"

int call_all(long expected)
{
#define CALL(name, type) \
	if (static_call(PASTE(key_, name))(2, 3) != expected) \
		return 1;
	KEYS(CALL)
	return 0;
}

int call_from_block(int *p)
{
	/* Known in this block alone. */
	DECLARE_STATIC_CALL(key_close, *ops.close);

	static_call(key_close)(p);
	return 0;
}
