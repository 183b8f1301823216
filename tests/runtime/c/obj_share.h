/* SPDX-License-Identifier: MIT */
/* A program and a library that share two keys: one is defined here, the other there. */
#include <static_call.h>

#include "obj_check.h"

typedef int function(int);

API int obj_lib_adds_10(int);
DECLARE_STATIC_CALL(obj_of_lib, obj_lib_adds_10);
DECLARE_STATIC_CALL(obj_of_main, obj_lib_adds_10);

API int obj_lib_calls_own(int);
API int obj_lib_calls_main(int);
API int obj_lib_updates_own(function *);
API int obj_lib_updates_main(function *);
