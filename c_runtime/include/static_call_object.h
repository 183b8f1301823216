/* SPDX-License-Identifier: MIT */
/* What instrumented objects and the runtime know of each other: not for programs. */
#ifndef STATIC_CALL_OBJECT_H
#define STATIC_CALL_OBJECT_H

#ifndef STATIC_CALL_H
#error "include static_call.h instead"
#endif

#ifdef STATIC_CALL_RUNTIME
#define __SC_RUNTIME __SC_VISIBLE
#else
#define __SC_RUNTIME __attribute__((__weak__)) __SC_VISIBLE
#endif

/* The version of all that objects and runtimes know of each other; it changes when a structure here or a record does. */
#define __SC_ABI 1

/** What an executable or shared object tells the runtime: constant, and read-only after relocation. */
struct __static_call_object {
	unsigned int version, size; /* __SC_ABI, and of this structure */
	/* Carry out all changes or none. 0 or a negative errno. */
	int (*commit)(const struct static_call_change *changes, static_call_size count);
	const void *sites, *sites_end;
	const void *keys, *keys_end;
	static_call_fn return0;
};
extern void __static_call_rt_register(const struct __static_call_object *object) __SC_VISIBLE;
extern void __static_call_rt_unregister(const struct __static_call_object *object) __SC_VISIBLE;

extern int __static_call_rt_commit(const struct static_call_change *changes, static_call_size count) __SC_VISIBLE;
/** Direct every site to its key's target. 0 or a negative errno. Weak: a program without the runtime has neither. */
extern int __static_call_rt_init(void) __SC_RUNTIME;
/** No update any more. 0 or a negative errno. */
extern int __static_call_rt_seal(void) __SC_RUNTIME;
/** One in the whole program. */
extern long __static_call_return0(void) __SC_VISIBLE;
/**
 * Never called: its call in cold text is what tells the compiler that a wrapper's function is no leaf, and that it
 * may change any variable: gcc 12's -fipa-reference (at -O2) does not know of an asm's "memory", and takes no notice
 * of calls that do not return either.
 */
extern void __static_call_cold(void) __attribute__((__cold__)) __SC_VISIBLE;

#endif
