/* SPDX-License-Identifier: MIT */
/*
 * Which sites and trampolines a key has: the objects' tables gathered and sorted by key and address. Made on the
 * first update, so that a program that never updates pays nothing; made again when objects have come or gone. Read-only
 * in between. A site with other bytes than the linker's (a debugger's breakpoint) has no home; an update of its key
 * finds it (plan.c).
 */
#include "runtime.h"
#include "records.h"

#include <string.h>

/* What sites and trampolines begin with, and are sorted by. */
struct entry {
	uintptr_t address;
	const struct static_call_key *key;
};
__extension__ _Static_assert(offsetof(struct site, address) == 0 && offsetof(struct tramp, address) == 0, "an entry comes first");
__extension__ _Static_assert(offsetof(struct site, key) == offsetof(struct entry, key), "an entry comes first");
__extension__ _Static_assert(offsetof(struct tramp, key) == offsetof(struct entry, key), "an entry comes first");

static int compare_entries(const void *a, const void *b)
{
	struct entry x, y;
	int order;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	order = array_by_address((const void *)&x.key, (const void *)&y.key);
	return order ? order : array_by_address(&x.address, &y.address);
}

/* The items of one key: the first, and how many; NULL where there are none. */
static void *items_of(const struct array *array, size_t size, const struct static_call_key *key, size_t *count)
{
	struct entry lowest = { 0, key }, highest = { UINTPTR_MAX, key };
	size_t first = 0, end = array->count;

	if (key) {
		first = array_lower_bound(array->items, array->count, size, &lowest, compare_entries);
		end = array_lower_bound(array->items, array->count, size, &highest, compare_entries);
	}
	*count = end - first;
	return *count ? (char *)array->items + first * size : NULL;
}

static struct site *index_sites(const struct static_call_key *key, size_t *count)
{
	return items_of(&state.index->sites, sizeof(struct site), key, count);
}

static struct tramp *index_tramps(const struct static_call_key *key, size_t *count)
{
	return items_of(&state.index->tramps, sizeof(struct tramp), key, count);
}

static int compare_doors(const void *a, const void *b)
{
	const struct tramp *x = a, *y = b;

	return array_by_address(&x->door, &y->door);
}

/* NULL where no object that is registered here has such a trampoline: another copy of the runtime may know it. */
static struct static_call_key *key_of(const struct array *tramps, uintptr_t door)
{
	const struct tramp *all = tramps->items, wanted = { .door = door };
	size_t at = array_lower_bound(all, tramps->count, sizeof(wanted), &wanted, compare_doors);

	return at < tramps->count && all[at].door == door ? all[at].key : NULL;
}

/*
 * Whether a rewriter of linked programs (BOLT) moved it: the GOT follows, the records, which are relative to themselves,
 * do not. A door in another object is an interposed trampoline's or a PLT entry; 4 bytes before are an endbr64. Through
 * its slot it goes right wherever it runs.
 */
static bool is_moved(const struct object *object, const struct key_record *record)
{
	uintptr_t tramp = RECORD_ADDRESS(record->tramp), door = (uintptr_t)RECORD_SLOT(record->door);

	return !record->by_slot && door >= object->start && door < object->end && door != tramp && door != tramp - 4;
}

static int gather_tramps(struct array *tramps, const struct object *object)
{
	const struct key_record *record = object->tables->keys, *end = object->tables->keys_end;
	bool moved = false;
	int error = array_reserve(tramps, tramps->count + (size_t)(end - record), sizeof(struct tramp));

	/* One that was moved speaks for all: an exported one's door may be elsewhere. */
	for (const struct key_record *each = record; each < end; each++)
		moved |= is_moved(object, each);
	for (; !error && record < end; record++)
		((struct tramp *)tramps->items)[tramps->count++] = (struct tramp){
			.address = RECORD_ADDRESS(record->tramp),
			.key = RECORD_SLOT(record->key),
			.door = (uintptr_t)RECORD_SLOT(record->door),
			.slot = (static_call_fn *)RECORD_ADDRESS(record->slot),
			.name = (const char *)RECORD_ADDRESS(record->name),
			.object = object->tables,
			.moved = moved && !record->by_slot,
		};
	return error;
}

