/* SPDX-License-Identifier: MIT */
/*
 * obj_loop PLUGIN OTHER: two plugins are opened and closed by turns, one often at the place of the other, while
 * threads call and update the program's key, whose sites are in both. OTHER's value is 20.
 */
#include <pthread.h>

#include "obj_host.h"

static int adds_1(int x) { return x + 1; }
static int adds_2(int x) { return x + 2; }

DEFINE_STATIC_CALL(obj_host_key, adds_1);
EXPORT_STATIC_CALL(obj_host_key);
DEFINE_STATIC_CALL(obj_tramp_only, adds_1);

static function *const return0 = (function *)(void (*)(void))__static_call_return0;
static int stop;

static int stopped(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }
static int is_right(int value) { return value == 2 || value == 3 || value == 0; }

static void *caller(void *unused)
{
	while (!stopped())
		CHECK(is_right(static_call(obj_host_key)(1)));
	return unused;
}

static void *updater(void *unused)
{
	for (int i = 0; !stopped(); i++)
		CHECK(!static_call_update(obj_host_key, i % 3 == 0 ? return0 : i % 3 == 1 ? adds_2 : adds_1));
	return unused;
}

/* A plugin's own key begins anew each time, whatever the one before at its place was updated to. */
static void use(const struct obj_plugin *plugin, int value)
{
	CHECK(plugin->call_own(1) == 1 + value);
	for (int i = 0; i < 100; i++)
		CHECK(is_right(plugin->call_host(1)));
	CHECK(!plugin->update_own(return0) && plugin->call_own(1) == 0);
	CHECK(!plugin->update_own(adds_2) && plugin->call_own(1) == 3);
	CHECK(!plugin->update_host(adds_2));
	CHECK(is_right(plugin->call_host(1)));
}

int main(int argc, char **argv)
{
	const struct obj_plugin *last = NULL;
	int same_place = 0;
	pthread_t threads[3];

	CHECK(argc == 3);
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, i ? caller : updater, NULL));
	for (int i = 0; i < 60; i++) {
		void *library = open_library(argv[1 + i % 2], RTLD_LOCAL);
		const struct obj_plugin *plugin = find(library, "obj_plugin");

		same_place += plugin == last;
		last = plugin;
		use(plugin, i % 2 ? 20 : 10);
		CHECK(!dlclose(library));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(same_place);
	return 0;
}
