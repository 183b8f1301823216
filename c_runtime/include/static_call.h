/* SPDX-License-Identifier: MIT */
/**
 * static_call.h - call a function through a key that rarely changes.
 *
 *     DECLARE_STATIC_CALL(key, func);          in a header: the key exists, it calls what func's type says
 *     DEFINE_STATIC_CALL(key, func);           in one C file: it calls func until it is updated
 *     DEFINE_STATIC_CALL_NULL(key, func);      ... it does nothing until it is updated
 *     DEFINE_STATIC_CALL_RET0(key, func);      ... it returns 0 until it is updated
 *     EXPORT_STATIC_CALL(key);                 behind it: other shared objects may call it and change it
 *     EXPORT_STATIC_CALL_TRAMP(key);           ... they may call it; an update there does not link
 *     static_call(key)(args)                   the call; static_call(key, args) is the same (2018 spelling; without
 *                                              arguments it needs -DSTATIC_CALL_2018), as is static_call_mod(key)(args)
 *     static_call_cond(key)(args)              for void functions and keys that may be NULL
 *     static_call_update(key, func)            0, or a negative errno and nothing has changed
 *     static_call_query(key)                   the current target; NULL where it is NULL
 *     static_call_init()                       direct all calls now; else each key's at its first update
 *     static_call_begin(&t)                    a transaction (struct static_call_transaction t): several keys at once
 *     static_call_queue(key, func, &t)         ... remembered; 0 or -ENOMEM, which the commit reports as well
 *     static_call_commit(&t)                   ... all of them, or an error and none; t is empty again either way
 *     static_call_abort(&t)                    ... none of them
 *     static_call_seal()                       no update any more, ever: they return -EPERM
 *     STATIC_CALL_KEY(key)                     the struct static_call_key; its trampoline is STATIC_CALL_TRAMP(key)
 *
 * The names and meanings are those of the Linux kernel. `func` feeds typeof in DECLARE_, _NULL and _RET0: any
 * expression or type whose type is the function's. This header alone makes every call an atomic load and a call
 * through the pointer, with any C11 compiler that has typeof, on any architecture. `instrument` copies the
 * sources so that the same text becomes a direct call, which the runtime patches (x86-64 Linux).
 *
 * What an update promises: when it returns 0, no thread enters the old function through the key any more. Threads
 * that are inside the old function are not waited for. To make a key return 0 again, update it to
 * (void *)__static_call_return0. static_call() of a key that is NULL is a mistake: it crashes, or does nothing and
 * returns garbage once instrumented; use static_call_cond(). Threads that call meanwhile may meet the new targets of
 * one transaction's keys at different moments.
 *
 * Do not test a key and then call it: static_call_query() and static_call() are two reads, and an update may come
 * between them. A void function that may be off is called by static_call_cond(); a function that returns a value gets
 * a target for "off": RET0, or a function that returns what the caller expects then.
 *
 * Errors, after which everything is as before (all but -ENOMEM and -EPERM only in instrumented programs):
 *     -ENOMEM      no memory
 *     -EPERM       sealed; or the kernel refuses what an update needs
 *     -EFAULT      func is not in executable memory
 *     -EINVAL      bytes stand at a call that nobody of us wrote
 *     -EBUSY       some thread blocks SIGTRAP, and this change cannot be made without it
 *     -EDEADLK     the thread is in an update already (in the handler of a fault of the update itself)
 *     -EOPNOTSUPP  the protocol that was asked for cannot make this change, or the program was rewritten (BOLT)
 *     -EXDEV       a key belongs to a copy of the runtime that the others cannot speak to
 * A change that one store cannot make goes by int3, and the kernel kills a thread that runs into one with SIGTRAP
 * blocked: who blocks it for a moment only, after the look, is not seen. So handlers and threads that call through keys
 * keep it open (sigdelset), or the program says STATIC_CALL_PROTOCOL=atomic. And a library that has a key's target and no
 * static calls of its own is not noticed when it is closed: update the key first. static_call_each_key() shows such
 * keys afterwards, as `lost`.
 *
 * -errno is also what mprotect or membarrier said. static_call_runtime.h tells where and why.
 */
#ifndef STATIC_CALL_H
#define STATIC_CALL_H

/** Any function, whatever its type. ISO C lets every function pointer pass through it and back (6.3.2.3 p8). */
typedef void (*static_call_fn)(void);

/** A number of things in memory; size_t under a name that no header is needed for. */
typedef __typeof__(sizeof(int)) static_call_size;

/** A key and what it is to call. */
struct static_call_change {
	struct static_call_key *key;
	static_call_fn func;
};

struct __static_call_object;
/**
 * One key. `func` is what the key calls; it is written last in an update and must be read atomically. `object` is
 * the executable or library that defines the key, NULL where calls go through the pointer: it leads an update to the
 * runtime, also before the object has been initialised.
 */
struct static_call_key {
	static_call_fn func;
	const struct __static_call_object *object;
};