/*
 * A site whose trampoline is not known stays as it is: it goes by the trampoline, which somebody keeps right. The
 * trampolines are sorted by their doors meanwhile.
 */
static int gather_sites(struct tables *next, const struct __static_call_object *object)
{
	const struct site_record *record = object->sites, *end = object->sites_end;
	struct array *sites = &next->sites;
	int error = array_reserve(sites, sites->count + (size_t)(end - record), sizeof(struct site));

	for (; !error && record < end; record++) {
		struct site site = {
			.address = RECORD_ADDRESS(record->site),
			.key = key_of(&next->tramps, (uintptr_t)RECORD_SLOT(record->door)),
			.stub = RECORD_ADDRESS(record->stub),
			.prefixes = (uint8_t)record->layout,
			.kind = (uint8_t)(record->layout >> 8),
		};

		if (site.key)
			((struct site *)sites->items)[sites->count++] = site;
		else
			next->foreign++;
	}
	return error;
}

/* A site's home is what the linker made of it; once we have patched it, only the tables before know. */
static void bring_home(struct tables *next)
{
	struct site *sites = next->sites.items;
	const struct site *olds = state.index->sites.items;
	size_t old = 0, count = state.index->sites.count;

	for (size_t i = 0; i < next->sites.count; i++) {
		struct site *site = &sites[i];
		struct insn insn;

		while (old < count && compare_entries(&olds[old], site) < 0)
			old++;
		if (old < count && !compare_entries(&olds[old], site) && olds[old].home) {
			site->home = olds[old].home;
			site->rested = olds[old].rested;
			continue;
		}
		insn = insn_read_site(site);
		site->home = insn.form == site->kind ? insn.operand : 0;
	}
}

/* The tables of each object that is there. */
static int gather(struct tables *next)
{
	const struct object *objects = state.objects.items;
	int error = 0;

	for (size_t i = 0; i < state.objects.count && !error; i++)
		if (objects[i].tables)
			error = gather_tramps(&next->tramps, &objects[i]);
	if (!error)
		error = array_sort(&next->tramps, sizeof(struct tramp), compare_doors);
	for (size_t i = 0; i < state.objects.count && !error; i++)
		if (objects[i].tables)
			error = gather_sites(next, objects[i].tables);
	if (!error)
		error = array_sort(&next->tramps, sizeof(struct tramp), compare_entries);
	if (!error)
		error = array_sort(&next->sites, sizeof(struct site), compare_entries);
	return error;
}

static void publish(struct tables *next)
{
	struct tables *old = state.index;

	IN_ORDER();
	state.index = next;
	IN_ORDER();
	state.indexed = state.generation;
	array_free(&old->sites);
	array_free(&old->tramps);
	__atomic_store_n(&statistics.sites, next->sites.count, __ATOMIC_RELAXED);
	__atomic_store_n(&statistics.trampolines, next->tramps.count, __ATOMIC_RELAXED);
	__atomic_store_n(&statistics.foreign_sites, next->foreign, __ATOMIC_RELAXED);
}

static int index_refresh(void)
{
	struct tables *next = &state.both[state.index == state.both];
	int error;

	/* Once sealed it stays as it is: nothing may be written. */
	if (state.sealed || state.indexed == state.generation)
		return 0;
	array_free(&next->sites);
	array_free(&next->tramps);
	next->foreign = 0;
	error = gather(next);
	if (error)
		return fail(error, "no memory for the index of sites", 0, NULL);
	bring_home(next);
	array_close(&next->sites);
	array_close(&next->tramps);
	publish(next);
	state_take_in();
	return 0;
}

static int index_open(void)
{
	return array_open(&state.index->sites);
}

static void index_close(void)
{
	array_close(&state.index->sites);
}

static void index_forget(const struct object *object)
{
	struct site *sites = state.index->sites.items;

	if (!state.index->sites.count || index_open())
		return;
	for (size_t i = 0; i < state.index->sites.count; i++)
		if (sites[i].address >= object->start && sites[i].address < object->end)
			sites[i].home = 0;
	index_close();
}
