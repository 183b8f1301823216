/* SPDX-License-Identifier: MIT */
/* Arrays that grow, from mmap: a key may be the program's allocator, so an update must never call malloc. */
#include "runtime.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Not in the state's own room. */
static bool is_mapped(const struct array *array)
{
	return array->items && ((uintptr_t)array->items < (uintptr_t)&state || (uintptr_t)array->items >= (uintptr_t)(&state + 1));
}

static int array_grow(struct array *array, size_t count, size_t size)
{
	size_t room = array->room < PAGE ? PAGE : array->room;
	void *items;

	if (count * size <= array->room)
		return 0;
	while (room < count * size)
		room *= 2;
	items = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (items == MAP_FAILED)
		return -ENOMEM;
	if (array->items)
		memcpy(items, array->items, array->count * size);
	__atomic_store_n(&array->items, items, __ATOMIC_RELEASE);
	IN_ORDER();
	array->room = room;
	IN_ORDER();
	return 0;
}

static void array_free(struct array *array)
{
	struct array old = *array;

	*array = (struct array){ NULL, 0, 0 };
	IN_ORDER();
	if (is_mapped(&old))
		munmap(old.items, old.room);
}

static int array_reserve(struct array *array, size_t count, size_t size)
{
	struct array old = *array;
	int error = array_grow(array, count, size);

	if (array->items != old.items)
		array_free(&old);
	return error;
}

static int memory_replace(uintptr_t start, size_t size)
{
	void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int error;

	if (copy == MAP_FAILED)
		return -errno;
	memcpy(copy, (const void *)start, size);
	if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start) != MAP_FAILED)
		return 0;
	error = -errno;
	munmap(copy, size);
	return error;
}

static int array_open(const struct array *array)
{
	if (!is_mapped(array))
		return 0;
	COUNT(protections, 1);
	if (!mprotect(array->items, array->room, PROT_READ | PROT_WRITE))
		return 0;
	return memory_replace((uintptr_t)array->items, array->room);
}

static void array_close(const struct array *array)
{
	if (!is_mapped(array))
		return;
	COUNT(protections, 1);
	/* Where that is refused it stays as it is: docs/runtime.md says so. */
	(void)mprotect(array->items, array->room, PROT_READ);
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

/* Merge the sorted runs [a, middle) and [middle, end) of `from` into `to`. */
static void merge(const char *from, char *to, size_t start, size_t middle, size_t end, size_t size,
		  int (*compare)(const void *, const void *))
{
	size_t left = start, right = middle;

	for (size_t i = start; i < end; i++) {
		bool take_left = left < middle &&
				 (right >= end || compare(from + left * size, from + right * size) <= 0);
		size_t *next = take_left ? &left : &right;

		memcpy(to + i * size, from + *next * size, size);
		++*next;
	}
}

/* Where the sorted run ends that begins at `start`. */
static size_t run_end(const char *items, size_t start, size_t count, size_t size,
		      int (*compare)(const void *, const void *))
{
	size_t end = start < count ? start + 1 : count;

	while (end < count && compare(items + (end - 1) * size, items + end * size) <= 0)
		end++;
	return end;
}

/*
 * By merging the runs that are there, of which the linker leaves few: it lays tables out in the order of the text. qsort
 * is out: glibc's takes memory from malloc for all but small arrays. Sorting in place is, too: a million sites took
 * Shell's sort three times as long, and heapsort six times. The arrays keep their memory: an updater that is killed while
 * two of them exchange it would leave one memory to both.
 */
static int array_sort(struct array *array, size_t size, int (*compare)(const void *, const void *))
{
	struct array *scratch = &state.scratch;
	size_t count = array->count, runs = 2;
	char *from = array->items, *to;

	if (run_end(from, 0, count, size, compare) == count)
		return 0;
	if (array_reserve(scratch, count, size))
		return -ENOMEM;
	for (to = scratch->items; runs > 1; to = to == array->items ? scratch->items : array->items) {
		runs = 0;
		for (size_t start = 0, middle, end; start < count; start = end, runs++) {
			middle = run_end(from, start, count, size, compare);
			end = run_end(from, middle, count, size, compare);
			merge(from, to, start, middle, end, size, compare);
		}
		from = to;
	}
	if (from != array->items)
		memcpy(array->items, from, count * size);
	return 0;
}
