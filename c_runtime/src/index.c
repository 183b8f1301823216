/* SPDX-License-Identifier: MIT */
/*
 * Which sites and trampolines a key has: the objects' tables gathered and sorted by key and address. Made on the
 * first update, so that a program that never updates pays nothing; made again when objects have come or gone.
 */
#include "runtime.h"
#include "records.h"

#include <errno.h>
#include <string.h>

static struct {
	struct array sites, tramps;
	struct array old_sites, scratch;
	unsigned long generation;
} sc_index;

/* What sites and trampolines begin with, and are sorted by. */
struct entry {
	uintptr_t address;
	struct static_call_key *key;
};
__extension__ _Static_assert(offsetof(struct site, address) == 0 && offsetof(struct tramp, address) == 0, "an entry comes first");
__extension__ _Static_assert(offsetof(struct site, key) == offsetof(struct entry, key), "an entry comes first");
__extension__ _Static_assert(offsetof(struct tramp, key) == offsetof(struct entry, key), "an entry comes first");

static int by_pointer(uintptr_t a, uintptr_t b)
{
	return (a > b) - (a < b);
}

static int compare_entries(const void *a, const void *b)
{
	struct entry x, y;
	int order;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	order = by_pointer((uintptr_t)x.key, (uintptr_t)y.key);
	return order ? order : by_pointer(x.address, y.address);
}

/* The first item of `size` bytes that is not below `wanted`. */
static size_t lower_bound(const struct array *array, size_t size, struct entry wanted)
{
	size_t low = 0, high = array->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_entries((const char *)array->items + middle * size, &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The items of one key: the first, and how many; NULL where there are none. */
static void *items_of(const struct array *array, size_t size, const struct static_call_key *key, size_t *count)
{
	struct static_call_key *mutable = (struct static_call_key *)(uintptr_t)key;
	size_t first = lower_bound(array, size, (struct entry){ 0, mutable });

	*count = lower_bound(array, size, (struct entry){ UINTPTR_MAX, mutable }) - first;
	return *count ? (char *)array->items + first * size : NULL;
}

static struct site *index_sites(const struct static_call_key *key, size_t *count)
{
	return items_of(&sc_index.sites, sizeof(struct site), key, count);
}

static struct tramp *index_tramps(const struct static_call_key *key, size_t *count)
{
	return items_of(&sc_index.tramps, sizeof(struct tramp), key, count);
}

static const struct tramp *index_all_tramps(size_t *count)
{
	*count = sc_index.tramps.count;
	return sc_index.tramps.items;
}

static struct site site_of(const struct site_record *record)
{
	struct site site = { 0 };

	site.address = RECORD_ADDRESS(record->site);
	site.key = *(struct static_call_key **)RECORD_ADDRESS(record->key);
	site.prefixes = (uint8_t)record->prefixes;
	return site;
}

static int gather_sites(const struct __static_call_object *object)
{
	const struct site_record *record = object->sites, *end = object->sites_end;
	struct array *array = &sc_index.sites;
	int error = array_reserve(array, array->count + (size_t)(end - record), sizeof(struct site));

	if (error)
		return error;
	for (; record < end; record++)
		((struct site *)array->items)[array->count++] = site_of(record);
	return 0;
}

static int gather_tramps(const struct __static_call_object *object)
{
	const struct key_record *record = object->keys, *end = object->keys_end;
	struct array *array = &sc_index.tramps;
	int error = array_reserve(array, array->count + (size_t)(end - record), sizeof(struct tramp));

	if (error)
		return error;
	for (; record < end; record++) {
		struct tramp *tramp = (struct tramp *)array->items + array->count++;

		tramp->address = RECORD_ADDRESS(record->tramp);
		tramp->slot = (static_call_fn *)RECORD_ADDRESS(record->slot);
		tramp->key = *(struct static_call_key **)RECORD_ADDRESS(record->key);
	}
	return 0;
}

/* A site's home is what the linker made of it; once we have patched it, only the index before knows. */
static int bring_home(void)
{
	struct site *sites = sc_index.sites.items, *olds = sc_index.old_sites.items;
	size_t j = 0;

	for (size_t i = 0; i < sc_index.sites.count; i++) {
		struct site *site = &sites[i];
		struct insn insn;

		while (j < sc_index.old_sites.count && compare_entries(&olds[j], site) < 0)
			j++;
		if (j < sc_index.old_sites.count && !compare_entries(&olds[j], site) && olds[j].home) {
			site->home = olds[j].home;
			site->rested = olds[j].rested;
			continue;
		}
		insn = insn_read_site(site->address, site->prefixes);
		if (insn.form != FORM_CALL)
			return -EINVAL;
		site->home = insn.operand;
	}
	return 0;
}

static int rebuild(void)
{
	int error = 0;

	sc_index.sites.count = 0;
	sc_index.tramps.count = 0;
	for (const struct __static_call_object *object = objects(); object && !error; object = object->next) {
		error = gather_sites(object);
		if (!error)
			error = gather_tramps(object);
	}
	if (!error)
		error = array_sort(&sc_index.sites, &sc_index.scratch, sizeof(struct site), compare_entries);
	if (!error)
		error = array_sort(&sc_index.tramps, &sc_index.scratch, sizeof(struct tramp), compare_entries);
	return error ? error : bring_home();
}

static int index_refresh(void)
{
	struct array current = sc_index.sites;
	int error;

	if (sc_index.generation == objects_generation())
		return 0;
	sc_index.sites = sc_index.old_sites;
	sc_index.old_sites = current;
	error = rebuild();
	if (error) {
		/* The next update tries again, and must find what this one remembered. */
		current = sc_index.sites;
		sc_index.sites = sc_index.old_sites;
		sc_index.old_sites = current;
		return error;
	}
	sc_index.generation = objects_generation();
	__atomic_store_n(&statistics.sites, sc_index.sites.count, __ATOMIC_RELAXED);
	__atomic_store_n(&statistics.trampolines, sc_index.tramps.count, __ATOMIC_RELAXED);
	return 0;
}

static void index_forget(const struct __static_call_object *object)
{
	const struct site_record *record = object->sites, *end = object->sites_end;
	struct site *sites = sc_index.sites.items;

	for (; record < end; record++) {
		struct site gone = site_of(record);
		size_t at = lower_bound(&sc_index.sites, sizeof(gone), (struct entry){ gone.address, gone.key });

		if (at < sc_index.sites.count && !compare_entries(&sites[at], &gone))
			sites[at].home = 0;
	}
}
