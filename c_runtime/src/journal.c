/* SPDX-License-Identifier: MIT */
/*
 * What an update is about: the keys, what each is to call and what it called before. Written down before anything
 * changes, so that the update can be put back, also by the next one if its thread is killed.
 */
#include "runtime.h"

#include <errno.h>

static int journal_write(const struct static_call_change *asked, size_t count)
{
	struct array *journal = &state.journal;
	struct change *changes;
	size_t kept = 0;

	journal->count = 0;
	if (array_reserve(journal, count, sizeof(struct change)))
		return fail(-ENOMEM, "no memory for the journal", 0, NULL);
	changes = journal->items;
	for (size_t i = 0; i < count; i++)
		changes[i] = (struct change){ asked[i].key, asked[i].func, __static_call_load(asked[i].key) };
	journal->count = count;
	if (array_sort(journal, sizeof(struct change), array_by_address))
		return fail(-ENOMEM, "no memory for the journal", 0, NULL);
	/* Of two of one key the later one counts; the sort is stable. */
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || changes[i].key != changes[i + 1].key)
			changes[kept++] = changes[i];
	journal->count = kept;
	return 0;
}

static int journal_check(void)
{
	const struct change *changes = state.journal.items;
	struct maps maps = MAPS_CLOSED;
	int error = 0;

	for (size_t i = 0; i < state.journal.count && !error; i++) {
		static_call_fn func = changes[i].func;

		error = func ? target_check(&maps, func) : 0;
		if (error == -EFAULT)
			(void)fail(error, "the target is not in executable memory", (uintptr_t)func, changes[i].key);
		else if (error)
			(void)fail(error, "/proc/self/maps, which tells whether the target is code, cannot be opened", 0, NULL);
	}
	maps_close(&maps);
	return error;
}
