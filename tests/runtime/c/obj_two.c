/* SPDX-License-Identifier: MIT */
/*
 * obj_two PLUGIN: the plugin has a runtime of its own, which hands on to the program's. Every site and trampoline is
 * known to that one; each side updates either's keys; a transaction may have keys of both. Then both sides update at once
 * while threads call everything.
 */
#include <pthread.h>
#include <signal.h>

#include "obj_host.h"

static int adds_1(int x) { return x + 1; }
static int adds_2(int x) { return x + 2; }

DEFINE_STATIC_CALL(obj_host_key, adds_1);
EXPORT_STATIC_CALL(obj_host_key);
DEFINE_STATIC_CALL(obj_tramp_only, adds_1);
EXPORT_STATIC_CALL_TRAMP(obj_tramp_only);

static const struct obj_plugin *plugin;
static function *const return0 = (function *)(void (*)(void))__static_call_return0;
static int stop;

static __attribute__((__noinline__)) int calls_host(int x) { return static_call(obj_host_key)(x); }

static void each_follows_either(void)
{
	CHECK(!static_call_update(obj_host_key, adds_2) && calls_host(1) == 3 && plugin->call_host(1) == 3);
	CHECK(!plugin->update_host(plugin->target) && calls_host(1) == 11 && plugin->call_host(1) == 11);
	CHECK(!plugin->update_host(return0) && calls_host(1) == 0 && plugin->call_host(1) == 0);
	CHECK(!plugin->update_host(adds_1) && calls_host(1) == 2 && plugin->call_host(1) == 2);
	CHECK(!plugin->update_own(adds_2) && plugin->call_own(1) == 3);
	CHECK(!plugin->update_own(return0) && plugin->call_own(1) == 0);
	CHECK(!plugin->update_own(plugin->target) && plugin->call_own(1) == 11);
}

static void counted(void)
{
	struct static_call_statistics here, there;

	static_call_statistics(&here);
	plugin->statistics(&there);
	CHECK(here.updates == 7 && there.updates == 7);
	CHECK(here.foreign_sites == 0);
	printf("%lu and %lu sites, %lu foreign\n", here.sites, there.sites, there.foreign_sites);
}

static void transactions_of_both(void)
{
	struct static_call_transaction t;

	for (int order = 0; order < 2; order++) {
		static_call_begin(&t);
		CHECK(!order || !plugin->queue_own(&t, adds_1));
		CHECK(!static_call_queue(obj_host_key, adds_2, &t));
		CHECK(order || !plugin->queue_own(&t, adds_1));
		CHECK(!static_call_commit(&t));
		CHECK(calls_host(1) == 3 && plugin->call_host(1) == 3 && plugin->call_own(1) == 2);
	}
	CHECK(!static_call_update(obj_host_key, adds_1) && !plugin->update_own(plugin->target));
}

static int is_one_of(int value, int a, int b) { return value == a || value == b || value == 0; }

static void *caller(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		CHECK(is_one_of(calls_host(1), 2, 3));
		CHECK(is_one_of(plugin->call_host(1), 2, 3));
		CHECK(is_one_of(plugin->call_own(1), 11, 3));
	}
	return unused;
}

static void *updates_plugin(void *unused)
{
	for (int i = 0; i < 300; i++)
		CHECK(!plugin->update_own(i % 3 == 0 ? return0 : i % 3 == 1 ? adds_2 : plugin->target));
	return unused;
}

static void both_at_once(void)
{
	pthread_t callers[2], updater;

	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&callers[i], NULL, caller, NULL));
	CHECK(!pthread_create(&updater, NULL, updates_plugin, NULL));
	for (int i = 0; i < 300; i++)
		CHECK(!static_call_update(obj_host_key, i % 3 == 0 ? return0 : i % 3 == 1 ? adds_2 : adds_1));
	CHECK(!pthread_join(updater, NULL));
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_join(callers[i], NULL));
}

static volatile sig_atomic_t received;

static void on_trap(int signal)
{
	(void)signal;
	received++;
}

int main(int argc, char **argv)
{
	void *library;

	CHECK(argc == 2);
	CHECK(signal(SIGTRAP, on_trap) != SIG_ERR);
	library = open_library(argv[1], RTLD_LOCAL);
	plugin = find(library, "obj_plugin");
	CHECK(calls_host(1) == 2 && plugin->call_host(1) == 2 && plugin->call_own(1) == 11);
	each_follows_either();
	counted();
	transactions_of_both();
	both_at_once();
	/* Whichever runtime has taken the signal last: what is nobody's comes to the program. */
	CHECK(!static_call_update(obj_host_key, return0) && !static_call_update(obj_host_key, adds_1));
	CHECK(!raise(SIGTRAP) && received == 1);
	CHECK(!plugin->update_own(return0) && !plugin->update_own(plugin->target));
	CHECK(!raise(SIGTRAP) && received == 2);
	/* The plugin is closed: its handler is still called, or nobody notices that it is gone. */
	CHECK(!dlclose(library));
	CHECK(!raise(SIGTRAP) && received == 3);
	CHECK(!static_call_update(obj_host_key, return0) && calls_host(1) == 0);
	CHECK(!raise(SIGTRAP) && received == 4);
	return 0;
}
