/* SPDX-License-Identifier: MIT */
/* A program and its library, both of which call and update before main and after it. */
#include <static_call.h>

#include "obj_check.h"

typedef int function(int);

DECLARE_STATIC_CALL(obj_start_main, function);
DECLARE_STATIC_CALL(obj_start_lib, function);

API int obj_start_adds_10(int);
API int obj_start_adds_20(int);
/* What the library's constructor has made of the program's key. */
API int obj_start_calls(int);
