/* SPDX-License-Identifier: MIT */
/*
 * What the runtime's parts know of each other. Built as one file (static_call_runtime.c), so everything but the
 * API is static. An update goes through the parts from top to bottom:
 *
 *   update.c   one call of static_call_update(): lock, plan, check, carry out, publish
 *   policy.c   which protocol a change takes, and why
 *   index.c    which sites and trampolines a key has
 *   object.c   the linked objects whose tables the index is made of
 *   poke.c     changes instructions while threads run through them
 *   trap.c     what a thread does that runs into an int3 meanwhile
 *   text.c     makes pages of text writable and not
 *   sync.c     core synchronisation
 *   insn.c     the bytes of each form
 *   memory.c   arrays that grow; no malloc, since a key may be the allocator
 */
#ifndef STATIC_CALL_RUNTIME_INTERNAL_H
#define STATIC_CALL_RUNTIME_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATIC_CALL_RUNTIME
#include "../include/static_call.h"
#include "../include/static_call_runtime.h"
#include "../include/static_call_object.h"

/* ---- memory.c ---- */

/* An array of items of one size, from mmap; it grows and never shrinks. */
struct array {
	void *items;
	size_t count, room;
};
/* Room for `count` items of `size` bytes; the items there are kept. 0 or -ENOMEM. */
static int array_reserve(struct array *array, size_t count, size_t size);
/* Sort ascending; stable; `scratch` is grown as needed. 0 or -ENOMEM. */
static int array_sort(struct array *array, struct array *scratch, size_t size,
		      int (*compare)(const void *, const void *));

/* ---- insn.c ---- */

#define PREFIX 0x2e
#define INT3 0xcc
#define WORD 8

enum form {
	FORM_UNKNOWN,
	FORM_CALL,      /* e8 rel32 */
	FORM_NOP,       /* 0f 1f 44 00 00 */
	FORM_CONSTANT,  /* b8 imm32 */
	FORM_JUMP,      /* e9 rel32, a trampoline */
	FORM_JUMP_SLOT, /* ff 25 disp32, a trampoline */
	FORM_RETURN,    /* c3, a trampoline */
};

/* One instruction: its bytes in memory order in the low `length` bytes of `word`, the rest zero. */
struct insn {
	uint64_t word;
	enum form form;
	/* Where a call or jump goes, the constant of FORM_CONSTANT, the slot's address of FORM_JUMP_SLOT. */
	uintptr_t operand;
};

static struct insn insn_read_site(uintptr_t address, unsigned prefixes);
static struct insn insn_read_tramp(uintptr_t address);
static struct insn insn_make_site(uintptr_t address, unsigned prefixes, enum form form, uintptr_t operand);
static struct insn insn_make_tramp(uintptr_t address, enum form form, uintptr_t operand);
/* Whether a five-byte branch that ends at `end` reaches `target`. */
static bool insn_reaches(uintptr_t end, uintptr_t target);

/* ---- object.c ---- */

/*
 * The update lock: objects, index and pokes change under it alone. Signals are blocked with it, so that a handler
 * cannot interrupt an update and wait for itself; not those that this thread raises itself, SIGTRAP among them.
 * 0, or -EDEADLK in a thread that has it.
 */
static int update_begin(sigset_t *blocked);
static void update_end(const sigset_t *blocked);

static struct __static_call_object *objects(void);
/* Changes with every object that comes or goes. */
static unsigned long objects_generation(void);
/* Whether func is __static_call_return0 of this program or of a library that has its own copy. */
static bool objects_return0(static_call_fn func);

/* ---- index.c ---- */

struct site {
	uintptr_t address;
	struct static_call_key *key;
	uintptr_t home; /* where the linker made it go: the trampoline, or the PLT entry that leads there */
	uint8_t prefixes;
	bool rested; /* a thread may rest one past the first byte: the core stays a call for ever (I2) */
};

struct tramp {
	uintptr_t address;
	struct static_call_key *key;
	static_call_fn *slot;
};

/* Bring the index up to date with the objects. 0, -ENOMEM, or -EINVAL for a site with unexpected bytes. */
static int index_refresh(void);
static struct site *index_sites(const struct static_call_key *key, size_t *count);
static struct tramp *index_tramps(const struct static_call_key *key, size_t *count);
/* Every trampoline, those of one key side by side. */
static const struct tramp *index_all_tramps(size_t *count);
/* An object leaves: what is remembered of its sites is void, whatever comes to lie at their addresses. */
static void index_forget(const struct __static_call_object *object);

/* ---- policy.c ---- */

/* How one instruction is changed. */
enum how { HOW_STORE, HOW_PUSH, HOW_RESUME, HOW_REFUSED };

/* Whether a site must stay a call, going by its trampoline where it would be a nop or a constant. */
static bool policy_keeps_call(const struct site *site, enum form now);
static enum how policy_site(const struct site *site, enum form from, enum form to);
static enum how policy_tramp(enum form from, enum form to);

/* ---- poke.c ---- */

struct poke {
	uintptr_t address;
	struct insn from, to;
	uintptr_t target; /* where a thread that traps is to go on, for calls and jumps */
	struct site *site; /* NULL for a trampoline */
	uint8_t length;
	uint8_t how; /* enum how */
};

/* Carry out pokes, sorted by address, in pages that are writable. 0 or -errno, and all is as before. */
static int poke_all(struct poke *pokes, size_t count);

/* Store the last four bytes of an instruction, a call's displacement. */
static void poke_displacement(const struct poke *poke, uint64_t word);

/* ---- trap.c ---- */

/* Have SIGTRAP come to us first. 0 or -errno. */
static int trap_install(void);
/* From here on a thread that runs into one of these goes on by the new instruction; pages are writable. */
static void trap_publish(const struct poke *pokes, size_t count);
/* Returns when no thread reads the pokes any more. */
static void trap_retire(void);

/* ---- text.c ---- */

/* Make the pages of all pokes (sorted by address) writable, one change a range. 0 or -errno, nothing changed. */
static int text_open(const struct poke *pokes, size_t count);
static void text_close(void);
/*
 * One store to text that is open. By asm: ThreadSanitizer would first write its shadow, which it has mapped
 * read-only for text, and clang instruments atomics even where no_sanitize says not to.
 */
static inline void text_store_byte(uintptr_t address, uint8_t value)
{
	__asm__ volatile("mov{b} {%1, %0|%0, %1}" : "=m"(*(uint8_t *)address) : "q"(value));
}

static inline void text_store_long(uintptr_t address, uint32_t value)
{
	__asm__ volatile("mov{l} {%1, %0|%0, %1}" : "=m"(*(uint32_t *)address) : "r"(value));
}

static inline void text_store_word(uintptr_t address, uint64_t value)
{
	__asm__ volatile("mov{q} {%1, %0|%0, %1}" : "=m"(*(uint64_t *)address) : "r"(value));
}

/* ---- sync.c ---- */

/* Tell the kernel that this process will synchronise; cheap while there is one thread (milliseconds later). */
static void sync_register(void);
/* 0 if sync_cores() can work here, else -errno. */
static int sync_ready(void);
/* On return every core that runs this process has gone through a serialising instruction. 0 or -errno. */
static int sync_cores(void);

/* ---- update.c ---- */

/* Keys of an object that has just come may have been updated before it, or begin with a NULL that nobody knew of. */
static void update_arrivals(const struct __static_call_object *object);

static struct static_call_statistics statistics;
/* Counted by the thread that holds the update lock; read by anyone. */
#define COUNT(field, n) __atomic_store_n(&statistics.field, statistics.field + (n), __ATOMIC_RELAXED)

#endif
