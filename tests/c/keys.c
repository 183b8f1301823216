/* SPDX-License-Identifier: MIT */
/* Keys of every kind of type, declared in a header and in blocks, defined here, called here and elsewhere. */
#include <stdio.h>

#include "keys.h"

long first(int a, long b) { return a - b; }
long second(int a, long b) { return a * b; }
static void close_first(int *p) { *p += 1; }
static void close_second(int *p) { *p += 10; }

struct ops ops = { first, close_first };
struct source sources[] = { { &ops } };

#define DEFINE(name, type) DEFINE_STATIC_CALL(PASTE(key_, name), first);
KEYS(DEFINE)
/* A key that is named like its function. */
DEFINE_STATIC_CALL(first, first);
DEFINE_STATIC_CALL_NULL(key_close, *ops.close);
DEFINE_STATIC_CALL_RET0(key_zero, *ops.read);

int main(void)
{
	int failed = call_all(-1), n = 0;

	if (static_call(first)(5, 7) != -2 || static_call(key_zero)(5, 7) != 0)
		failed |= 2;
	static_call_cond(key_close)(&n);
	if (n != 0 || static_call_update(key_close, close_second) || call_from_block(&n) || n != 10)
		failed |= 4;
#define UPDATE(name, type) \
	if (static_call_update(PASTE(key_, name), second) || static_call_query(PASTE(key_, name)) != second) \
		failed |= 8;
	KEYS(UPDATE)
	if (static_call_update(first, second) || static_call(first)(5, 7) != 35)
		failed |= 16;
	failed |= call_all(6);
	printf("keys: %s %d\n", failed ? "failed" : "ok", failed);
	return failed;
}
