/* SPDX-License-Identifier: MIT */
/*
 * What the runtime's parts know of each other. Built as one file (static_call_runtime.c), so everything but the
 * API is static. An update goes through the parts from top to bottom:
 *
 *   update.c   an update: lock, plan, carry out, publish; or put everything back
 *   lock.c     one update at a time, whatever signals, forks and killed threads do
 *   journal.c  what the update is about
 *   plan.c     what each site and trampoline is to become
 *   target.c   what may be called, and what is so small that it need not be
 *   policy.c   which protocol a change takes, and why
 *   index.c    which sites and trampolines a key has
 *   object.c   the linked objects whose tables the index is made of
 *   library.c  keys that lead into libraries that come and go
 *   poke.c     changes instructions while threads run through them
 *   trap.c     what a thread does that runs into an int3 meanwhile
 *   pages.c    makes text and keys writable and not
 *   sync.c     core synchronisation
 *   threads.c  the process's other threads: what they block, and how to interrupt each
 *   proc.c     what /proc says, line by line
 *   insn.c     the bytes of each form
 *   memory.c   arrays that grow; no malloc, since a key may be the allocator
 *   inspect.c  what a program may ask
 *   describe.c where tools find all that from outside
 */
#ifndef STATIC_CALL_RUNTIME_INTERNAL_H
#define STATIC_CALL_RUNTIME_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STATIC_CALL_RUNTIME
#include "../include/static_call.h"
#include "../include/static_call_runtime.h"
#include "../include/static_call_object.h"

#define PAGE ((uintptr_t)4096)

/* Valgrind runs one thread at a time, and must be told that text has changed. */
#if defined __has_include && __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_DISCARD_TRANSLATIONS(address, length) ((void)(address), (void)(length))
#endif

/*
 * An updater may be killed at any instruction, and the next one goes by what it left: what is stored before this is
 * there before what is stored behind it. (No other thread reads meanwhile: only the compiler must not exchange them.)
 */
#define IN_ORDER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* ---- inspect.c ---- */

static struct static_call_statistics statistics;
/* Counted by the thread that holds the update lock; read by anyone. */
#define COUNT(field, n) __atomic_store_n(&statistics.field, statistics.field + (unsigned long)(n), __ATOMIC_RELAXED)

/* Remember why an update fails; returns the error. Under the update lock. */
static int fail(int error, const char *what, uintptr_t address, const struct static_call_key *key);

/* ---- memory.c ---- */

/* An array of items of one size, from mmap; it grows and never shrinks. */
struct array {
	void *items;
	size_t count;
	size_t room; /* in bytes */
};
/* Room for `count` items of `size` bytes; the items there are kept. 0 or -ENOMEM. */
static int array_reserve(struct array *array, size_t count, size_t size);
static void array_free(const struct array *array);
/* Sort ascending; stable. Under the update lock. 0 or -ENOMEM. */
static int array_sort(struct array *array, size_t size, int (*compare)(const void *, const void *));
/* For items that begin with an address, or a pointer. */
static int array_by_address(const void *a, const void *b);
/* How many of the sorted items are below `wanted`. Async-signal-safe. */
static size_t array_lower_bound(const void *items, size_t count, size_t size, const void *wanted,
				int (*compare)(const void *, const void *));

/* ---- insn.c ---- */

#define PREFIX 0x2e
#define INT3 0xcc
#define WORD 8

/* A trampoline's parts behind its jump (static_call_x86_64.h). */
#define TRAMP_FAR 8     /* jmp *slot(%rip) */
#define TRAMP_RETURN 14 /* ret */

enum form {
	/* How a site goes somewhere. Which of the three it does is its kind; the numbers are the records'. */
	FORM_CALL,     /* e8 rel32 */
	FORM_JUMP,     /* e9 rel32: a tail call, a trampoline */
	FORM_BRANCH,   /* 0f 8x rel32: a conditional tail call */
	/* What a call may be instead, */
	FORM_NOP,      /* 0f 1f 44 00 00 */
	FORM_CONSTANT, /* b8 imm32 */
	/* and a jump. */
	FORM_RETURN,   /* c3 cc cc cc cc */
	FORM_UNKNOWN,
};

/* One instruction: its bytes in memory order in the low `length` bytes of `word`, the rest zero. */
struct insn {
	uint64_t word;
	uintptr_t operand; /* where it goes, or the constant */
	enum form form;
};

struct site;
/* Of the whole instruction, with its prefixes. */
static unsigned insn_length(const struct site *site);
/* The last four bytes of an instruction: a displacement, a constant. */
static uint32_t insn_immediate(uint64_t word, unsigned length);
static struct insn insn_read_site(const struct site *site);
static struct insn insn_read_tramp(uintptr_t address);
/* A branch keeps the condition that stands there. */
static struct insn insn_make_site(const struct site *site, enum form form, uintptr_t operand);
static struct insn insn_make_tramp(uintptr_t address, uintptr_t operand);
/* What the slot of a trampoline holds for a target: NULL is its return. */
static static_call_fn tramp_slot(uintptr_t tramp, static_call_fn func);
/* Whether a displacement that ends at `end` reaches `target`. */
static bool insn_reaches(uintptr_t end, uintptr_t target);

