/* SPDX-License-Identifier: MIT */
/*
 * The pages that an update opens for writing: those that it stores to and no others, but for small gaps between them.
 * Each lies in a known object's own text, or in its part that is read-only after relocation. Execute permission is never
 * dropped: threads run there, and under PR_SET_MDWE it could not be had back. Never left writable: each range that
 * was opened is closed. What is writable already is somebody else's affair, and is left as it is.
 */
#include "runtime.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEXT (PROT_READ | PROT_EXEC)
#define DATA PROT_READ
#define ISLANDS (sizeof(state.islands) / sizeof(*state.islands))

/* ---- which pages ------------------------------------------------------------------------------------------------ */

static int append(struct array *array, struct range range)
{
	int error = array_reserve(array, array->count + 1, sizeof(range));

	if (error)
		return fail(error, "no memory for the list of pages", range.start, NULL);
	((struct range *)array->items)[array->count] = range;
	IN_ORDER();
	array->count++;
	return 0;
}

/* The pages of some bytes. Neighbours mostly come one after the other. */
static int found(uintptr_t start, uintptr_t end, int protection)
{
	struct range *last = state.found.count ? (struct range *)state.found.items + (state.found.count - 1) : NULL;

	start &= ~(PAGE - 1);
	end = (end + PAGE - 1) & ~(PAGE - 1);
	if (last && last->protection == protection && start >= last->start && start <= last->end) {
		last->end = end > last->end ? end : last->end;
		return 0;
	}
	return append(&state.found, (struct range){ start, end, protection, false });
}

/* A key or slot, if it is read-only and not open with the state. */
static int find_data(uintptr_t address)
{
	const struct object *object;

	if (address >= state.open.start && address < state.open.end)
		return 0;
	object = object_at(address);
	if (!object || !object_relro(object, address).end)
		return 0;
	return found(address, address + sizeof(static_call_fn), DATA);
}

static int find_all_data(void)
{
	const struct change *changes = state.journal.items;
	int error = 0;

	for (size_t i = 0; i < state.journal.count && !error; i++) {
		size_t count;
		const struct tramp *tramps = index_tramps(changes[i].key, &count);

		error = find_data((uintptr_t)changes[i].key);
		for (size_t j = 0; j < count && !error; j++)
			error = find_data((uintptr_t)tramps[j].slot);
	}
	return error;
}

/* Every instruction in text of an object that is known: nothing else is ever written. */
static int find_text(void)
{
	const struct poke *pokes = state.plan.items;
	struct span text = { 0, 0 };
	int error = 0;

	for (size_t i = 0; i < state.plan.count && !error; i++) {
		uintptr_t start = pokes[i].address, end = start + pokes[i].length;

		if (start < text.start || end > text.end) {
			const struct object *object = object_at(start);

			text = object ? object_text(object, start) : text;
			if (!object || start < text.start || end > text.end)
				return fail(-EINVAL, "a call site or trampoline that is not in the text of its object", start, NULL);
		}
		error = found(start, end, TEXT);
	}
	return error;
}

/* Whether b, behind a, is to be opened with it: they touch, or lie so near in one segment, so that the gap is like them. */
static bool are_one(const struct range *a, const struct range *b, uintptr_t gap)
{
	const struct object *object = object_at(a->start);
	struct span segment;

	if (a->protection != b->protection)
		return false;
	if (b->start <= a->end)
		return true;
	if (!object || b->start - a->end > gap)
		return false;
	segment = a->protection == TEXT ? object_text(object, a->start) : object_relro(object, a->start);
	return b->end <= segment.end;
}

/* Sorted, and with gaps up to that size closed; appended to the ranges of the update. */
static int merge_found(uintptr_t gap)
{
	const struct range *all = state.found.items;
	struct range now;

	if (!state.found.count)
		return 0;
	now = all[0];
	for (size_t i = 1; i < state.found.count; i++) {
		if (are_one(&now, &all[i], gap)) {
			now.end = all[i].end > now.end ? all[i].end : now.end;
		} else {
			int error = append(&state.ranges, now);

			if (error)
				return error;
			now = all[i];
		}
	}
	return append(&state.ranges, now);
}

