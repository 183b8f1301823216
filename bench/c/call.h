/* SPDX-License-Identifier: MIT */
/*
 * One program has every way to call: the same loops compiled as pointers (static_call.h alone), through `instrument cc`
 * in each mode, and with static_call() meaning something else (HARD, IFUNC, SWITCH). So all of them are timed in one
 * process, on the same keys.
 */
#ifndef BENCH_CALL_H
#define BENCH_CALL_H

#include <static_call.h>

void target_empty(void);
int target_small(int x);
unsigned long target_real(const unsigned long *block);
int target_far(int x); /* in a library, more than 2 GiB away */
long target_zero(void);
int target_constant(void);

DECLARE_STATIC_CALL(empty, target_empty);
DECLARE_STATIC_CALL(small, target_small);
DECLARE_STATIC_CALL(real, target_real);
DECLARE_STATIC_CALL(far, target_far);
DECLARE_STATIC_CALL(hook, target_empty); /* NULL */
DECLARE_STATIC_CALL(zero, target_zero);  /* RET0 */
DECLARE_STATIC_CALL(constant, target_constant);

/* For pointers that change between calls: one of four functions, in an order that nothing predicts. */
#define POLY_LENGTH 65536
extern unsigned char poly_order[POLY_LENGTH];
extern int (*poly_targets[4])(int x);

/* One loop: so many calls in each of its turns; `cold` ones time each turn and leave ticks in cold_ticks. */
struct loop {
	const char *name, *way;
	int copy, calls, cold;
	void (*run)(long turns);
};
#define COLD_TURNS 8
extern unsigned long cold_ticks[COLD_TURNS];
void evict(void); /* whatever is in the caches near a processor */

#define LOOP(title, function, calls, cold) \
	static const struct loop loop_##function = { title, WAY, COPY, calls, cold, function }; \
	static const struct loop *const entry_##function \
		__attribute__((__section__("bench_loops"), __used__)) = &loop_##function

#define STRING(x) STRING_(x)
#define STRING_(x) #x
/* Each copy of a loop begins at another place of a cache line. */
#define PAD __asm__ volatile(".skip 16 * " STRING(COPY) ", 0x90")
#define TURNED static __attribute__((__noinline__, __aligned__(64))) void

#endif
