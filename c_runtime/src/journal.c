/* SPDX-License-Identifier: MIT */
/*
 * What an update is about: the keys, what each is to call and what it called before. Written down before anything
 * changes, so that the update can be put back, also by the next one if its thread is killed.
 */
#include "runtime.h"

#include <errno.h>

static struct array journal_array;

static int journal_write(const struct static_call_change *asked, size_t count)
{
	struct change *changes;
	size_t kept = 0;

	journal = (struct journal){ NULL, 0 };
	journal_array.count = 0;
	if (array_reserve(&journal_array, count, sizeof(struct change)))
		return fail(-ENOMEM, "no memory for the journal", 0, NULL);
	changes = journal_array.items;
	for (size_t i = 0; i < count; i++) {
		const struct __static_call_object *object = asked[i].key->object;

		if (object && object->commit != __static_call_rt_commit)
			return fail(-EXDEV, "the keys belong to different copies of the runtime", 0, asked[i].key);
		changes[i] = (struct change){ asked[i].key, asked[i].func, __static_call_load(asked[i].key) };
	}
	journal_array.count = count;
	if (array_sort(&journal_array, sizeof(struct change), array_by_address))
		return fail(-ENOMEM, "no memory for the journal", 0, NULL);
	/* Of two of one key the later one counts; the sort is stable. */
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || changes[i].key != changes[i + 1].key)
			changes[kept++] = changes[i];
	journal = (struct journal){ changes, kept };
	return 0;
}

static int journal_check(void)
{
	struct target_lookup lookup;
	int error = target_open(&lookup);

	if (error)
		return fail(error, "/proc/self/maps, which tells whether the target is code, cannot be opened", 0, NULL);
	for (size_t i = 0; i < journal.count && !error; i++) {
		const struct change *change = &journal.changes[i];

		if (change->func && !target_executable(&lookup, change->func))
			error = fail(-EFAULT, "the target is not in executable memory", (uintptr_t)change->func,
				     change->key);
	}
	target_close(&lookup);
	return error;
}
