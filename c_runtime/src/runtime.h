/* SPDX-License-Identifier: MIT */
/*
 * What the runtime's parts know of each other. Built as one file (static_call_runtime.c), so everything but the
 * API is static. An update goes through the parts from top to bottom:
 *
 *   process.c    which copy of the runtime serves the process; the API's entry points
 *   update.c     an update: lock, plan, carry out, publish; or put everything back
 *   lock.c       one update at a time, whatever signals, forks and killed threads do
 *   state.c      all that steers what is written: one structure, read-only between updates
 *   journal.c    what the update is about
 *   plan.c       what each site and trampoline is to become
 *   target.c     what may be called
 *   fold.c       targets so small that they need not be called
 *   policy.c     which protocol a change takes, and why
 *   index.c      which sites and trampolines a key has
 *   object.c     the linked objects whose tables the index is made of
 *   library.c    keys that lead into libraries that come and go
 *   poke.c       changes instructions while threads run through them
 *   trap.c       the SIGTRAP handler: whose trap it is
 *   emulate.c    how a thread goes on that ran into an int3 of ours
 *   ranges.c     the pages that an update opens for writing, and closes again
 *   stores.c     stores to open pages, or through /proc/self/mem
 *   sync.c       core synchronisation
 *   look.c       whether other threads would survive an int3
 *   interrupt.c  a signal to each thread, where there is no membarrier
 *   threads.c    the process's other threads, from /proc
 *   maps.c       what the kernel says of the address space
 *   proc.c       what /proc says, line by line
 *   insn.c       the bytes of each form
 *   memory.c     arrays that grow; no malloc, since a key may be the allocator
 *   inspect.c    what a program may ask
 *   describe.c   where tools find all that from outside
 */
#ifndef STATIC_CALL_RUNTIME_INTERNAL_H
#define STATIC_CALL_RUNTIME_INTERNAL_H

#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

#define STATIC_CALL_RUNTIME
#include "../include/static_call.h"
#include "../include/static_call_runtime.h"
#include "../include/static_call_object.h"

#define PAGE ((uintptr_t)4096)
/* Gaps up to this between what is opened are opened too: a page costs less than a call and a mapping of its own. */
#define GAP (16 * PAGE)

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
static struct static_call_failure failure;
/* Counted by the thread that holds the update lock; read by anyone. */
#define COUNT(field, n) __atomic_store_n(&statistics.field, statistics.field + (unsigned long)(n), __ATOMIC_RELAXED)

/* Remember why an update fails; returns the error. Under the update lock. */
static int fail(int error, const char *what, uintptr_t address, const struct static_call_key *key);

/* ---- memory.c ---- */

/* An array of items of one size, in the state's own room or from mmap; it grows and never shrinks. */
struct array {
	void *items;
	size_t count;
	size_t room; /* in bytes */
};
/* Room for `count` items of `size` bytes; the items there are kept. 0 or -ENOMEM. */
static int array_reserve(struct array *array, size_t count, size_t size);
/* The same, and who reads the old items without the lock may go on: their memory is given up. */
static int array_grow(struct array *array, size_t count, size_t size);
static void array_free(struct array *array);
/* Between updates what steers them is read-only, wherever it lies. 0 or -errno. */
static int array_open(const struct array *array);
static void array_close(const struct array *array);
/*
 * Where mprotect is refused (a seccomp filter): a writable copy takes the pages' place, by one step for whoever reads
 * them. 0 or -errno.
 */
static int memory_replace(uintptr_t start, size_t size);
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

/* ---- process.c ---- */

/* Whether a runtime that speaks another version of the ABI was here first: this one changes nothing then. */
static bool process_is_strange(void);

/* ---- lock.c ---- */

/* What update_end() restores in the thread. */
struct guard {
	sigset_t signals;
	int cancellation;
};
/*
 * The update lock: the state, the index and all text change under it alone. Signals are blocked with it, so that a
 * handler cannot interrupt an update and wait for itself; not those that this thread raises itself, SIGTRAP among them.
 * The state is open from here to update_end(), unless it is sealed. 0; -EDEADLK in a thread that has the lock; or what
 * an interrupted update cannot be repaired for.
 */
static int update_begin(struct guard *guard);
static void update_end(const struct guard *guard);
/* Once, before anything else. */
static void lock_init(void);

/* ---- object.c ---- */

