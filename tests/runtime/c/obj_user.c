/* SPDX-License-Identifier: MIT */
/* A second plugin, which uses the key of the first. */
#include "obj_plugin.h"

extern API int obj_user_call(int x);
extern API int obj_user_update(function *f);
int obj_user_call(int x) { return static_call(obj_plugin_key)(x); }
int obj_user_update(function *f) { return static_call_update(obj_plugin_key, f); }