/*
 * The ranges that an earlier update could not close stay, so that this one closes them; where they are, since a thread
 * that is killed while one is moved would leave a mixture of two. Those between them become empty, by one store each.
 */
static void forget_closed(void)
{
	struct range *all = state.ranges.items;

	while (state.ranges.count && !all[state.ranges.count - 1].open)
		state.ranges.count--;
	for (size_t i = 0; i < state.ranges.count; i++)
		if (!all[i].open)
			all[i].end = all[i].start;
}

static int ranges_find(void)
{
	size_t left;
	int error;

	forget_closed();
	left = state.ranges.count;
	state.found.count = 0;
	error = find_all_data();
	if (!error)
		error = find_text();
	if (!error)
		error = array_sort(&state.found, sizeof(struct range), array_by_address);
	if (!error)
		error = merge_found(GAP);
	/* So many calls and mappings cost more than all that lies between. */
	if (!error && state.ranges.count - left > ISLANDS) {
		forget_closed();
		error = merge_found(UINTPTR_MAX);
	}
	return error;
}

/* ---- what is writable already ----------------------------------------------------------------------------------- */

/*
 * Whether the page is writable, asked of the kernel without a change to it: FUTEX_WAKE_OP stores what stands there, or
 * fails. A fifth of what /proc/self/maps takes.
 */
static bool is_writable(uintptr_t page)
{
	static unsigned nobody;

	return syscall(SYS_futex, &nobody, FUTEX_WAKE_OP_PRIVATE, 0, 0, (unsigned *)page,
		       FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0)) >= 0;
}

/*
 * Where the part of the range that begins at `start` ends; whether it is writable. Few pages are asked for one by one,
 * which takes no look at /proc. What cannot be looked at is taken to be as the loader made it.
 */
static uintptr_t part_at(struct maps *maps, const struct range *range, uintptr_t start, bool *writable)
{
	*writable = false;
	if (range->end - range->start <= 4 * PAGE) {
		*writable = is_writable(start);
		return start + PAGE;
	}
	if (maps_find(maps, start) <= 0)
		return range->end;
	*writable = maps->writable && start >= maps->last.start;
	return maps->last.end < range->end ? maps->last.end : range->end;
}

/* Leave out what is writable: the first closed part takes the range's place, further ones are appended. 0 or -ENOMEM. */
static int leave_writable(struct maps *maps, size_t number)
{
	struct range whole = ((struct range *)state.ranges.items)[number], part = whole;
	size_t own = number;
	int error = 0;

	part.end = part.start;
	for (uintptr_t at = whole.start, end; at < whole.end && !error; at = end) {
		bool writable;

		end = part_at(maps, &whole, at, &writable);
		if (!writable && part.end == at) {
			part.end = end;
		} else if (!writable && part.start == part.end) {
			part = (struct range){ at, end, whole.protection, false };
		} else if (!writable) {
			((struct range *)state.ranges.items)[own] = part;
			part = (struct range){ at, end, whole.protection, false };
			own = state.ranges.count;
			error = append(&state.ranges, part);
		}
	}
	if (!error)
		((struct range *)state.ranges.items)[own] = part;
	return error;
}

/* ---- opening and closing ---------------------------------------------------------------------------------------- */

static int protect(struct range *range, bool open)
{
	int protection = range->protection | (open ? PROT_WRITE : 0);

	if (range->open == open || range->start == range->end)
		return 0;
	COUNT(protections, 1);
	/* Open from before the call to after the one that closes it, whenever the thread is killed. */
	range->open = true;
	if (mprotect((void *)range->start, range->end - range->start, protection)) {
		int error = -errno;

		/* What it did before it failed is undone. */
		if (open)
			(void)mprotect((void *)range->start, range->end - range->start, range->protection);
		range->open = !open;
		return error;
	}
	range->open = open;
	return 0;
}