/* ---- lock.c ---- */

/* What update_end() restores in the thread. */
struct guard {
	sigset_t signals;
	int cancellation;
};
/*
 * The update lock: objects, index and pokes change under it alone. Signals are blocked with it, so that a handler
 * cannot interrupt an update and wait for itself; not those that this thread raises itself, SIGTRAP among them.
 * 0; -EDEADLK in a thread that has it; or what an interrupted update cannot be repaired for.
 */
static int update_begin(struct guard *guard);
static void update_end(const struct guard *guard);
/* Once, before anything else. */
static void lock_init(void);

/* ---- object.c ---- */

/* The objects that have come and not gone; the generation changes with each that does. */
static struct registry {
	struct __static_call_object *first;
	unsigned long generation;
} registry;
/* Have the objects of these keys registered, whose own constructors may be still to come; the first not under the lock. */
static void objects_measure(const struct static_call_change *changes, size_t count);
static void objects_know(const struct static_call_change *changes, size_t count);
/*
 * Fill in where the object that `part` lies in is, and what of it is read-only; whether it is the executable. Takes the
 * loader's lock of its list of objects, so not under the update lock: a callback of dl_iterate_phdr() may update.
 */
static bool object_measure(struct __static_call_object *object, const void *part);
/* Whether func is __static_call_return0 of this program or of a library that has its own copy. */
static bool objects_return0(static_call_fn func);

/* ---- index.c ---- */

struct site {
	uintptr_t address;
	struct static_call_key *key;
	uintptr_t home; /* where the linker made it go: the trampoline, or the PLT entry that leads there; 0: not known */
	uintptr_t stub; /* of a call: cold text that calls the trampoline and goes back behind the site */
	uint8_t prefixes; /* 0: bare, as the compiler left it */
	uint8_t kind; /* FORM_CALL, FORM_JUMP or FORM_BRANCH */
	bool rested; /* a thread may rest one past the first byte: the core keeps its kind for ever (I2) */
};

struct tramp {
	uintptr_t address;
	struct static_call_key *key;
	uintptr_t door; /* itself as all objects know it: in the executable perhaps a PLT entry */
	static_call_fn *slot;
	const char *name;
	struct __static_call_object *object;
};

/* Bring the index up to date with the objects. 0 or -ENOMEM. */
static int index_refresh(void);
/* Of one key, or of all for NULL; sorted by key and address. */
static struct site *index_sites(const struct static_call_key *key, size_t *count);
static struct tramp *index_tramps(const struct static_call_key *key, size_t *count);
/* An object leaves: what is remembered of its sites is void, whatever comes to lie at their addresses. */
static void index_forget(const struct __static_call_object *object);

/* ---- target.c ---- */

/* A lookup of the address space, open for the length of one update. */
struct target_lookup {
	int maps;
	uintptr_t start, end; /* the last executable range that was found */
	uintptr_t wanted;
};
/* 0, or -errno if the address space cannot be looked at now. */
static int target_open(struct target_lookup *lookup);
/* Whether func lies in executable memory, as far as can be told: without /proc, in memory. */
static bool target_executable(struct target_lookup *lookup, static_call_fn func);
static void target_close(const struct target_lookup *lookup);
/* FORM_CONSTANT and the constant, FORM_NOP for an empty body, else FORM_CALL. Reads the function's code. */
static enum form target_folded(static_call_fn func, uintptr_t *constant);

/* ---- policy.c ---- */

/* How one instruction is changed. */
enum how { HOW_STORE, HOW_PUSH, HOW_RESUME, HOW_STUB, HOW_REFUSED };

/* What the plan that is being made must do without. */
enum constraint {
	WITHOUT_INT3 = 1,   /* a thread would be killed by it, or a debugger would get it */
	WITHOUT_STORES = 2, /* text is written through the kernel, byte by byte as far as it promises */
	WITHOUT_TEXT = 4,   /* text cannot be written: trampolines go through their slots */
};

/* What the program asks for, and what it runs on. */
static struct policy {
	int protocol; /* enum static_call_protocol */
	bool core_store_safe; /* one aligned store may change a whole instruction: by the processor's manual, or under valgrind */
	int folding;
	int trusting; /* threads that block SIGTRAP are said to make no calls */
	unsigned constraints; /* enum constraint, of the plan that is being made */
} policy;
static void policy_init(void);
/* Whether no way to change the site is safe, ever: it stays on its trampoline. */
static bool policy_crosses(const struct site *site);
/* HOW_REFUSED: it goes by its trampoline instead, if it may be led there. */
static enum how policy_site(const struct site *site, enum form from, enum form to);
static enum how policy_tramp(void);

/* ---- poke.c ---- */

struct poke {
	uintptr_t address;
	uint64_t from, to; /* instructions, as struct insn has them */
	struct site *site; /* NULL for a trampoline */
	uint8_t length;
	uint8_t how;  /* enum how */
	uint8_t form; /* enum form, of `to` */
	bool core;    /* more than the displacement changes */
};

