/* SPDX-License-Identifier: MIT */
/* Swaps the allocator of a Lua state: between scripts, in one, and from inside a call of the allocator itself. */
#include <stdio.h>
#include <stdlib.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static lua_State *state;
static unsigned long calls[2];
static int swap_within;

static void *allocate(int which, void *block, size_t size);

static void *first(void *ud, void *block, size_t old, size_t size)
{
	(void)ud, (void)old;
	return allocate(0, block, size);
}

static void *second(void *ud, void *block, size_t old, size_t size)
{
	(void)ud, (void)old;
	return allocate(1, block, size);
}

static void *allocate(int which, void *block, size_t size)
{
	calls[which]++;
	if (swap_within) {
		swap_within = 0;
		lua_setallocf(state, which ? first : second, NULL);
	}
	if (size)
		return realloc(block, size);
	free(block);
	return NULL;
}

static int swap(lua_State *L)
{
	lua_setallocf(L, lua_getallocf(L, NULL) == first ? second : first, NULL);
	return 0;
}

/* Runs a script that makes 100 tables after `swaps` swaps; only who is the allocator then may be called for them. */
static void script(const char *text, int swaps)
{
	const int before = lua_getallocf(state, NULL) == second;
	const int after = before ^ (swaps & 1);
	const unsigned long mine = calls[after], other = calls[!after];

	if (luaL_dostring(state, text)) {
		fprintf(stderr, "%s\n", lua_tostring(state, -1));
		exit(1);
	}
	if (calls[after] - mine < 100 || (!swaps && calls[!after] != other) || calls[!after] - other >= 100) {
		fprintf(stderr, "%s: %lu and %lu calls\n", text, calls[after] - mine, calls[!after] - other);
		exit(1);
	}
}

int main(void)
{
	static const char tables[] = "local t = {} for i = 1, 100 do t[i] = {} end";

	state = lua_newstate(first, NULL);
	if (!state)
		return 1;
	luaL_openlibs(state);
	lua_register(state, "swap", swap);
	if (calls[1])
		return 1;
	for (int i = 0; i < 50; i++) {
		script(tables, 0);
		lua_setallocf(state, i & 1 ? first : second, NULL);
		script(tables, 0);
		script("swap() local t = {} for i = 1, 100 do t[i] = {} end", 1);
		swap_within = 1;
		script(tables, 1);
	}
	lua_close(state);
	printf("%lu %lu\n", calls[0], calls[1]);
	return 0;
}
