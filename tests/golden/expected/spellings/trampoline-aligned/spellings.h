/* SPDX-License-Identifier: MIT */
#ifndef SPELLINGS_H
#define SPELLINGS_H

#include "static_call/static_call.h"

struct ops {
	int (*read)(int);
	void (*trace)(int *);
};

int read_one(int n);
DECLARE_STATIC_CALL(ops_read, *((struct ops *)0)->read);
DECLARE_STATIC_CALL(ops_trace, *((struct ops *)0)->trace);

#define ops_call(name) static_call(ops_##name)

static inline int read_twice(int n)
{
	return __SCT__ops_read(n) + ops_call(read)(n);
}

#endif
