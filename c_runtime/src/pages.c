/* SPDX-License-Identifier: MIT */
/*
 * Text and keys, writable for the length of an update. Execute permission is never dropped: threads run there, and
 * under PR_SET_MDWE it could not be had back. Never left writable: each range that was opened is closed.
 *
 * Where mprotect is refused (a seccomp filter, PR_SET_MDWE, SELinux's execmod, mseal): /proc/self/mem, which writes
 * through the protection. The kernel copies there and promises no single store, so the plan must then be made with
 * int3 alone (WITHOUT_STORES).
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

struct range {
	uintptr_t start, end;
	int protection; /* when it is closed */
	bool open;
};

static struct array ranges;
/* /proc/self/mem, while text or data (keys and slots) are written through it; else -1. */
static int memory = -1;
static bool text_by_memory, data_by_memory;

static int protect(struct range *range, bool open)
{
	int protection = range->protection | (open ? PROT_WRITE : 0);

	if (range->open == open)
		return 0;
	COUNT(protections, 1);
	/* Open from before the call to after the one that closes it, whenever the thread is killed. */
	range->open = true;
	if (mprotect((void *)range->start, range->end - range->start, protection)) {
		range->open = !open;
		return -errno;
	}
	range->open = open;
	return 0;
}

/* Neighbours are merged, so that a dense object is one system call. */
static int add(uintptr_t start, uintptr_t end, int protection)
{
	struct range *last = ranges.count ? (struct range *)ranges.items + (ranges.count - 1) : NULL;
	int error;

	start &= ~(PAGE - 1);
	end = (end + PAGE - 1) & ~(PAGE - 1);
	if (last && !last->open && last->protection == protection && start >= last->start && start <= last->end) {
		last->end = end > last->end ? end : last->end;
		return 0;
	}
	error = array_reserve(&ranges, ranges.count + 1, sizeof(struct range));
	if (error)
		return error;
	((struct range *)ranges.items)[ranges.count] = (struct range){ start, end, protection, false };
	IN_ORDER();
	ranges.count++;
	return 0;
}

static int open_all(int protection)
{
	struct range *all = ranges.items;
	int error = 0;

	for (size_t i = 0; i < ranges.count && !error; i++)
		if (all[i].protection == protection)
			error = protect(&all[i], true);
	return error;
}

/*
 * What is to be stored to, if it is read-only. The object need not be the trampoline's: the linker may have copied a
 * library's key into the executable (R_X86_64_COPY), which may have no object of ours, or none yet.
 */
static int add_data(uintptr_t address)
{
	struct __static_call_object *object = registry.first, stranger = { 0 };

	while (object && !(address >= object->start && address < object->end))
		object = object->next;
	if (!object) {
		object = &stranger;
		object_measure(object, (const void *)address);
	}
	if (object->written || address < object->relro || address >= object->relro_end)
		return 0;
	object->written = true;
	return add(object->relro, object->relro_end, PROT_READ);
}

/*
 * The ranges that an earlier update could not close stay, so that this one closes them; where they are, since a thread
 * that is killed while one is moved would leave a mixture of two. Those between them become empty, by one store each.
 */
static void forget_closed(void)
{
	struct range *all = ranges.items;

	while (ranges.count && !all[ranges.count - 1].open)
		ranges.count--;
	for (size_t i = 0; i < ranges.count; i++)
		if (!all[i].open)
			all[i].end = all[i].start;
}

/* Of keys and slots, then of text. */
static int find_ranges(const struct poke *pokes, size_t count)
{
	int error = 0;

	forget_closed();
	for (struct __static_call_object *object = registry.first; object; object = object->next)
		object->written = false;
	for (size_t i = 0; i < journal.count && !error; i++) {
		size_t tramps_count;
		const struct tramp *tramps = index_tramps(journal.changes[i].key, &tramps_count);

		error = add_data((uintptr_t)journal.changes[i].key);
		for (size_t j = 0; j < tramps_count && !error; j++)
			error = add_data((uintptr_t)tramps[j].slot);
	}
	for (size_t i = 0; i < count && !error; i++)
		error = add(pokes[i].address, pokes[i].address + pokes[i].length, PROT_READ | PROT_EXEC);
	return error;
}

static int write_memory(uintptr_t address, const void *bytes, unsigned size)
{
	ssize_t written = pwrite(memory, bytes, size, (off_t)address);

	if (written < 0)
		return -errno;
	return written == (ssize_t)size ? 0 : -EIO;
}

