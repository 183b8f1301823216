/* SPDX-License-Identifier: MIT */
/* The library's constructors run before the program's, its destructors after: the program's tables are not there. */
#include "obj_start.h"

int obj_start_adds_10(int x) { return x + 10; }
int obj_start_adds_20(int x) { return x + 20; }

DEFINE_STATIC_CALL(obj_start_lib, obj_start_adds_10);
EXPORT_STATIC_CALL(obj_start_lib);

int obj_start_calls(int x) { return static_call(obj_start_main)(x); }
static int calls_own(int x) { return static_call(obj_start_lib)(x); }

static __attribute__((__constructor__(102))) void first(void)
{
	CHECK(calls_own(1) == 11);
	CHECK(!static_call_update(obj_start_lib, obj_start_adds_20) && calls_own(1) == 21);
	CHECK(obj_start_calls(1) == 2);
	CHECK(!static_call_update(obj_start_main, obj_start_adds_20) && obj_start_calls(1) == 21);
}

static __attribute__((__constructor__)) void second(void)
{
	CHECK(calls_own(1) == 21 && obj_start_calls(1) == 21);
	CHECK(!static_call_update(obj_start_lib, obj_start_adds_10) && calls_own(1) == 11);
}

static __attribute__((__destructor__)) void last(void)
{
	CHECK(!static_call_update(obj_start_lib, obj_start_adds_20) && calls_own(1) == 21);
	CHECK(!static_call_update(obj_start_main, obj_start_adds_10) && obj_start_calls(1) == 11);
	puts("destructor of the library");
}
