/* SPDX-License-Identifier: MIT */
#include "obj_share.h"

int obj_lib_adds_10(int x) { return x + 10; }

DEFINE_STATIC_CALL(obj_of_lib, obj_lib_adds_10);
EXPORT_STATIC_CALL(obj_of_lib);

int obj_lib_calls_own(int x) { return static_call(obj_of_lib)(x); }
int obj_lib_calls_main(int x) { return static_call(obj_of_main)(x); }
int obj_lib_updates_own(function *f) { return static_call_update(obj_of_lib, f); }
int obj_lib_updates_main(function *f) { return static_call_update(obj_of_main, f); }
