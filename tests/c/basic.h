/* SPDX-License-Identifier: MIT */
#ifndef BASIC_H
#define BASIC_H

#include <static_call.h>

enum colour { RED, GREEN };
typedef int binary_t(int, int);

struct ops {
	void (*store)(int *out, int value);
};

int other_op(int a, int b);

DECLARE_STATIC_CALL(op, binary_t);

#define OPS(X) X(read) X(write)
#define DECLARE_OP(name) DECLARE_STATIC_CALL(ops_##name, *((int (*)(void))0));
OPS(DECLARE_OP)

#define ops_call(name) static_call(ops_##name)
#define macro_op(a, b) static_call(op)(a, b)
#define KEY_NAME(x) x
#define SPELLED(x) #x

static inline int inline_op(int a, int b)
{
	return static_call(op)(a, b);
}

#endif
