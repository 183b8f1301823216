/* SPDX-License-Identifier: MIT */
/*
 * obj_host local|global PLUGIN USER: keys in the program, in a dlopened plugin and calls of that one's in a second
 * plugin; each updates each, all follow. EXPORT_STATIC_CALL_TRAMP: the plugin calls it.
 */
#include <string.h>

#include "obj_host.h"

static int adds_1(int x) { return x + 1; }
static int adds_2(int x) { return x + 2; }

DEFINE_STATIC_CALL(obj_host_key, adds_1);
EXPORT_STATIC_CALL(obj_host_key);
DEFINE_STATIC_CALL(obj_tramp_only, adds_1);
EXPORT_STATIC_CALL_TRAMP(obj_tramp_only);

static const struct obj_plugin *plugin;

static void host_key_gives(int value)
{
	CHECK(static_call(obj_host_key)(100) == value);
	CHECK(plugin->call_host(100) == value);
}

int main(int argc, char **argv)
{
	int scope = argc > 1 && !strcmp(argv[1], "global") ? RTLD_GLOBAL : RTLD_LOCAL;
	void *library, *user;
	function *user_call;
	int (*user_update)(function *);

	CHECK(argc == 4);
	CHECK(!static_call_update(obj_tramp_only, adds_2)); /* before the plugin comes */
	library = open_library(argv[2], scope);
	user = open_library(argv[3], scope);
	plugin = find(library, "obj_plugin");
	user_call = (function *)find_function(user, "obj_user_call");
	user_update = (int (*)(function *))find_function(user, "obj_user_update");

	host_key_gives(101);
	CHECK(!static_call_update(obj_host_key, plugin->target));
	host_key_gives(110);
	CHECK(!plugin->update_host(adds_2));
	host_key_gives(102);

	CHECK(plugin->call_own(100) == 110 && user_call(100) == 110);
	CHECK(!user_update(adds_1));
	CHECK(plugin->call_own(100) == 101 && user_call(100) == 101);
	CHECK(!plugin->update_own(plugin->target));
	CHECK(plugin->call_own(100) == 110 && user_call(100) == 110);

	CHECK(plugin->call_tramp_only(100) == 102);
	CHECK(!static_call_update(obj_tramp_only, plugin->target));
	CHECK(plugin->call_tramp_only(100) == 110 && static_call(obj_tramp_only)(100) == 110);
	CHECK(!static_call_update(obj_tramp_only, adds_1));
	CHECK(plugin->call_tramp_only(100) == 101);

	CHECK(!dlclose(user) && !dlclose(library));
	CHECK(!static_call_update(obj_host_key, adds_1) && static_call(obj_host_key)(100) == 101);
	return 0;
}