/*
 * Who may open it need not be let write (proc_mem.force_override=never, Linux 6.12; a filter). That is to be known before
 * anything has changed, or what was changed could not be put back: so what stands there is written once more.
 */
static int open_memory(const struct poke *pokes, size_t count)
{
	int error = 0;

	memory = open("/proc/thread-self/mem", O_RDWR | O_CLOEXEC);
	if (memory < 0)
		return -errno;
	if (text_by_memory && count)
		error = write_memory(pokes->address, (const void *)pokes->address, 1);
	if (data_by_memory && !error) {
		struct static_call_key *key = journal.changes->key;
		static_call_fn func = __static_call_load(key);

		error = write_memory((uintptr_t)&key->func, (const void *)&func, sizeof(func));
	}
	return error;
}

static void pages_done(void)
{
	int file = memory;

	/* Before it is closed: the number may be somebody else's file soon. */
	memory = -1;
	if (file >= 0)
		close(file);
}

static int pages_open(const struct poke *pokes, size_t count)
{
	int error = find_ranges(pokes, count);

	text_by_memory = policy.constraints & WITHOUT_STORES;
	data_by_memory = !error && open_all(PROT_READ);
	if (!error && !text_by_memory)
		error = open_all(PROT_READ | PROT_EXEC);
	if (!error && (text_by_memory || data_by_memory))
		error = open_memory(pokes, count);
	if (error) {
		pages_close();
		pages_done();
	} else if (count) {
		__atomic_store_n(&statistics.write, text_by_memory ? STATIC_CALL_WRITE_PROC_MEM : STATIC_CALL_WRITE_MPROTECT,
				 __ATOMIC_RELAXED);
	}
	return error;
}

static int pages_reopen(bool killed)
{
	struct range *all = ranges.items;
	int error = 0;

	for (size_t i = 0; i < ranges.count; i++) {
		bool by_memory = all[i].protection & PROT_EXEC ? text_by_memory : data_by_memory;
		int refused;

		all[i].open &= !killed;
		refused = by_memory ? 0 : protect(&all[i], true);
		all[i].open |= killed;
		error = error ? error : refused;
	}
	return error;
}

static int pages_close(void)
{
	struct range *all = ranges.items;
	int error = 0;

	for (size_t i = 0; i < ranges.count; i++) {
		int now = protect(&all[i], false);

		error = error ? error : now;
	}
	return error;
}

/* Anywhere: a bare site's may be unaligned. */
struct displacement {
	uint32_t value;
} __attribute__((__packed__));

/*
 * By asm: ThreadSanitizer would first write its shadow, which it has mapped read-only for text, and clang instruments
 * atomics even where no_sanitize says not to.
 */
static void store_text(uintptr_t address, uint64_t value, unsigned size)
{
	if (size == 1)
		__asm__ volatile("mov{b} {%1, %0|%0, %1}" : "=m"(*(uint8_t *)address) : "q"((uint8_t)value));
	else if (size == 4)
		__asm__ volatile("mov{l} {%1, %0|%0, %1}" : "=m"(*(struct displacement *)address) : "r"((uint32_t)value));
	else
		__asm__ volatile("mov{q} {%1, %0|%0, %1}" : "=m"(*(uint64_t *)address) : "r"(value));
}

static int pages_store_text(uintptr_t address, uint64_t value, unsigned size)
{
	int error = 0;

	if (text_by_memory)
		error = write_memory(address, &value, size);
	else
		store_text(address, value, size);
	/* The instruction begins up to seven bytes before. */
	VALGRIND_DISCARD_TRANSLATIONS(address - (WORD - 1), 2 * WORD);
	return error;
}

static bool is_protected(uintptr_t address)
{
	const struct range *all = ranges.items;

	for (size_t i = 0; i < ranges.count; i++)
		if (all[i].protection == PROT_READ && address >= all[i].start && address < all[i].end)
			return true;
	return false;
}

/*
 * Release: who reads the new target sees what was written before the update. By /proc/self/mem it is the kernel's
 * copy of eight aligned bytes, which it promises nobody to make by one store: uninstrumented callers read keys
 * meanwhile, and far trampolines their slots (docs/runtime.md, Limits).
 */
static int pages_store_pointer(static_call_fn *where, static_call_fn func)
{
	if (func == __atomic_load_n(where, __ATOMIC_RELAXED))
		return 0;
	if (data_by_memory && is_protected((uintptr_t)where))
		return write_memory((uintptr_t)where, (const void *)&func, sizeof(func));
	__atomic_store_n(where, func, __ATOMIC_RELEASE);
	return 0;
}
