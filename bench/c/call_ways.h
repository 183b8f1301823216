/* SPDX-License-Identifier: MIT */
/* What static_call() means in the ways that are not static calls. Included last. */

/* A hook that may be NULL, as one writes it with a pointer. */
#define HOOK(key) static_call_cond(key)()
#define POLY(x, at) (__extension__({ \
		__asm__ volatile("" : : "r"(poly_order[at])); \
		static_call(small)(x); \
	}))

#if defined HARD
#undef static_call
#undef static_call_cond
#define static_call(key) target_##key
#define target_hook target_empty
#undef HOOK
#define HOOK(key) target_empty()

#elif defined IFUNC
#undef static_call
#undef HOOK
#define static_call(key) ifunc_##key
#define HOOK(key) ifunc_empty()
void ifunc_empty(void);
int ifunc_small(int x);
unsigned long ifunc_real(const unsigned long *block);
int ifunc_far(int x);
long ifunc_zero(void);
int ifunc_constant(void);

#elif defined SWITCH
#undef static_call
#undef HOOK
#undef POLY
#define static_call(key) switch_##key
#define HOOK(key) switch_hook()
#define POLY(x, at) switch_on_small(poly_order[at], x)
extern int choice;
int other_small(int x), third_small(int x), last_small(int x);
void other_empty(void);
unsigned long other_real(const unsigned long *block);
long other_zero(void);
int other_constant(void);
#define CHOICE __atomic_load_n(&choice, __ATOMIC_RELAXED)
#define INLINE static inline __attribute__((__always_inline__, __unused__))
INLINE int switch_on_small(int which, int x)
{
	switch (which) {
	case 0: return target_small(x);
	case 1: return other_small(x);
	case 2: return third_small(x);
	default: return last_small(x);
	}
}
INLINE int switch_small(int x) { return switch_on_small(CHOICE, x); }
INLINE void switch_empty(void)
{
	if (CHOICE)
		other_empty();
	else
		target_empty();
}
INLINE void switch_hook(void)
{
	if (CHOICE)
		target_empty();
}
INLINE unsigned long switch_real(const unsigned long *block) { return CHOICE ? other_real(block) : target_real(block); }
INLINE int switch_far(int x) { return CHOICE ? other_small(x) : target_far(x); }
INLINE long switch_zero(void) { return CHOICE ? other_zero() : target_zero(); }
INLINE int switch_constant(void) { return CHOICE ? other_constant() : target_constant(); }

#elif defined POINTER
#undef HOOK
#undef POLY
#define HOOK(key) do { \
		__typeof__(static_call_query(key)) hook_now = static_call_query(key); \
		if (hook_now) \
			hook_now(); \
	} while (0)
#define POLY(x, at) __atomic_load_n(&poly_targets[poly_order[at]], __ATOMIC_ACQUIRE)(x)
#endif
