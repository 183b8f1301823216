/* SPDX-License-Identifier: MIT */
/**
 * static_call_runtime.h - what a program may ask of the patching runtime and tell it. x86-64 Linux; needs the
 * runtime linked in (`instrument --libs`). Nothing here is needed to call or to update.
 *
 * Structures only grow at the end. Each call says how large the caller's is, so that a program works with an older
 * runtime (what that does not know is 0) and a newer one.
 */
#ifndef STATIC_CALL_RUNTIME_H
#define STATIC_CALL_RUNTIME_H

#include "static_call.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How call sites are changed while threads run through them (docs/runtime.md). */
enum static_call_protocol {
	/** The runtime chooses for each site; static_call_protocol_reason() tells how. */
	STATIC_CALL_AUTO,
	/**
	 * int3 on the first byte; a thread that traps is sent to the new target, its return address pushed. (A thread
	 * with a shadow stack goes on as in INT3_STUB.)
	 */
	STATIC_CALL_INT3_PUSH,
	/** int3 on the first byte; a thread that traps goes on behind it, at the call that stands there. */
	STATIC_CALL_INT3_RESUME,
	/** int3 on the first byte; a thread that traps makes the call in cold text of the site's own. */
	STATIC_CALL_INT3_STUB,
	/**
	 * One aligned store a site. Where the processor's manual promises nothing for more, only targets change: a site
	 * whose key is NULL or returns 0 goes on calling, its trampoline. A compact site whose displacement is not aligned
	 * stays on its trampoline; -EOPNOTSUPP if another protocol has directed it before.
	 */
	STATIC_CALL_ATOMIC,
};

/**
 * Choose the protocol for the updates from now on. The environment variable STATIC_CALL_PROTOCOL (auto, int3-push,
 * int3-resume, int3-stub, atomic) sets the one to start with.
 * Returns 0; -EINVAL for a value that is none of the above; -EDEADLK in a handler of an update's own fault.
 */
int static_call_set_protocol(enum static_call_protocol protocol) __SC_VISIBLE;

/** Why `auto` does what it does on this processor, or what was asked for: one line, never NULL. */
const char *static_call_protocol_reason(void) __SC_VISIBLE;

/**
 * Whether a target whose whole body returns a constant is put into the sites as that constant, and an empty one as
 * nothing (off; STATIC_CALL_FOLD=1 in the environment turns it on). Such a call no longer reaches the function: a
 * breakpoint or a probe there sees nothing. Of the updates from now on.
 * Returns 0, or -EDEADLK in a handler of an update's own fault.
 */
int static_call_set_folding(int on) __SC_VISIBLE;

/**
 * Say that threads which block SIGTRAP make no static calls while they do, so that updates need not avoid an int3 that
 * would kill them (off; STATIC_CALL_BLOCKED=trust in the environment turns it on). For programs whose libraries have
 * such threads: glibc's own for timers and notifications by SIGEV_THREAD, aio and getaddrinfo_a(). A thread that calls
 * all the same, also by a function that is a key elsewhere, kills the process if it meets an int3.
 * Returns 0, or -EDEADLK in a handler of an update's own fault.
 */
int static_call_trust_blocked_threads(int on) __SC_VISIBLE;

/** How text was written. */
enum static_call_write {
	STATIC_CALL_WRITE_NONE,     /* nothing has been written yet */
	STATIC_CALL_WRITE_MPROTECT, /* pages made writable for the length of an update */
	STATIC_CALL_WRITE_PROC_MEM, /* /proc/self/mem, where mprotect is refused; every change by int3 then */
	STATIC_CALL_WRITE_SLOT,     /* not at all: trampolines jump through pointers in data (-DSTATIC_CALL_SLOTS) */
};