/* A linked object of the process. Its headers, which are read-only, say where its text and its keys may be. */
struct object {
	const struct __static_call_object *tables; /* NULL: it has none, or it has gone */
	uintptr_t start, end;                      /* the addresses that it takes up */
	uintptr_t base;
	const ElfW(Phdr) *headers;
	unsigned count;
	bool program;
};
/* A part of one: whole pages that had the same protection when it was loaded. Empty: there is none. */
struct span {
	uintptr_t start, end;
};
/* The object that has the address, of those that are known. NULL for none. */
static const struct object *object_at(uintptr_t address);
/* Its executable segment there, and the part that is read-only after relocation if the address lies in it. */
static struct span object_text(const struct object *object, uintptr_t address);
static struct span object_relro(const struct object *object, uintptr_t address);
/* Whether a known object has text at the address. Async-signal-safe. */
static bool objects_have_text(uintptr_t address);
/* An object comes, before main or in dlopen, and goes. Not under the update lock. */
static void object_enter(const struct __static_call_object *tables);
static void object_leave(const struct __static_call_object *tables);
/* The objects of these keys, whose own constructors may be still to come. Not under the update lock. */
static void objects_enter(const struct static_call_change *changes, size_t count);
/* None of those that are there is unloaded any more. Not under the update lock. */
static void objects_stay(void);
/* 0, or -EXDEV if one of the keys belongs to no known object. */
static int objects_check(const struct static_call_change *changes, size_t count);
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
	const struct __static_call_object *object;
	bool moved; /* what runs is a copy of it that no table names: its object was rewritten after it was linked */
};

struct tables {
	struct array sites, tramps;
	size_t foreign; /* sites that are not among them */
};

/* Bring the index up to date with the objects. 0 or -ENOMEM. */
static int index_refresh(void);
/* Of one key, or of all for NULL; sorted by key and address. */
static struct site *index_sites(const struct static_call_key *key, size_t *count);
static struct tramp *index_tramps(const struct static_call_key *key, size_t *count);
/* The sites may be written meanwhile. 0 or -errno. */
static int index_open(void);
static void index_close(void);
/* An object leaves: what is remembered of its sites is void, whatever comes to lie at their addresses. */
static void index_forget(const struct object *object);

/* ---- target.c ---- */

struct maps;
/* Whether func lies in executable memory, as far as can be told: without /proc, in memory. 0, -EFAULT, or -errno. */
static int target_check(struct maps *maps, static_call_fn func);

/* ---- fold.c ---- */

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
struct policy {
	int protocol; /* enum static_call_protocol */
	int folding;
	int trusting; /* threads that block SIGTRAP are said to make no calls */
	unsigned constraints; /* enum constraint, of the plan that is being made */
	bool core_store_safe; /* one aligned store may change a whole instruction: by the processor's manual, or under valgrind */
	bool misnamed; /* the environment names no protocol */
	bool known;
};
/* From the environment and the processor, once. Under the update lock, not sealed. */
static void policy_init(void);
/* What the API sets. 0, -EINVAL, -EPERM once sealed, or as update_begin(). */
enum setting { SET_PROTOCOL, SET_FOLDING, SET_TRUSTING };
static int policy_set(enum setting setting, int value);
static const char *policy_reason(void);
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

/* Carry out the plan, in pages that are open. 0 or -errno, and then poke_undo() is due. */
static int poke_all(void);
/* Whether any of it goes by int3. */
static bool poke_traps(void);
/* Put everything back, from whatever point poke_all() came to. 0 or -errno: then it is to be tried again. */
static int poke_undo(void);

/* ---- trap.c, emulate.c ---- */

/* Have SIGTRAP come to us first. 0 or -errno. */
static int trap_install(void);
/* From here on a thread that runs into an int3 of the plan's goes on by the new instruction. */
static void trap_publish(void);
/* Returns when no thread reads the plan any more. */
static void trap_retire(void);
/* In the child of a fork: the other threads, which may have been in the handler, are not there. */
static void trap_forked(void);

/* How a thread goes on: its next instruction, what it pushes before (0: nothing), and what it has as a result. */
struct step {
	uintptr_t next, pushes, result;
	bool has_result;
};
/* Having done what the new instruction does. Async-signal-safe; touches nothing that may fault. */
static struct step emulate(const struct poke *poke, const greg_t *registers);

