/* SPDX-License-Identifier: MIT */
/* What instrumented objects and the runtime know of each other: not for programs. */
#ifndef STATIC_CALL_OBJECT_H
#define STATIC_CALL_OBJECT_H

#ifndef STATIC_CALL_H
#error "include static_call.h instead"
#endif

/** What the runtime knows of one executable or shared object. */
struct __static_call_object {
	struct __static_call_object *next;
	const void *sites, *sites_end;
	const void *keys, *keys_end;
	static_call_fn return0;
	int registered;
};
extern void __static_call_rt_register(struct __static_call_object *object);
extern void __static_call_rt_unregister(struct __static_call_object *object);


/** Update one key. 0 or a negative errno. */
extern int __static_call_rt_update(struct static_call_key *key, static_call_fn func);
/** Direct every site to its key's target. 0 or a negative errno. */
extern int __static_call_rt_init(void);
/** One in the whole program. */
extern long __static_call_return0(void) __SC_VISIBLE;
/**
 * Never called: its call in cold text is what tells the compiler that a wrapper's function is no leaf, and that it
 * may change any variable: gcc 12's -fipa-reference (at -O2) does not know of an asm's "memory", and takes no notice
 * of calls that do not return either.
 */
extern void __static_call_cold(void) __attribute__((__cold__));

#endif
