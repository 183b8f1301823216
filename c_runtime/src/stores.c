/* SPDX-License-Identifier: MIT */
/*
 * Stores to text and keys: plain ones, to pages that are open. Where mprotect is refused (a seccomp filter,
 * PR_SET_MDWE, SELinux's execmod, mseal): /proc/self/mem, which writes through the protection. The kernel copies
 * there and promises no single store, so the plan must then be made with int3 alone (WITHOUT_STORES).
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* /proc/self/mem, while anything is written through it; else -1. And which file that is. */
static int memory = -1;
static dev_t memory_device;
static ino_t memory_inode;

/* The number may have become another file's: a library that closes all that it does not know. */
static bool is_memory(void)
{
	struct stat now;

	return !fstat(memory, &now) && now.st_dev == memory_device && now.st_ino == memory_inode;
}

static int write_memory(uintptr_t address, const void *bytes, unsigned size)
{
	ssize_t written;

	if (!is_memory())
		return fail(-EBADF, "/proc/self/mem was closed by somebody else", address, NULL);
	written = pwrite(memory, bytes, size, (off_t)address);
	if (written == (ssize_t)size)
		return 0;
	return fail(written < 0 ? -errno : -EIO, "a write to /proc/self/mem was refused", address, NULL);
}

static void stores_done(void)
{
	int file = memory;
	bool ours = file >= 0 && is_memory();

	/* Before it is closed: the number may be somebody else's file soon. */
	memory = -1;
	if (ours)
		close(file);
}

/*
 * Who may open it need not be let write (proc_mem.force_override=never, Linux 6.12; a filter). That is to be known before
 * anything has changed, or what was changed could not be put back: so what stands there is written once more.
 */
static int open_memory(void)
{
	const struct poke *pokes = state.plan.items;
	struct stat found;
	int error = 0;

	memory = open("/proc/thread-self/mem", O_RDWR | O_CLOEXEC);
	if (memory < 0 || fstat(memory, &found))
		return -errno;
	memory_device = found.st_dev;
	memory_inode = found.st_ino;
	if (state.text_by_memory && state.plan.count)
		error = write_memory(pokes->address, (const void *)pokes->address, 1);
	if (state.data_by_memory && !error) {
		const struct change *changes = state.journal.items;
		static_call_fn func = __static_call_load(changes->key);

		error = write_memory((uintptr_t)&changes->key->func, (const void *)&func, sizeof(func));
	}
	return error;
}

static int stores_reopen(void)
{
	return memory < 0 && (state.text_by_memory || state.data_by_memory) ? open_memory() : 0;
}

static int stores_open(void)
{
	int error = 0;

	state.text_by_memory = state.policy.constraints & WITHOUT_STORES;
	state.data_by_memory = ranges_open(PROT_READ) != 0;
	if (!state.text_by_memory)
		error = ranges_open(PROT_READ | PROT_EXEC);
	if (!error && (state.text_by_memory || state.data_by_memory))
		error = open_memory();
	if (error) {
		(void)ranges_close();
		stores_done();
	} else if (state.plan.count) {
		__atomic_store_n(&statistics.write, state.text_by_memory ? STATIC_CALL_WRITE_PROC_MEM : STATIC_CALL_WRITE_MPROTECT,
				 __ATOMIC_RELAXED);
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
static void store(uintptr_t address, uint64_t value, unsigned size)
{
	if (size == 1)
		__asm__ volatile("mov{b} {%1, %0|%0, %1}" : "=m"(*(uint8_t *)address) : "q"((uint8_t)value));
	else if (size == 4)
		__asm__ volatile("mov{l} {%1, %0|%0, %1}" : "=m"(*(struct displacement *)address) : "r"((uint32_t)value));
	else
		__asm__ volatile("mov{q} {%1, %0|%0, %1}" : "=m"(*(uint64_t *)address) : "r"(value));
}

static int store_text(uintptr_t address, uint64_t value, unsigned size)
{
	int error = 0;

	if (state.text_by_memory)
		error = write_memory(address, &value, size);
	else
		store(address, value, size);
	/* The instruction begins up to seven bytes before. */
	VALGRIND_DISCARD_TRANSLATIONS(address - (WORD - 1), 2 * WORD);
	return error;
}

/*
 * Release: who reads the new target sees what was written before the update. By /proc/self/mem it is the kernel's
 * copy of eight aligned bytes, which it promises nobody to make by one store: uninstrumented callers read keys
 * meanwhile, and far trampolines their slots (docs/runtime.md, Limits).
 */
static int store_pointer(static_call_fn *where, static_call_fn func)
{
	if (func == __atomic_load_n(where, __ATOMIC_RELAXED))
		return 0;
	if (state.data_by_memory && ranges_have((uintptr_t)where, PROT_READ))
		return write_memory((uintptr_t)where, (const void *)&func, sizeof(func));
	__atomic_store_n(where, func, __ATOMIC_RELEASE);
	return 0;
}
