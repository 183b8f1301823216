/* SPDX-License-Identifier: MIT */
/* Constructors and destructors of every priority that the program has for itself: they call and update. */
#include "obj_start.h"

static int adds_1(int x) { return x + 1; }
static int adds_2(int x) { return x + 2; }

DEFINE_STATIC_CALL(obj_start_main, adds_1);
EXPORT_STATIC_CALL(obj_start_main);

static int calls(int x) { return static_call(obj_start_main)(x); }
static int calls_lib(int x) { return static_call(obj_start_lib)(x); }

static __attribute__((__constructor__(102))) void first(void)
{
	CHECK(calls(1) == 21); /* the library has updated it */
	CHECK(calls_lib(1) == 11);
	CHECK(!static_call_update(obj_start_main, adds_2) && calls(1) == 3 && obj_start_calls(1) == 3);
}

static __attribute__((__constructor__)) void second(void)
{
	CHECK(calls(1) == 3);
	CHECK(!static_call_update(obj_start_main, adds_1) && calls(1) == 2 && obj_start_calls(1) == 2);
	CHECK(!static_call_update(obj_start_lib, adds_2) && calls_lib(1) == 3);
}

static __attribute__((__destructor__)) void last(void)
{
	CHECK(!static_call_update(obj_start_main, adds_2) && calls(1) == 3 && obj_start_calls(1) == 3);
	CHECK(!static_call_update(obj_start_lib, adds_1) && calls_lib(1) == 2);
	puts("destructor");
}

static __attribute__((__destructor__(102))) void very_last(void)
{
	CHECK(calls(1) == 3);
	CHECK(!static_call_update(obj_start_main, adds_1) && calls(1) == 2);
	puts("last destructor");
}

int main(void)
{
	return calls(1) == 2 && calls_lib(1) == 3 ? 0 : 1;
}
