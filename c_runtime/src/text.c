/* SPDX-License-Identifier: MIT */
/*
 * Pages of text, writable for the length of an update. Execute permission is never dropped: threads run there, and
 * under PR_SET_MDWE it could not be had back. Never left writable: each range that was opened is closed.
 */
#include "runtime.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct range {
	uintptr_t start, end;
};

static struct array text_ranges;

static int protect(const struct range *range, int protection)
{
	COUNT(protections, 1);
	return mprotect((void *)range->start, range->end - range->start, protection) ? -errno : 0;
}

/* The page ranges of the pokes; neighbours are merged, so a dense object is one system call. */
static int find_ranges(const struct poke *pokes, size_t count)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct range *last = NULL;

	text_ranges.count = 0;
	for (size_t i = 0; i < count; i++) {
		uintptr_t start = pokes[i].address & ~(page - 1);
		uintptr_t end = ((pokes[i].address + pokes[i].length - 1) & ~(page - 1)) + page;
		int error;

		if (last && start <= last->end) {
			last->end = end > last->end ? end : last->end;
			continue;
		}
		error = array_reserve(&text_ranges, text_ranges.count + 1, sizeof(struct range));
		if (error)
			return error;
		last = (struct range *)text_ranges.items + text_ranges.count++;
		*last = (struct range){ start, end };
	}
	return 0;
}

static void text_close(void)
{
	const struct range *ranges = text_ranges.items;

	/* A failure here leaves a page writable and the program right; there is nobody to tell but the kernel. */
	for (size_t i = 0; i < text_ranges.count; i++)
		(void)protect(&ranges[i], PROT_READ | PROT_EXEC);
	text_ranges.count = 0;
}

static int text_open(const struct poke *pokes, size_t count)
{
	int error = find_ranges(pokes, count);
	const struct range *ranges = text_ranges.items;

	for (size_t i = 0; i < text_ranges.count && !error; i++) {
		error = protect(&ranges[i], PROT_READ | PROT_WRITE | PROT_EXEC);
		if (error)
			text_ranges.count = i;
	}
	if (error)
		text_close();
	return error;
}
