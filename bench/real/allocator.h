/* SPDX-License-Identifier: MIT */
/*
 * Lua's allocator hook as a key. The hook belongs to a state, the key to the program: this is right only while all
 * states of a program have one allocator, as those of the `lua` program and of Lua's tests have.
 */
#ifndef ALLOCATOR_H
#define ALLOCATOR_H

#include <static_call.h>

#include "lua.h"

DECLARE_STATIC_CALL(lua_frealloc, __typeof__(*(lua_Alloc)0));

/* 0, or a negative errno and the allocator is the old one. A state that asks for the present one changes nothing. */
static inline int choose_allocator(lua_Alloc f)
{
	return static_call_query(lua_frealloc) == f ? 0 : static_call_update(lua_frealloc, f);
}

#endif
