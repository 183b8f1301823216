/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "static_call/static_call.h"

static int hello(const char *name) { return printf("hello, %s\n", name); }
static int goodbye(const char *name) { return printf("goodbye, %s\n", name); }

DEFINE_STATIC_CALL(greet, hello);

int main(void)
{
	__SCW__greet("world");
	static_call_update(greet, goodbye);
	return __SCW__greet("world") < 0;
}
