/* SPDX-License-Identifier: MIT */
/* The keys and what they call. */
#include "call.h"

void target_empty(void) {}
int target_small(int x) { return 3 * x + 1; }
long target_zero(void) { return 0; }
int target_constant(void) { return 42; }

static inline unsigned long rotated(unsigned long x) { return x << 31 | x >> 33; }
#define HASH(name, first) \
	unsigned long name(const unsigned long *block) \
	{ \
		unsigned long hash = first; \
		for (int i = 0; i < 8; i++) \
			hash = rotated(hash + block[i] * 0xc2b2ae3d27d4eb4f) * 0x9e3779b185ebca87; \
		return hash ^ hash >> 29; \
	}
HASH(target_real, 0x27d4eb2f165667c5)

DEFINE_STATIC_CALL(empty, target_empty);
DEFINE_STATIC_CALL(small, target_small);
DEFINE_STATIC_CALL(real, target_real);
DEFINE_STATIC_CALL(far, target_far);
DEFINE_STATIC_CALL_NULL(hook, target_empty);
DEFINE_STATIC_CALL_RET0(zero, target_zero);
DEFINE_STATIC_CALL(constant, target_constant);

/* What the other branches of a switch lead to. */
void other_empty(void);
int other_small(int x), third_small(int x), last_small(int x);
unsigned long other_real(const unsigned long *block);
long other_zero(void);
int other_constant(void);
void other_empty(void) { __asm__ volatile(""); }
int other_small(int x) { return 3 * x + 2; }
int third_small(int x) { return 3 * x + 3; }
int last_small(int x) { return 3 * x + 4; }
HASH(other_real, 1)
long other_zero(void) { return 1; }
int other_constant(void) { return 43; }

int (*poly_targets[4])(int x) = { target_small, other_small, third_small, last_small };
int choice;

#define IFUNC(result, name, parameters) \
	static void *resolve_##name(void) { return (void *)target_##name; } \
	result ifunc_##name parameters __attribute__((__ifunc__("resolve_" #name)))
IFUNC(void, empty, (void));
IFUNC(int, small, (int x));
IFUNC(unsigned long, real, (const unsigned long *block));
IFUNC(int, far, (int x));
IFUNC(long, zero, (void));
IFUNC(int, constant, (void));
