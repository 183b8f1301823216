/* SPDX-License-Identifier: MIT */
/* A program with keys, and plugins with one of their own, all of which call and update each other's. */
#include <static_call.h>
#include <static_call_runtime.h>

#include "obj_check.h"

typedef int function(int);

#ifndef STATIC_CALL_RUNTIME
DECLARE_STATIC_CALL(obj_host_key, function);
DECLARE_STATIC_CALL(obj_tramp_only, function);
DECLARE_STATIC_CALL(obj_plugin_key, function);
#endif

/* What dlsym() finds in a plugin under this name. */
struct obj_plugin {
	function *target; /* adds the plugin's VALUE */
	function *call_own, *call_host, *call_tramp_only;
	int (*update_own)(function *), (*update_host)(function *);
	int (*queue_own)(struct static_call_transaction *, function *);
	void (*statistics)(struct static_call_statistics *);
};
