/* SPDX-License-Identifier: MIT */
/* ISO C11 apart from what the header itself needs: the whole API on the pointer flavour, in two files. */
#include <stdio.h>

#include <static_call.h>

#include "plain.h"

static int add(int a, int b)
{
	return a + b;
}

static int subtract(int a, int b)
{
	return a - b;
}

static void note(int *out)
{
	++*out;
}

DEFINE_STATIC_CALL(op, add);
DEFINE_STATIC_CALL_NULL(hook, note);
DEFINE_STATIC_CALL_RET0(zero, add);
EXPORT_STATIC_CALL(op);
EXPORT_STATIC_CALL_TRAMP(zero);

static int check(void)
{
	int notes = 0;

	if (static_call(op)(1, 2) != 3 || static_call(op, 1, 2) != 3 || other(1, 2) != 3)
		return 1;
	static_call_cond(hook)(&notes);
	if (notes != 0 || static_call_query(hook) || static_call(zero)(1, 2) != 0)
		return 2;
	if (static_call_update(op, subtract) || static_call_update(hook, &note))
		return 3;
	static_call_cond(hook)(&notes);
	static_call_mod(hook)(&notes);
	if (notes != 2 || other(1, 2) != -1 || static_call_query(op) != subtract)
		return 4;
	if (static_call_update(zero, add) || static_call(zero)(1, 2) != 3)
		return 5;
	return other_update();
}

int main(void)
{
	int failed = check();

	if (!failed && static_call(op)(4, 2) != 6)
		failed = 6;
	if (!failed && static_call_query(zero) != (int (*)(int, int))(static_call_fn)__static_call_return0)
		failed = 7;
	if (failed)
		printf("plain: failed at %d\n", failed);
	else
		puts("plain: ok");
	return failed;
}
