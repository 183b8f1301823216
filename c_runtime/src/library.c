/* SPDX-License-Identifier: MIT */
/* Libraries that come and go while keys lead into and out of them. */
#include "runtime.h"
#include "records.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a trampoline, as its definition made it, does what its key says. */
static bool is_right(const struct key_record *record, static_call_fn func)
{
	uintptr_t tramp = RECORD_ADDRESS(record->tramp);
	static_call_fn slot = *(static_call_fn *)RECORD_ADDRESS(record->slot);
	bool returns = insn_read_tramp(tramp).operand == tramp + TRAMP_RETURN;

	/* A weak function may be NULL without the linker's notice. */
	return func ? !returns && slot == func : returns || slot == tramp_slot(tramp, NULL);
}

/* Not by stdio, whose buffers come from malloc. */
static void say(const char *text)
{
	(void)!write(STDERR_FILENO, text, strlen(text));
}

static void report_wrong(const struct key_record *record)
{
	say("static_call: ");
	say((const char *)RECORD_ADDRESS(record->name));
	say(" is called in a library that was opened too late to learn of its target: ");
	say(failure.what);
	say("\n");
}

static void library_arrives(const struct __static_call_object *object)
{
	const struct key_record *record = object->keys, *end = object->keys_end;
	struct guard guard;

	for (; record < end; record++) {
		struct static_call_key *key = RECORD_SLOT(record->key);
		struct static_call_change change = { key, __static_call_load(key) };

		if (is_right(record, change.func) || update_begin(&guard))
			continue;
		change.func = __static_call_load(key);
		if (!is_right(record, change.func) && update_commit(&change, 1))
			report_wrong(record);
		update_end(&guard);
	}
}

static void library_lost(void)
{
	say("static_call: a key was called whose target's library has been closed\n");
	abort();
}

/* At exit libraries are finished, but their code stays. */
static bool exiting;

static void at_exit(void)
{
	__atomic_store_n(&exiting, true, __ATOMIC_RELAXED);
}

static void library_watch_exit(void)
{
	static bool watching;

	/* No pthread_once(): atexit() may allocate, and the allocator be a key whose first call updates it. */
	if (!__atomic_exchange_n(&watching, true, __ATOMIC_RELAXED))
		(void)atexit(at_exit);
}

static void report_lost(const struct tramp *tramp)
{
	say("static_call: the target of ");
	say(tramp->name);
	say(" lies in a library that is being closed\n");
	COUNT(lost_targets, 1);
}

static void library_leaves(const struct object *object)
{
	struct tramp *tramps;
	size_t count;

	if (__atomic_load_n(&exiting, __ATOMIC_RELAXED) || index_refresh())
		return;
	tramps = index_tramps(NULL, &count);
	for (size_t i = 0; i < count; i++) {
		uintptr_t func = (uintptr_t)__static_call_load(tramps[i].key);
		struct static_call_change change = { tramps[i].key, library_lost };

		if (tramps[i].object == object->tables || func < object->start || func >= object->end)
			continue;
		report_lost(&tramps[i]);
		(void)update_commit(&change, 1);
	}
}
