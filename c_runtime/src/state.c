/* SPDX-License-Identifier: MIT */
/*
 * All that steers the runtime's privileged writes, in pages that are read-only between updates: who can write data
 * cannot forge an interrupted update, a range to open, a site, an owner of SIGTRAP. It lies where keys and slots lie
 * (RELRO), so that most programs open all of it by one system call.
 */
#include "runtime.h"

#include <errno.h>
#include <sys/mman.h>

#define ROOM(name) { state.room.name, 0, sizeof(state.room.name) }

/* `used`, and hidden instead of static: the note that process.c makes in assembly names it, also under -flto. */
__attribute__((__used__, __visibility__("hidden"), __section__(".data.rel.ro.__static_call_state"))) struct state state = {
	.open = { (uintptr_t)&state, (uintptr_t)(&state + 1) },
	.objects = ROOM(objects),
	.index = state.both,
	.journal = ROOM(journal),
	.plan = ROOM(plan),
	.ranges = ROOM(ranges),
};

/*
 * A mapping of its own, by a flag that its neighbours have not and that does nothing here: the kernel need not split and
 * merge mappings at each change (2.2 us for 6.6 a pair of calls, Linux 6.18 on AMD EPYC), and closing, which would
 * need one mapping more than opening, cannot fail for want of it (vm.max_map_count).
 */
static void set_apart(void)
{
	(void)madvise((void *)state.open.start, state.open.end - state.open.start, MADV_RANDOM);
}

static int state_open(void)
{
	struct span open = state.open;
	bool first = !state.policy.known;

	COUNT(protections, 1);
	if (mprotect((void *)open.start, open.end - open.start, PROT_READ | PROT_WRITE)) {
		int refused = -errno;

		if (memory_replace((uintptr_t)&state, sizeof(state)))
			return fail(refused, "the runtime's own state cannot be written: mprotect was refused", open.start, NULL);
		/* Without keys and slots, which stay read-only (stores.c). */
		state.open = (struct span){ (uintptr_t)&state, (uintptr_t)(&state + 1) };
		state.replaced = true;
	}
	if (first)
		set_apart();
	return 0;
}

static void state_close(void)
{
	struct span open = state.open;

	COUNT(protections, 1);
	/* Where not even opening was allowed, that is no news. */
	if (mprotect((void *)open.start, open.end - open.start, PROT_READ) && !state.replaced)
		(void)fail(-errno, "keys and the runtime's own state were left writable: mprotect was refused", open.start, NULL);
}

static int state_seal(void)
{
	int error = 0;

	state.sealed = 1;
	COUNT(protections, 1);
	if (mprotect((void *)state.open.start, state.open.end - state.open.start, PROT_READ)) {
		error = fail(-errno, "mprotect was refused", state.open.start, NULL);
		state.sealed = 0;
	}
	return error;
}

static void state_fence(void)
{
	/* Of its own size: the kernel takes the lock of the address space for writing, and changes nothing. */
	(void)mremap(&state, sizeof(state), sizeof(state), 0);
}

/* With the page of the address, if it is read-only after relocation and not far. */
static struct span widened(struct span open, struct span relro, uintptr_t address)
{
	uintptr_t page = address & ~(PAGE - 1);

	if (address < relro.start || address >= relro.end)
		return open;
	if (page < open.start && open.start - page <= GAP)
		open.start = page;
	if (page >= open.end && page - open.end < GAP)
		open.end = page + PAGE;
	return open;
}

static void state_take_in(void)
{
	const struct object *own = object_at((uintptr_t)&state);
	struct span old = state.open, open = old, relro;
	size_t count;
	const struct tramp *tramps = index_tramps(NULL, &count);

	if (!own || state.replaced)
		return;
	relro = object_relro(own, (uintptr_t)&state);
	/* They are sorted, and may lie on either side: from both ends, so that each is near what has been taken in. */
	for (size_t i = 0; i < count; i++) {
		const struct tramp *both[] = { &tramps[i], &tramps[count - 1 - i] };

		for (unsigned j = 0; j < 2; j++) {
			open = widened(open, relro, (uintptr_t)both[j]->key);
			open = widened(open, relro, (uintptr_t)both[j]->slot);
		}
	}
	if (open.start == old.start && open.end == old.end)
		return;
	state.open = open;
	if (state_open())
		state.open = old;
	else
		set_apart();
}
