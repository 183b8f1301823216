/* SPDX-License-Identifier: MIT */
/*
 * The plain flavour: a static call is an atomic load and a call through the pointer. Included by static_call.h.
 *
 * With -DSTATIC_CALL_PROBE each declaration leaves a variable that `instrument` reads from the debug information
 * to learn the key's type, and each definition one that leads to the initial target's symbol.
 */
#ifndef STATIC_CALL_H
#error "include static_call.h instead"
#endif

/*
 * One address in the whole program, since programs compare it: weak, so that every object may hold one and
 * they fall together, also with the runtime's own.
 */
__attribute__((__weak__, __visibility__("default"))) long __static_call_return0(void);
long __static_call_return0(void)
{
	return 0;
}

static __inline__ __attribute__((__unused__)) void __static_call_nop(void)
{
}

static __inline__ __attribute__((__unused__)) static_call_fn
__static_call_load_cond(const struct static_call_key *key)
{
	static_call_fn func = __static_call_load(key);

	return func ? func : __static_call_nop;
}

#define STATIC_CALL_TRAMP_ADDR(name) ((void *)0)
#define __SC_HIDE_KEY(name)

/* In this flavour the trampoline is only a name that carries the type; it is never defined. */
#define __SC_DECLARE(name, func) \
	extern struct static_call_key STATIC_CALL_KEY(name) __SC_VISIBLE; \
	extern __typeof__(func) STATIC_CALL_TRAMP(name)

#ifdef STATIC_CALL_PROBE
/* -mlong-double-128 does not show in debug information, which has a size and a name alone. */
struct __SC_CAT(__scm_, __LDBL_MANT_DIG__);
/* Where `instrument` must leave calls to the compiler. */
#ifdef __EXCEPTIONS
struct __scm_exceptions;
#endif
#ifdef __AVX512F__
struct __scm_avx512;
#endif

#define DECLARE_STATIC_CALL(name, func) \
	__SC_DECLARE(name, func); \
	static __typeof__(func) *__SC_CAT(__scp_, name) __attribute__((__used__))
#define __SC_PROBE_TARGET(name, func) \
	; \
	static static_call_fn __SC_CAT(__sci_, name) __attribute__((__used__)) = (static_call_fn)(func)
#else
#define DECLARE_STATIC_CALL(name, func) __SC_DECLARE(name, func)
#define __SC_PROBE_TARGET(name, func)
#endif

#define DEFINE_STATIC_CALL(name, func) \
	DECLARE_STATIC_CALL(name, func); \
	struct static_call_key STATIC_CALL_KEY(name) = { (static_call_fn)(func), 0 } __SC_PROBE_TARGET(name, func)
#define DEFINE_STATIC_CALL_NULL(name, func) \
	DECLARE_STATIC_CALL(name, func); \
	struct static_call_key STATIC_CALL_KEY(name) = { (static_call_fn)0, 0 }
#define DEFINE_STATIC_CALL_RET0(name, func) \
	DECLARE_STATIC_CALL(name, func); \
	struct static_call_key STATIC_CALL_KEY(name) = { (static_call_fn)__static_call_return0, 0 }

#define __SC_CALLEE(name) ((__typeof__(STATIC_CALL_TRAMP(name)) *)__static_call_load(&STATIC_CALL_KEY(name)))
#define __SC_CALLEE_COND(name) \
	((__typeof__(STATIC_CALL_TRAMP(name)) *)__static_call_load_cond(&STATIC_CALL_KEY(name)))
