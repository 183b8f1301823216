/* SPDX-License-Identifier: MIT */
/*
 * Which sites and trampolines a key has: the objects' tables gathered and sorted by key and address. Made on the
 * first update, so that a program that never updates pays nothing; made again when objects have come or gone. A site
 * with other bytes than the linker's (a debugger's breakpoint) has no home; an update of its key finds it (plan.c).
 */
#include "runtime.h"
#include "records.h"

#include <string.h>

/* Which key a trampoline, as all objects know it, belongs to. */
struct door {
	uintptr_t address;
	struct static_call_key *key;
};

struct tables {
	struct array sites, tramps, doors;
};

/* The tables in use. The other ones are where they are made anew; whole, they take their place by one store. */
static struct tables both[2], *current = both;
static unsigned long index_generation;

/* What sites and trampolines begin with, and are sorted by. */
struct entry {
	uintptr_t address;
	struct static_call_key *key;
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

static size_t lower_bound(const struct array *array, size_t size, struct entry wanted)
{
	return array_lower_bound(array->items, array->count, size, &wanted, compare_entries);
}

/* The items of one key: the first, and how many; NULL where there are none. */
static void *items_of(const struct array *array, size_t size, const struct static_call_key *key, size_t *count)
{
	struct static_call_key *mutable = (struct static_call_key *)(uintptr_t)key;
	size_t first = lower_bound(array, size, (struct entry){ 0, mutable });

	if (!key) {
		*count = array->count;
		return array->items;
	}
	*count = lower_bound(array, size, (struct entry){ UINTPTR_MAX, mutable }) - first;
	return *count ? (char *)array->items + first * size : NULL;
}

static struct site *index_sites(const struct static_call_key *key, size_t *count)
{
	return items_of(&current->sites, sizeof(struct site), key, count);
}

static struct tramp *index_tramps(const struct static_call_key *key, size_t *count)
{
	return items_of(&current->tramps, sizeof(struct tramp), key, count);
}

/* NULL where no object that is registered here has such a trampoline: another copy of the runtime may know it. */
static struct static_call_key *key_of(const struct tables *tables, uintptr_t address)
{
	const struct door *doors = tables->doors.items;
	size_t count = tables->doors.count;
	size_t at = array_lower_bound(doors, count, sizeof(*doors), &address, array_by_address);

	return at < count && doors[at].address == address ? doors[at].key : NULL;
}

static struct site site_of(const struct tables *tables, const struct site_record *record)
{
	return (struct site){
		.address = RECORD_ADDRESS(record->site),
		.key = key_of(tables, (uintptr_t)RECORD_SLOT(record->door)),
		.stub = RECORD_ADDRESS(record->stub),
		.prefixes = (uint8_t)record->layout,
		.kind = (uint8_t)(record->layout >> 8),
	};
}

/* A site whose trampoline is not known stays as it is: it goes by the trampoline, which somebody keeps right. */
static int gather_sites(struct tables *next, const struct __static_call_object *object, size_t *foreign)
{
	const struct site_record *record = object->sites, *end = object->sites_end;
	struct array *array = &next->sites;
	int error = array_reserve(array, array->count + (size_t)(end - record), sizeof(struct site));

	for (; !error && record < end; record++) {
		struct site site = site_of(next, record);

		if (site.key)
			((struct site *)array->items)[array->count++] = site;
		else
			++*foreign;
	}
	return error;
}

static int gather_tramps(struct tables *next, struct __static_call_object *object)
{
	const struct key_record *record = object->keys, *end = object->keys_end;
	size_t count = next->tramps.count + (size_t)(end - record);
	int error = array_reserve(&next->tramps, count, sizeof(struct tramp));

	if (!error)
		error = array_reserve(&next->doors, count, sizeof(struct door));
	for (; !error && record < end; record++) {
		struct static_call_key *key = RECORD_SLOT(record->key);

		((struct tramp *)next->tramps.items)[next->tramps.count++] = (struct tramp){
			.address = RECORD_ADDRESS(record->tramp),
			.key = key,
			.slot = (static_call_fn *)RECORD_ADDRESS(record->slot),
			.name = (const char *)RECORD_ADDRESS(record->name),
			.object = object,
		};
		((struct door *)next->doors.items)[next->doors.count++] =
			(struct door){ (uintptr_t)RECORD_SLOT(record->door), key };
	}
	return error;
}

/* A site's home is what the linker made of it; once we have patched it, only the tables before know. */
static void bring_home(struct tables *next)
{
	struct site *sites = next->sites.items, *olds = current->sites.items;
	size_t j = 0;

	for (size_t i = 0; i < next->sites.count; i++) {
		struct site *site = &sites[i];
		struct insn insn;

		while (j < current->sites.count && compare_entries(&olds[j], site) < 0)
			j++;
		if (j < current->sites.count && !compare_entries(&olds[j], site) && olds[j].home) {
			site->home = olds[j].home;
			site->rested = olds[j].rested;
			continue;
		}
		insn = insn_read_site(site);
		site->home = insn.form == site->kind ? insn.operand : 0;
	}
}

static int rebuild(struct tables *next, size_t *foreign)
{
	int error = 0;

	next->sites.count = next->tramps.count = next->doors.count = 0;
	for (struct __static_call_object *object = objects(); object && !error; object = object->next)
		error = gather_tramps(next, object);
	array_sort(&next->doors, sizeof(struct door), array_by_address);
	for (struct __static_call_object *object = objects(); object && !error; object = object->next)
		error = gather_sites(next, object, foreign);
	if (error)
		return fail(error, "no memory for the index of sites", 0, NULL);
	array_sort(&next->sites, sizeof(struct site), compare_entries);
	array_sort(&next->tramps, sizeof(struct tramp), compare_entries);
	bring_home(next);
	return 0;
}

static int index_refresh(void)
{
	struct tables *next = &both[current == both];
	size_t foreign = 0;
	int error;

	if (index_generation == objects_generation())
		return 0;
	error = rebuild(next, &foreign);
	if (error)
		return error;
	IN_ORDER();
	current = next;
	IN_ORDER();
	index_generation = objects_generation();
	__atomic_store_n(&statistics.sites, current->sites.count, __ATOMIC_RELAXED);
	__atomic_store_n(&statistics.trampolines, current->tramps.count, __ATOMIC_RELAXED);
	__atomic_store_n(&statistics.foreign_sites, foreign, __ATOMIC_RELAXED);
	return 0;
}

static void index_forget(const struct __static_call_object *object)
{
	const struct site_record *record = object->sites, *end = object->sites_end;
	struct site *sites = current->sites.items;

	for (; record < end; record++) {
		struct site gone = site_of(current, record);
		size_t at = lower_bound(&current->sites, sizeof(gone), (struct entry){ gone.address, gone.key });

		if (at < current->sites.count && !compare_entries(&sites[at], &gone))
			sites[at].home = 0;
	}
}
