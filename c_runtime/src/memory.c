/* SPDX-License-Identifier: MIT */
/* Arrays that grow, from mmap: a key may be the program's allocator, so an update must never call malloc. */
#include "runtime.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int array_reserve(struct array *array, size_t count, size_t size)
{
	size_t room = array->room ? array->room : PAGE;
	struct array old = *array;
	void *items;

	if (count * size <= array->room)
		return 0;
	while (room < count * size)
		room *= 2;
	items = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (items == MAP_FAILED)
		return -ENOMEM;
	if (old.items)
		memcpy(items, old.items, old.count * size);
	array->items = items;
	IN_ORDER();
	array->room = room;
	IN_ORDER();
	if (old.items)
		munmap(old.items, old.room);
	return 0;
}

static void array_free(const struct array *array)
{
	if (array->items)
		munmap(array->items, array->room);
}

static int array_by_address(const void *a, const void *b)
{
	uintptr_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static size_t array_lower_bound(const void *items, size_t count, size_t size, const void *wanted,
				int (*compare)(const void *, const void *))
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare((const char *)items + middle * size, wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

__extension__ _Static_assert(sizeof(struct poke) <= SORTED_SIZE && sizeof(struct site) <= SORTED_SIZE &&
			     sizeof(struct tramp) <= SORTED_SIZE && sizeof(struct change) <= SORTED_SIZE, "these are sorted");

/*
 * In place, by insertion over shrinking gaps (Shell): qsort is out, since glibc's takes memory from malloc for all but
 * small arrays, and a merge needs memory that can be refused.
 */
static void array_sort(const struct array *array, size_t size, int (*compare)(const void *, const void *))
{
	char *items = array->items, held[SORTED_SIZE];
	size_t sorted = 1;

	/* The linker lays tables out in the order of the text, so most arrays come sorted. */
	while (sorted < array->count && compare(items + (sorted - 1) * size, items + sorted * size) <= 0)
		sorted++;
	if (sorted >= array->count)
		return;
	for (size_t gap = array->count / 2; gap; gap = gap > 2 ? gap * 5 / 11 : gap / 2)
		for (size_t i = gap; i < array->count; i++) {
			size_t to = i;

			memcpy(held, items + i * size, size);
			for (; to >= gap && compare(items + (to - gap) * size, held) > 0; to -= gap)
				memcpy(items + to * size, items + (to - gap) * size, size);
			memcpy(items + to * size, held, size);
		}
}