/** What the runtime has done since the program began. Counters of one moment, read without a lock. */
struct static_call_statistics {
	/** Sites and trampolines known after the last update. */
	unsigned long sites, trampolines;
	/** Updates (a transaction is one) that succeeded, and those that failed. */
	unsigned long updates, failures;
	/** Instructions changed by one store, and by int3. */
	unsigned long atomic_pokes, int3_pokes;
	/** Core synchronisations, and system calls that change a page's protection. */
	unsigned long synchronisations, protections;
	/** Times that a thread ran into an int3 of ours, and that it found the int3 gone. */
	unsigned long traps, stale_traps;
	/** The last update's way to write text: enum static_call_write. */
	unsigned long write;
	/* Fallbacks, by reason: how often a site or an update did not get the form or the way that was wanted. */
	/** Sites left calling their trampoline: the target is more than 2 GiB away. */
	unsigned long far_targets;
	/** Sites left on their trampoline: the change is not safe there, in the protocol or layout; NULL or a constant, mostly. */
	unsigned long kept_calls;
	/** Sites that stay on their trampoline: their key belongs to another copy of the runtime. */
	unsigned long foreign_sites;
	/** Updates made without int3, since some thread blocks SIGTRAP, or since a debugger would get it. */
	unsigned long without_int3;
	/** Synchronisations by a signal to each thread, without membarrier. */
	unsigned long signalled;
	/** Updates that had to write by /proc/self/mem, or to a slot, since mprotect is refused. */
	unsigned long without_mprotect;
	/** Updates that found an interrupted one (its thread was killed) and repaired it first. */
	unsigned long repairs;
	/** Keys whose target went away with a library that was closed, as far as it was seen: static_call_each_key(). */
	unsigned long lost_targets;
	/** Bare sites left on their trampoline: their displacement crosses a cache line. */
	unsigned long crossing_sites;
};
void __static_call_rt_statistics(struct static_call_statistics *out, static_call_size size) __SC_VISIBLE;
static __inline__ __attribute__((__unused__)) void static_call_statistics(struct static_call_statistics *out)
{
	__static_call_rt_statistics(out, sizeof(*out));
}

/** The last obstacle: what stopped an update, or what one that succeeded went around. All zero (and "") if none. */
struct static_call_failure {
	int error;                         /* the negative errno that was, or would have been, returned */
	const char *what;                  /* one line: what was refused or found; never NULL */
	const void *address;               /* the site or trampoline, or the target that it is about; or NULL */
	const struct static_call_key *key; /* the key that it is about, or NULL */
};
void __static_call_rt_last_failure(struct static_call_failure *out, static_call_size size) __SC_VISIBLE;
static __inline__ __attribute__((__unused__)) void static_call_last_failure(struct static_call_failure *out)
{
	__static_call_rt_last_failure(out, sizeof(*out));
}

/** What stands at a call site now. */
enum static_call_form {
	STATIC_CALL_UNKNOWN,  /* bytes that the runtime did not write */
	STATIC_CALL_CALL,     /* a call of `target` */
	STATIC_CALL_NOP,      /* nothing: the key is NULL */
	STATIC_CALL_CONSTANT, /* mov $constant, %eax */
	STATIC_CALL_JUMP,     /* a tail call of `target` */
	STATIC_CALL_RETURN,   /* ret: a tail call, and the key is NULL */
	STATIC_CALL_BRANCH,   /* a conditional tail call of `target` */
};

/** How many prefixes a site has, so how it may change (docs/runtime.md); BARE: none, as the compiler left it. */
enum static_call_layout { STATIC_CALL_COMPACT, STATIC_CALL_ALIGNED, STATIC_CALL_BARE };

struct static_call_site_info {
	const struct static_call_key *key;
	const void *address; /* its first byte */
	enum static_call_form form;
	enum static_call_form kind; /* how it goes to a target: _CALL, _JUMP or _BRANCH */
	enum static_call_layout layout;
	const void *target;         /* where it goes: a function, or the trampoline; else NULL */
	unsigned int constant;      /* of STATIC_CALL_CONSTANT */
	int by_trampoline;          /* whether it goes by the trampoline */
};

struct static_call_key_info {
	const struct static_call_key *key;
	const char *name;
	const void *trampoline;
	static_call_fn target; /* what the key calls; NULL where it is NULL */
	unsigned long sites;   /* how many the runtime knows */
	/*
	 * Whether the target went away: a call aborts, where the runtime saw the library close (`lost_targets`), or crashes,
	 * where it had no static calls. Not seen once something else is mapped executable at the target's address.
	 */
	int lost;
};

/**
 * Call visit for each key, or each call site of one key (of all keys where key is NULL), until it returns other than
 * 0. What it is told was so when the call began; visit may update and call, and everything else.
 * Returns what the last visit returned, or a negative errno; 0 where there is nothing to visit.
 */
int __static_call_rt_each_key(int (*visit)(const struct static_call_key_info *, void *), void *argument,
			      static_call_size size) __SC_VISIBLE;
int __static_call_rt_each_site(const struct static_call_key *key,
			       int (*visit)(const struct static_call_site_info *, void *), void *argument,
			       static_call_size size) __SC_VISIBLE;
static __inline__ __attribute__((__unused__)) int
static_call_each_key(int (*visit)(const struct static_call_key_info *, void *), void *argument)
{
	return __static_call_rt_each_key(visit, argument, sizeof(struct static_call_key_info));
}
static __inline__ __attribute__((__unused__)) int
static_call_each_site(const struct static_call_key *key, int (*visit)(const struct static_call_site_info *, void *),
		      void *argument)
{
	return __static_call_rt_each_site(key, visit, argument, sizeof(struct static_call_site_info));
}

#ifdef __cplusplus
}
#endif

#endif
