/* SPDX-License-Identifier: MIT */
/**
 * static_call_runtime.h - what a program may ask of the patching runtime and tell it. x86-64 Linux; needs the
 * runtime linked in (`instrument --libs`). Nothing here is needed to call or to update.
 */
#ifndef STATIC_CALL_RUNTIME_H
#define STATIC_CALL_RUNTIME_H

/** How call sites are changed while threads run through them (docs/design.md, section 6). */
enum static_call_protocol {
	/** The runtime chooses for each site; static_call_protocol_reason() tells how. */
	STATIC_CALL_AUTO,
	/** int3 on the first byte; a thread that traps is sent to the new target, its return address pushed. */
	STATIC_CALL_INT3_PUSH,
	/** int3 on the first byte; a thread that traps finishes the rest itself and returns to it. */
	STATIC_CALL_INT3_RESUME,
	/**
	 * One aligned store a site. Refuses with -EOPNOTSUPP what a store cannot do: compact sites, and, on processors
	 * whose manual promises nothing for it, a trampoline's change between function, far function and NULL.
	 */
	STATIC_CALL_ATOMIC,
};

/**
 * Choose the protocol for the updates from now on. The environment variable STATIC_CALL_PROTOCOL (auto, int3-push,
 * int3-resume, atomic) sets the one to start with.
 * Returns 0; -EINVAL for a value that is none of the above; -EDEADLK in a handler of an update's own fault.
 */
int static_call_set_protocol(enum static_call_protocol protocol);

/** Why `auto` does what it does on this processor, or what was asked for: one line, never NULL. */
const char *static_call_protocol_reason(void);

/** What the runtime has done since the program began. Counters of one moment, read without a lock. */
struct static_call_statistics {
	/** Sites and trampolines known after the last update. */
	unsigned long sites, trampolines;
	/** Updates that succeeded, and those that failed. */
	unsigned long updates, failures;
	/** Instructions changed by one store, and by int3. */
	unsigned long atomic_pokes, int3_pokes;
	/** Core synchronisations, and changes of page protection (each a pair of system calls). */
	unsigned long synchronisations, protections;
	/** Times that a thread ran into an int3 of ours, and that it found the int3 gone. */
	unsigned long traps, stale_traps;
};
void static_call_statistics(struct static_call_statistics *out);

#endif