/* Carry out pokes, sorted by address, in pages that are open. 0 or -errno, and then poke_undo() is due. */
static int poke_all(const struct poke *pokes, size_t count);
/* Whether any of them goes by int3. */
static bool poke_traps(const struct poke *pokes, size_t count);
/* Put everything back, from whatever point poke_all() came to. 0 or -errno: then it is to be tried again. */
static int poke_undo(const struct poke *pokes, size_t count);

/* ---- trap.c ---- */

/* Have SIGTRAP come to us first. 0 or -errno. */
static int trap_install(void);
/* From here on a thread that runs into one of these goes on by the new instruction; pages are writable. */
static void trap_publish(const struct poke *pokes, size_t count);
/* Returns when no thread reads the pokes any more. */
static void trap_retire(void);

/* ---- journal.c ---- */

/* A key, what it is to call, and what it called before. */
struct change {
	struct static_call_key *key;
	static_call_fn func, old;
};
/* The changes of the update that is being made, or that a killed thread was making; one a key. */
static struct journal {
	const struct change *changes;
	size_t count;
} journal;
/* 0, -ENOMEM, or -EXDEV. */
static int journal_write(const struct static_call_change *asked, size_t count);
/* 0, or -EFAULT for a target that cannot be called. */
static int journal_check(void);

/* ---- pages.c ---- */

/*
 * Make the pages of all pokes (sorted by address) writable, and the keys and slots of the objects that are marked
 * `written`: one change a range. 0 or -errno, and nothing is changed.
 */
static int pages_open(const struct poke *pokes, size_t count);
/*
 * The same for the ranges that pages_open() found, those that pages_close() has closed; or all, where a thread was
 * killed, perhaps in mprotect, and nothing is sure.
 */
static int pages_reopen(bool killed);
/* Take write permission away again. 0 or -errno; the next call tries again what is left. */
static int pages_close(void);
/* The update is over, nothing will be put back: close the file that it wrote by. */
static void pages_done(void);
/* Store to text that is open: `size` (1, 4 or 8) bytes, whole if they lie in one cache line. 0 or -errno. */
static int pages_store_text(uintptr_t address, uint64_t value, unsigned size);
/* Store a key's target or a slot, unless it is there already. 0 or -errno. */
static int pages_store_pointer(static_call_fn *where, static_call_fn func);

/* ---- sync.c ---- */

/* Tell the kernel that this process will synchronise; cheap while there is one thread (milliseconds later). */
static void sync_register(void);
/* Once an update, before the next two: by membarrier, or by a signal to each thread where there is none. */
static void sync_choose(void);
static bool sync_by_signal;
/* On return every core that runs this process has gone through a serialising instruction. 0 or -errno. */
static int sync_cores(void);

/* ---- proc.c ---- */

/* There is no such file, or thread. Every other error is one, since nothing is known then. */
static bool proc_absent(int error);
/* Call `take` for each line, cut after 63 characters, until it says that it has enough: 1; 0 at the end; or -errno. */
static int proc_lines(int file, bool (*take)(const char *line, void *argument), void *argument);

/* ---- threads.c ---- */

enum threads { THREADS_TRAP, THREADS_BLOCK, THREADS_TRACED };
/* Whether all other threads would take a SIGTRAP; -errno if that cannot be told. Without /proc: THREADS_TRAP. */
static int threads_look(void);
/* Have each other thread run a signal handler. 0 or -errno. */
static int threads_interrupt(void);
/*
 * Whether the signal is threads_interrupt()'s; if so, it is answered. Async-signal-safe. The thread may have run into an
 * int3 as well: of two pending SIGTRAPs the kernel keeps one.
 */
static bool threads_answer(const siginfo_t *info);

/* ---- plan.c ---- */

/* What is to be done for the journal's changes; sorted by address. */
static struct plan {
	struct poke *pokes;
	size_t count;
} plan;
/* Plan, doing without what the constraints say. 0 or -errno. */
static int plan_all(unsigned constraints);
/* The same, and without what the other threads do not allow: an int3 kills who blocks SIGTRAP. 0 or -errno. */
static int plan_for_threads(unsigned constraints);
/* The plan has been carried out: count what it could not do. */
static void plan_done(void);

/* ---- library.c ---- */

/* Keys of an object that has just come may have been updated before it, or begin with a NULL that nobody knew of. */
static void library_arrives(const struct __static_call_object *object);
/* Keys whose targets lie in an object that is being closed. */
static void library_leaves(const struct __static_call_object *object);
/* From the first update on: at exit libraries leave as well, and nothing is lost. Not under the update lock. */
static void library_watch_exit(void);
/* What a key calls whose target went away with its library. */
static void library_lost(void);

/* ---- update.c ---- */

/* Carry out all changes or none. Under the update lock. 0 or -errno. */
static int update_commit(const struct static_call_change *changes, size_t count);
/* Put back what a killed thread left half done. 0 or -errno. */
static int update_repair(void);

#endif
