/* SPDX-License-Identifier: MIT */
/* The loops over one key, once a way and copy: -DWAY="..." -DCOPY=n. */
#include "call.h"
#include "call_ways.h"

#define EIGHT(call) do { call; call; call; call; call; call; call; call; } while (0)

TURNED empty_loop(long turns)
{
	PAD;
	for (; turns; turns--)
		EIGHT(static_call(empty)());
}
LOOP("empty", empty_loop, 8, 0);

TURNED small_loop(long turns)
{
	int x = 1;

	PAD;
	for (; turns; turns--)
		EIGHT(x = static_call(small)(x));
	__asm__ volatile("" : : "r"(x));
}
LOOP("small", small_loop, 8, 0);

TURNED real_loop(long turns)
{
	static unsigned long block[8];

	PAD;
	for (; turns; turns--)
		EIGHT(block[0] = static_call(real)(block));
}
LOOP("64-byte hash", real_loop, 8, 0);

TURNED far_loop(long turns)
{
	int x = 1;

	PAD;
	for (; turns; turns--)
		EIGHT(x = static_call(far)(x));
	__asm__ volatile("" : : "r"(x));
}
LOOP("small, far", far_loop, 8, 0);

TURNED hook_loop(long turns)
{
	PAD;
	for (; turns; turns--)
		EIGHT(HOOK(hook));
}
LOOP("NULL", hook_loop, 8, 0);

TURNED zero_loop(long turns)
{
	long sum = 0;

	PAD;
	for (; turns; turns--)
		EIGHT(sum += static_call(zero)());
	__asm__ volatile("" : : "r"(sum));
}
LOOP("RET0", zero_loop, 8, 0);

TURNED constant_loop(long turns)
{
	int sum = 0;

	PAD;
	for (; turns; turns--)
		EIGHT(sum += static_call(constant)());
	__asm__ volatile("" : : "r"(sum));
}
LOOP("constant", constant_loop, 8, 0);

TURNED poly_loop(long turns)
{
	static unsigned at;
	int x = 1;

	PAD;
	for (; turns; turns--, at++)
		x = POLY(x, at % POLY_LENGTH);
	__asm__ volatile("" : : "r"(x));
}
LOOP("mispredicted", poly_loop, 1, 0);

/* That many calls lie at every place of a cache line anyway. */
#if !COPY
#include "call_keys_loops.h"
#endif
