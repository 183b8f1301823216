/* SPDX-License-Identifier: MIT */
/*
 * What the host_*.c and fault_*.c programs share: what a key may do, whether a call did it whole, and functions of
 * call sites that lie at many offsets in a cache line.
 */
#ifndef HOST_SITES_H
#define HOST_SITES_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <static_call.h>
#include <static_call_runtime.h>

#define UNUSED __attribute__((__unused__))

typedef int target_fn(long *seen, double x);

static int target_a(long *seen, double x)
{
	*seen = x == 1.5 ? 1 : -1;
	return 1;
}

static int target_b(long *seen, double x)
{
	*seen = x == 1.5 ? 2 : -1;
	return 2;
}

/* What a key does. Who is called says its number twice, NULL leaves both alone, RET0 returns 0. */
enum { RET0 = 0, A = 1, B = 2, FAR = 3, NOTHING = 4, STATES };
struct state {
	const char *name;
	int number;
};
static const struct state states[STATES] = {
	{ "ret0", RET0 }, { "a", A }, { "b", B }, { "far", FAR }, { "null", NOTHING }
};

static UNUSED const struct state *state_named(const char *name)
{
	for (int i = 0; i < STATES; i++)
		if (!strcmp(name, states[i].name))
			return &states[i];
	exit(99);
}

/* mov $3,(%rdi); mov $3,%eax; ret; in a mapping that no rel32 of the program's text reaches */
static target_fn *far_target(void)
{
	static const unsigned char code[] = { 0x48, 0xc7, 0x07, 3, 0, 0, 0, 0xb8, 3, 0, 0, 0, 0xc3 };
	static void *page;
	target_fn *target;

	if (!page) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED || !memcpy(page, code, sizeof(code)) ||
		    mprotect(page, 4096, PROT_READ | PROT_EXEC))
			exit(98);
	}
	memcpy(&target, &page, sizeof(target));
	return target;
}

static UNUSED target_fn *target_of(const struct state *state)
{
	switch (state->number) {
	case A:
		return target_a;
	case B:
		return target_b;
	case FAR:
		return far_target();
	case RET0:
		return (target_fn *)(static_call_fn)__static_call_return0;
	default:
		return NULL;
	}
}

/* Whether a call did what the state says, or for NULL what some state says. */
static bool does(const struct state *state, long seen, int result)
{
	if (!state)
		return seen ? seen == result && seen >= A && seen <= FAR : true;
	if (state->number == NOTHING)
		return !seen;
	return seen == state->number && result == state->number;
}

/* One site; the nops before it give each its own place in the cache line. */
#define SITE(key, pad) \
	{ \
		long seen = 0; \
		int result; \
		__asm__ volatile(".skip " #pad ", 0x90"); \
		result = static_call(key)(&seen, 1.5); \
		wrong += !does(x, seen, result) && !does(y, seen, result); \
	}
#define SITES8(key, n) \
	SITE(key, n) SITE(key, n + 1) SITE(key, n + 2) SITE(key, n + 3) \
	SITE(key, n + 4) SITE(key, n + 5) SITE(key, n + 6) SITE(key, n + 7)

/*
 * calls_of_KEY(x, y): through every site; how many did neither what x nor what y says. In pages that are nobody
 * else's neighbours, so that an update of several keys changes several ranges.
 */
#define DEFINE_CALLS(key, sites) \
	static __attribute__((__noinline__, __aligned__(8192))) unsigned long \
	calls_of_##key(const struct state *x, const struct state *y) \
	{ \
		unsigned long wrong = 0; \
		sites \
		return wrong; \
	}
#define SITES16(key) SITES8(key, 1) SITES8(key, 12)
#define SITES3(key) SITE(key, 1) SITE(key, 4) SITE(key, 7)

/* How many mappings are writable and executable. */
static UNUSED unsigned long writable_and_executable(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[8192], protection[5];
	unsigned long found = 0;

	if (!maps)
		exit(97);
	while (fgets(line, sizeof(line), maps))
		found += sscanf(line, "%*s %4s", protection) == 1 && protection[1] == 'w' && protection[2] == 'x';
	fclose(maps);
	return found;
}

#endif
