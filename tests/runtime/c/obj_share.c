/* SPDX-License-Identifier: MIT */
/*
 * Two objects share two keys: whoever updates, both follow. At the end it prints how many sites the runtime knows
 * and how many go directly to their target.
 */
#include "obj_share.h"

#include <static_call_runtime.h>

static int main_adds_1(int x) { return x + 1; }
static int main_adds_2(int x) { return x + 2; }

DEFINE_STATIC_CALL(obj_of_main, main_adds_1);
EXPORT_STATIC_CALL(obj_of_main);

static __attribute__((__noinline__)) int calls_own(int x) { return static_call(obj_of_main)(x); }
static __attribute__((__noinline__)) int calls_lib(int x) { return static_call(obj_of_lib)(x); }
static int updates_own(function *f) { return static_call_update(obj_of_main, f); }
static int updates_lib(function *f) { return static_call_update(obj_of_lib, f); }

static const struct {
	function *of_main, *of_lib; /* the calls */
	int (*update)(function *), (*update_there)(function *);
} keys[] = {
	{ calls_own, obj_lib_calls_main, updates_own, obj_lib_updates_main },
	{ calls_lib, obj_lib_calls_own, updates_lib, obj_lib_updates_own },
};

static void both_give(unsigned key, int value)
{
	CHECK(keys[key].of_main(100) == value);
	CHECK(keys[key].of_lib(100) == value);
}

static void every_update(unsigned key)
{
	const struct {
		function *target;
		int value;
	} ways[] = { { main_adds_2, 102 }, { obj_lib_adds_10, 110 }, { main_adds_1, 101 },
		     { (function *)(void (*)(void))__static_call_return0, 0 } };

	for (unsigned i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		CHECK(!keys[key].update(ways[i].target));
		both_give(key, ways[i].value);
		CHECK(!keys[key].update(main_adds_1));
		both_give(key, 101);
		CHECK(!keys[key].update_there(ways[i].target));
		both_give(key, ways[i].value);
	}
}

static unsigned sites, direct;

static int visit(const struct static_call_site_info *site, void *target)
{
	sites++;
	CHECK(site->form == STATIC_CALL_CALL);
	CHECK(site->by_trampoline || site->target == *(void **)target);
	direct += !site->by_trampoline;
	return 0;
}

int main(void)
{
	function *target = main_adds_1;

	both_give(0, 101);
	both_give(1, 110);
	for (unsigned round = 0; round < 3; round++) {
		every_update(0);
		every_update(1);
	}
	CHECK(!updates_own(target) && !updates_lib(target));
	CHECK(!static_call_each_site(&STATIC_CALL_KEY(obj_of_main), visit, &target));
	CHECK(!static_call_each_site(&STATIC_CALL_KEY(obj_of_lib), visit, &target));
	printf("%u sites, %u direct\n", sites, direct);
	return 0;
}
