/* SPDX-License-Identifier: MIT */
/*
 * obj_plain PLUGIN: a program without static calls and without the runtime, which comes with the plugin, and may
 * go with it; not so that a SIGTRAP would run into nowhere. Not instrumented.
 */
#include <signal.h>

#define STATIC_CALL_RUNTIME /* the types are enough */
#include "obj_host.h"

static int adds_1(int x) { return x + 1; }

static volatile sig_atomic_t received;

static void on_trap(int signal)
{
	(void)signal;
	received++;
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	CHECK(signal(SIGTRAP, on_trap) != SIG_ERR);
	for (int round = 1; round <= 3; round++) {
		void *library = open_library(argv[1], RTLD_LOCAL);
		const struct obj_plugin *plugin = find(library, "obj_plugin");

		CHECK(plugin->call_own(1) == 11);
		CHECK(!plugin->update_own(adds_1) && plugin->call_own(1) == 2);
		CHECK(!plugin->update_own(plugin->target) && plugin->call_own(1) == 11);
		CHECK(!dlclose(library));
		CHECK(!raise(SIGTRAP) && received == round);
	}
	return 0;
}