/*
 * Text that once was writable stays a mapping apart (VM_ACCOUNT), and a program may have no more than vm.max_map_count.
 * So there are at most so many of these islands: where one more would come, all of the segment is opened for a moment,
 * and is one mapping then.
 */
static int join_islands(struct span text)
{
	struct range whole = { text.start, text.end, TEXT, false };
	unsigned kept = 0;
	int error = protect(&whole, true);

	if (error)
		return error;
	error = protect(&whole, false);
	for (unsigned i = 0; i < state.island_count; i++)
		if (state.islands[i].start < text.start || state.islands[i].start >= text.end)
			state.islands[kept++] = state.islands[i];
	if (kept < ISLANDS)
		state.islands[kept++] = text;
	state.island_count = kept;
	return error;
}

static struct span text_of(const struct range *range)
{
	const struct object *object = object_at(range->start);

	return object ? object_text(object, range->start) : (struct span){ range->start, range->end };
}

static void settle(const struct range *range)
{
	if (range->protection != TEXT || range->start == range->end || range->open)
		return;
	for (unsigned i = 0; i < state.island_count; i++) {
		struct span *island = &state.islands[i];

		if (range->start <= island->end && range->end >= island->start) {
			island->start = range->start < island->start ? range->start : island->start;
			island->end = range->end > island->end ? range->end : island->end;
			return;
		}
	}
	if (state.island_count < ISLANDS)
		state.islands[state.island_count++] = (struct span){ range->start, range->end };
	else
		(void)join_islands(text_of(range));
}

/* 0 or -errno, and in `refused` the one that could not be opened. */
static int open_all(int protection, struct range *refused)
{
	struct range *all = state.ranges.items;
	int error = 0;

	for (size_t i = 0; i < state.ranges.count && !error; i++) {
		if (all[i].protection == protection)
			error = protect(&all[i], true);
		*refused = all[i];
	}
	return error;
}

static int close_all(int protection)
{
	struct range *all = state.ranges.items;
	int error = 0;

	for (size_t i = 0; i < state.ranges.count; i++) {
		int now = !protection || all[i].protection == protection ? protect(&all[i], false) : 0;

		error = error ? error : now;
	}
	return error;
}

static int ranges_open(int protection)
{
	struct maps maps = MAPS_CLOSED;
	struct range refused = { 0, 0, 0, false };
	size_t count = state.ranges.count;
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		const struct range *range = (const struct range *)state.ranges.items + i;

		if (range->protection == protection && !range->open)
			error = leave_writable(&maps, i);
	}
	maps_close(&maps);
	/* Before any is open: where islands are joined their text is closed. */
	for (size_t i = 0; i < state.ranges.count && !error && protection == TEXT; i++)
		settle((const struct range *)state.ranges.items + i);
	if (!error)
		error = open_all(protection, &refused);
	/* Too many mappings: fewer are needed where all of the text is one. */
	if (error == -ENOMEM && protection == TEXT && !close_all(TEXT) && !join_islands(text_of(&refused)))
		error = open_all(protection, &refused);
	return error;
}

static int ranges_reopen(bool killed)
{
	struct range *all = state.ranges.items;
	int error = 0;

	for (size_t i = 0; i < state.ranges.count; i++) {
		bool by_memory = all[i].protection & PROT_EXEC ? state.text_by_memory : state.data_by_memory;
		int refused;

		all[i].open &= !killed;
		refused = by_memory ? 0 : protect(&all[i], true);
		all[i].open |= killed;
		error = error ? error : refused;
	}
	return error;
}

static int ranges_close(void)
{
	return close_all(0);
}

static bool ranges_are_open(void)
{
	const struct range *all = state.ranges.items;
	bool open = false;

	for (size_t i = 0; i < state.ranges.count; i++)
		open |= all[i].open;
	return open;
}

static bool ranges_have(uintptr_t address, int protection)
{
	const struct range *all = state.ranges.items;

	for (size_t i = 0; i < state.ranges.count; i++)
		if (all[i].protection == protection && address >= all[i].start && address < all[i].end)
			return true;
	return false;
}