/* ---- journal.c ---- */

/* A key, what it is to call, and what it called before. */
struct change {
	struct static_call_key *key;
	static_call_fn func, old;
};
/* 0, -ENOMEM, or -EXDEV. */
static int journal_write(const struct static_call_change *asked, size_t count);
/* 0, or -EFAULT for a target that cannot be called. */
static int journal_check(void);

/* ---- ranges.c ---- */

struct range {
	uintptr_t start, end;
	int protection; /* when it is closed */
	bool open;
};
/* Find the pages that the plan and the journal store to. 0 or -errno. */
static int ranges_find(void);
/* Make writable those that have this protection when closed. 0 or -errno: some may be open. */
static int ranges_open(int protection);
/*
 * The same for the ranges that ranges_close() has closed; or all, where a thread was killed, perhaps in mprotect, and
 * nothing is sure.
 */
static int ranges_reopen(bool killed);
/* Take write permission away again. 0 or -errno; the next call tries again what is left. */
static int ranges_close(void);
static bool ranges_are_open(void);
/* Whether a store there goes to a page that this update has to open. */
static bool ranges_have(uintptr_t address, int protection);

/* ---- stores.c ---- */

/* By mprotect, or through /proc/self/mem where that is refused. 0 or -errno, and nothing is open. */
static int stores_open(void);
/* Where a killed thread's update is put back, or a fork's parent's, whose file is another process's memory. 0 or -errno. */
static int stores_reopen(void);
/* The update is over, nothing will be put back: close the file that it wrote by. */
static void stores_done(void);
/* Store to text that is open: `size` (1, 4 or 8) bytes, whole if they lie in one cache line. 0 or -errno. */
static int store_text(uintptr_t address, uint64_t value, unsigned size);
/* Store a key's target or a slot, unless it is there already. 0 or -errno. */
static int store_pointer(static_call_fn *where, static_call_fn func);

/* ---- sync.c ---- */

/* Tell the kernel that this process will synchronise; cheap while there is one thread (milliseconds later). */
static void sync_register(void);
/* Once an update, before the next two: by membarrier, or by a signal to each thread where there is none. */
static void sync_choose(void);
static bool sync_by_signal;
/* On return every core that runs this process has gone through a serialising instruction. 0 or -errno. */
static int sync_cores(void);
/* The same where something is put back: by whatever means there is. */
static int sync_cores_somehow(void);

/* ---- maps.c ---- */

#define MAPS_NOT_OPEN (-1) /* -EPERM, which nothing here returns */
#define NO_MAPS (-2)       /* -ENOENT: nobody may look */
#define MAPS_CLOSED { MAPS_NOT_OPEN, { 0, 0 }, false, false, 0 }
/* A lookup of the address space, for the length of one update. */
struct maps {
	int file;
	struct span last; /* what the last lookup found */
	bool writable, executable;
	uintptr_t wanted; /* by the lookup in text */
};
/* The mapping at the address, or the next one behind it. 1; 0 if there is none; NO_MAPS; or -errno. */
static int maps_find(struct maps *maps, uintptr_t address);
static void maps_close(struct maps *maps);

/* ---- proc.c ---- */

/* There is no such file, or thread. Every other error is one, since nothing is known then. */
static bool proc_absent(int error);
/* Call `take` for each line, cut after 63 characters, until it says that it has enough: 1; 0 at the end; or -errno. */
static int proc_lines(int file, bool (*take)(const char *line, void *argument), void *argument);

/* ---- threads.c ---- */

/* What /proc says of a thread. */
struct thread {
	unsigned long blocked, flags; /* signals, as a mask; the kernel's PF_ flags */
	char state;
};
/*
 * Call visit for each thread but this one until it returns other than 0, and return that; or -errno. -EBUSY where this
 * one is not among them: the /proc of another pid namespace, whose numbers are other threads here.
 */
static int threads_each(int (*visit)(pid_t thread, void *argument), void *argument);
/* 1; 0 if there is no such thread of the program's, or no more; or -errno. */
static int thread_read(pid_t thread, struct thread *read);
static bool thread_blocks_traps(const struct thread *thread);
/* Whether it still runs. */
static bool thread_lives(pid_t thread);
/* Sleep, whatever signals come. */
static void thread_pause(long nanoseconds);

/* ---- look.c ---- */

