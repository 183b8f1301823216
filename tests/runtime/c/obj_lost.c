/* SPDX-License-Identifier: MIT */
/*
 * obj_lost WHAT PLUGIN BARE: the program's key calls a function of a plugin that is then closed.
 *   repair   the next update puts it right
 *   call     a call before that ends the program
 *   exit     the plugin stays open until the program ends: nothing to report
 *   late     the plugin is closed by an exit handler, which goes on updating
 *   bare     the plugin has no static calls, and the key was updated away in time: its function is refused afterwards
 *   unseen   the plugin has no static calls, and nobody sees it close: what may be asked of the key tells
 *   sealed   after a seal a plugin with static calls stays, and one without is seen to be gone
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "obj_host.h"

static int adds_1(int x) { return x + 1; }

DEFINE_STATIC_CALL(obj_host_key, adds_1);
EXPORT_STATIC_CALL(obj_host_key);
DEFINE_STATIC_CALL(obj_tramp_only, adds_1);

static int calls(int x) { return static_call(obj_host_key)(x); }

static unsigned long lost(void)
{
	struct static_call_statistics now;

	static_call_statistics(&now);
	return now.lost_targets;
}

/* Whether obj_host_key has lost its target; no other key may have. */
static int see_lost(const struct static_call_key_info *info, void *argument)
{
	if (info->key == &STATIC_CALL_KEY(obj_host_key))
		*(int *)argument = info->lost;
	else
		CHECK(!info->lost);
	return 0;
}

static int is_lost(void)
{
	int is = -1;

	CHECK(!static_call_each_key(see_lost, &is));
	return is;
}

static void *use(const char *path)
{
	void *library = open_library(path, RTLD_LOCAL);
	const struct obj_plugin *plugin = find(library, "obj_plugin");

	CHECK(!static_call_update(obj_host_key, plugin->target) && calls(1) == 11);
	return library;
}

static void repair(const char *path)
{
	for (unsigned long round = 1; round <= 2; round++) {
		CHECK(!dlclose(use(path)));
		CHECK(lost() == round && is_lost());
		CHECK(!static_call_update(obj_host_key, adds_1) && calls(1) == 2 && !is_lost());
	}
}

static void *closed_late;

static void close_late(void)
{
	CHECK(!dlclose(closed_late));
	CHECK(!static_call_update(obj_host_key, adds_1) && calls(1) == 2);
	puts("updated");
}

/* The handler runs after those that came later; the first update may have brought one. */
static void late(const char *path)
{
	CHECK(!atexit(close_late));
	closed_late = use(path);
}

static void bare(const char *path)
{
	void *library = open_library(path, RTLD_LOCAL);
	function *target = (function *)find_function(library, "obj_bare");

	CHECK(!static_call_update(obj_host_key, target) && calls(1) == 31);
	CHECK(!static_call_update(obj_host_key, adds_1) && calls(1) == 2);
	CHECK(!dlclose(library));
	CHECK(static_call_update(obj_host_key, target) == -EFAULT && calls(1) == 2);
	CHECK(lost() == 0);
}

static void unseen(const char *path)
{
	void *library = open_library(path, RTLD_LOCAL);

	CHECK(!static_call_update(obj_host_key, (function *)find_function(library, "obj_bare")) && !is_lost());
	CHECK(!dlclose(library));
	CHECK(is_lost() && lost() == 0);
	CHECK(!static_call_update(obj_host_key, NULL) && !is_lost());
	CHECK(!static_call_update(obj_host_key, adds_1) && calls(1) == 2 && !is_lost());
}

/* BARE has static calls of its own, or none. */
static void sealed(const char *path, const char *bare)
{
	void *library = use(path), *other = open_library(bare, RTLD_LOCAL);
	bool stays = dlsym(other, "obj_plugin");

	if (!stays)
		CHECK(!static_call_update(obj_host_key, (function *)find_function(other, "obj_bare")));
	CHECK(!static_call_seal());
	for (int round = 0; round < 2; round++) {
		CHECK(!dlclose(library) && !dlclose(other));
		CHECK(is_lost() == !stays && lost() == 0);
		CHECK(!stays || calls(1) == 11);
		library = open_library(path, RTLD_LOCAL);
		other = open_library(path, RTLD_LOCAL);
	}
}

int main(int argc, char **argv)
{
	CHECK(argc == 4);
	if (!strcmp(argv[1], "repair"))
		repair(argv[2]);
	else if (!strcmp(argv[1], "bare"))
		bare(argv[3]);
	else if (!strcmp(argv[1], "unseen"))
		unseen(argv[3]);
	else if (!strcmp(argv[1], "sealed"))
		sealed(argv[2], argv[3]);
	else if (!strcmp(argv[1], "late"))
		late(argv[2]);
	else if (!strcmp(argv[1], "exit"))
		(void)use(argv[2]);
	else {
		CHECK(!dlclose(use(argv[2])));
		calls(1);
		return 1;
	}
	return 0;
}