/** Changes that are to happen together. Of two of one key the later one counts. Not for several threads at once. */
struct static_call_transaction {
	struct static_call_change *changes;
	static_call_size count, room;
	int error; /* what went wrong so far */
};

#define __SC_SECOND(a, b, ...) b
/*
 * Pick the second argument: `__SC_PICK(X, dflt, ~)` is `dflt`, unless X is a macro that begins with `~,`;
 * then it is what follows. That is how a generated header has its say for one key without #ifdef inside macros.
 */
#define __SC_PICK(...) __SC_SECOND(__VA_ARGS__)
#define __SC_CAT(a, b) __SC_CAT_(a, b)
#define __SC_CAT_(a, b) a##b
#define __SC_STR(a) __SC_STR_(a)
#define __SC_STR_(a) #a

#define __SC_VISIBLE __attribute__((__visibility__("default")))

#define STATIC_CALL_KEY(name) __SC_CAT(__SCK__, name)
#define STATIC_CALL_TRAMP(name) __SC_CAT(__SCT__, name)
#define STATIC_CALL_TRAMP_STR(name) __SC_STR(STATIC_CALL_TRAMP(name))

static __inline__ __attribute__((__unused__)) static_call_fn __static_call_load(const struct static_call_key *key)
{
	/* Pairs with the release in an update: who calls the new target sees what was written before the update. */
	return __atomic_load_n(&key->func, __ATOMIC_ACQUIRE);
}

#if defined STATIC_CALL_RUNTIME
/* The runtime itself: the types are enough. */
#else
#include "static_call_update.h"
#endif
/* STATIC_CALL_DIRECT comes from `instrument cc`, which may be asked to compile for any machine. */
#if defined STATIC_CALL_RUNTIME
#elif defined STATIC_CALL_INSTRUMENTED || \
	(defined STATIC_CALL_DIRECT && defined __x86_64__ && !defined __ILP32__ && defined __ELF__)
#include "static_call_x86_64.h"
#else
#include "static_call_pointer.h"
#endif

/*
 * Two spellings, told apart by the number of arguments: one is the kernel's callee, more are a whole call.
 * One argument can also be a 2018 call without arguments; no token tells, so a project that uses that says so
 * by -DSTATIC_CALL_2018, and then static_call(key) is always the call.
 */
#define __SC_COUNTED(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, \
		     a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, n, ...) n
#define __SC_SPELLING(...) \
	__SC_COUNTED(__VA_ARGS__, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, \
		     __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, \
		     __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, \
		     __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, __SC_MANY, \
		     __SC_ONE, ~)
#define __SC_MANY(name, ...) __SC_CALLEE(name)(__VA_ARGS__)
#ifdef STATIC_CALL_2018
#define __SC_ONE(name) __SC_CALLEE(name)()
#ifdef STATIC_CALL_PROBE
struct __scm_2018;
#endif
#else
#define __SC_ONE(name) __SC_CALLEE(name)
#endif

#define static_call(...) __SC_SPELLING(__VA_ARGS__)(__VA_ARGS__)
#define static_call_mod(name) __SC_CALLEE(name)
#define static_call_cond(name) (void)__SC_CALLEE_COND(name)
#define static_call_query(name) ((__typeof__(STATIC_CALL_TRAMP(name)) *)__static_call_load(&STATIC_CALL_KEY(name)))

/*
 * The conversion to the key's own pointer type is the type check: func, &func, NULL and a void pointer pass,
 * another function's type draws the compiler's own warning at the user's line.
 */
#define static_call_update(name, func) \
	__extension__({ \
		__typeof__(STATIC_CALL_TRAMP(name)) *__sc_target = (func); \
		__static_call_update(&STATIC_CALL_KEY(name), (void *)0, (void *)__sc_target); \
	})
#define static_call_queue(name, func, transaction) \
	__extension__({ \
		__typeof__(STATIC_CALL_TRAMP(name)) *__sc_target = (func); \
		__static_call_queue((transaction), &STATIC_CALL_KEY(name), (static_call_fn)__sc_target); \
	})

/*
 * Keys and trampolines have default visibility from their declaration on: clang ignores a visibility that comes
 * after the definition, where the kernel's order puts EXPORT_. So these are redeclarations that check the name; and
 * EXPORT_STATIC_CALL_TRAMP takes the key away from other objects of an instrumented program: they call, and an update
 * there does not link.
 */
#define EXPORT_STATIC_CALL(name) extern struct static_call_key STATIC_CALL_KEY(name)
#define EXPORT_STATIC_CALL_GPL(name) EXPORT_STATIC_CALL(name)
#define EXPORT_STATIC_CALL_TRAMP(name) \
	extern __typeof__(STATIC_CALL_TRAMP(name)) STATIC_CALL_TRAMP(name); \
	__SC_HIDE_KEY(name) struct static_call_key
#define EXPORT_STATIC_CALL_TRAMP_GPL(name) EXPORT_STATIC_CALL_TRAMP(name)

#endif
