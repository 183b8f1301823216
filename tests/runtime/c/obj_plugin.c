/* SPDX-License-Identifier: MIT */
#include "obj_plugin.h"

#ifndef VALUE
#define VALUE 10
#endif

#ifdef PADDED
/* The same sites and keys at the same places, but the trampoline elsewhere. */
__asm__(".pushsection .text.padding, \"ax\"\n\t.skip 64, 0xcc\n\t.popsection");
#endif

static int adds_value(int x) { return x + VALUE; }

DEFINE_STATIC_CALL(obj_plugin_key, adds_value);
EXPORT_STATIC_CALL(obj_plugin_key);

static int call_own(int x) { return static_call(obj_plugin_key)(x); }
#ifndef ALONE
static int call_host(int x) { return static_call(obj_host_key)(x); }
static int call_tramp_only(int x) { return static_call_mod(obj_tramp_only)(x); }
static int update_host(function *f) { return static_call_update(obj_host_key, f); }
#else
#define call_host NULL
#define call_tramp_only NULL
#define update_host NULL
#endif
static int update_own(function *f) { return static_call_update(obj_plugin_key, f); }
static int queue_own(struct static_call_transaction *t, function *f) { return static_call_queue(obj_plugin_key, f, t); }

extern API const struct obj_plugin obj_plugin;
const struct obj_plugin obj_plugin = { adds_value, call_own, call_host, call_tramp_only, update_own, update_host,
				       queue_own, static_call_statistics };