enum threads { THREADS_TRAP, THREADS_BLOCK };
/* Whether all other threads would take a SIGTRAP; -errno if that cannot be told. Without /proc: THREADS_TRAP. */
static int look_at_threads(void);
/* Whether a debugger is attached, which would get each SIGTRAP first. */
static bool look_is_traced(void);

/* ---- interrupt.c ---- */

/* Have each other thread run a signal handler. 0 or -errno. */
static int interrupt_threads(void);
/*
 * Whether the signal is interrupt_threads()'s; if so, it is answered. Async-signal-safe. The thread may have run into an
 * int3 as well: of two pending SIGTRAPs the kernel keeps one.
 */
static bool interrupt_answer(const siginfo_t *info);

/* ---- plan.c ---- */

/* Plan, doing without what the constraints say. 0 or -errno. */
static int plan_all(unsigned constraints);
/* The same, and without what the other threads do not allow: an int3 kills who blocks SIGTRAP. 0 or -errno. */
static int plan_for_threads(unsigned constraints);
/* The plan has been carried out: count what it could not do. */
static void plan_done(void);

/* ---- library.c ---- */

/*
 * Keys of an object that has just come may have been updated before it, or begin with a NULL that nobody knew of. Not
 * under the update lock.
 */
static void library_arrives(const struct __static_call_object *object);
/* Keys whose targets lie in an object that is being closed. */
static void library_leaves(const struct object *object);
/* From the first update on: at exit libraries leave as well, and nothing is lost. Not under the update lock. */
static void library_watch_exit(void);
/* What a key calls whose target went away with its library. */
static void library_lost(void);

/* ---- update.c ---- */

/* Carry out all changes or none. Under the update lock. 0 or -errno. */
static int update_commit(const struct static_call_change *changes, size_t count);
/* Put back what a killed thread left half done. 0 or -errno. */
static int update_repair(void);

/* ---- state.c ---- */

struct runtime;
#define OWNERS 4

/*
 * All that steers what the runtime writes, and every code pointer that it goes by: read-only but for whom holds the
 * update lock. Counters, the lock and what is only told (statistics, the last failure) are ordinary data.
 *
 * The first member is what other copies of the runtime look at, so it needs no relocation (process.c).
 */
struct state {
	bool leads;                   /* this copy serves the process */
	bool under_way;               /* text, slots or keys may differ from what the keys said before */
	bool opened;                  /* its pages are, or were: something may have been stored */
	bool rest_stored;             /* more than the first bytes of instructions (poke.c) */
	bool text_by_memory, data_by_memory; /* written through /proc/self/mem */
	bool replaced;                /* mprotect was refused: these pages may stay writable */
	int sealed;
	const struct runtime *leader; /* the copy that serves the process; NULL: not known yet */
	struct span open;             /* what update_begin() opens: the state, and keys and slots near it */
	struct policy policy;
	struct array objects;         /* struct object */
	unsigned long generation;     /* changes with each object that comes or goes */
	unsigned long indexed;        /* the generation that the index is of */
	/* The index in use. The other one is where it is made anew; whole, it takes its place by one store. */
	struct tables both[2], *index;
	struct array journal;         /* struct change, one a key: of the update that is being made, or was */
	struct array plan;            /* struct poke, sorted by address */
	struct array ranges;          /* struct range */
	struct array found;           /* struct range, while they are looked for */
	struct array scratch;         /* of array_sort() */
	struct span islands[16];      /* text that has been open before (ranges.c) */
	unsigned island_count;
	struct sigaction owners[OWNERS]; /* who had SIGTRAP before us, and who took it after us (trap.c) */
	unsigned owner_count;
	struct {
		struct object objects[8];
		struct change journal[8];
		struct poke plan[12];
		struct range ranges[8];
	} room; /* where the arrays begin */
} __attribute__((__aligned__(4096)));
extern struct state state __asm__("__static_call_state");

/* Open the state, so that it can be written. 0 or -errno. */
static int state_open(void);
static void state_close(void);
/* Close it for good. 0 or -errno. */
static int state_seal(void);
/* Open keys and slots with it that lie near it, in one object with it. */
static void state_take_in(void);
/*
 * No fork() of another thread lies between what was stored before and what is stored behind this: the kernel copies
 * an address space page by page, while its other threads run, but nobody changes a mapping meanwhile.
 */
static void state_fence(void);

#endif
