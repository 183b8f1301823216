/* SPDX-License-Identifier: MIT */
/*
 * An update: lock, write the journal, plan, carry out, publish. All or nothing: what fails is put back. Trampolines
 * are right at all times and written first, and the key says so last (I4).
 */
#include "runtime.h"

#include <errno.h>
#include <sys/mman.h>

/* Text, slots or keys may differ from what the keys said before. */
static bool under_way;

static void mark(bool begun)
{
	IN_ORDER();
	under_way = begun;
	IN_ORDER();
}

/* Alone in its page, which static_call_seal() makes read-only. */
static union {
	int sealed;
	char page[PAGE];
} seal __attribute__((__aligned__(4096)));

/*
 * Plan, and open the pages: by mprotect; else plan for /proc/self/mem; else see whether nothing but slots and keys
 * would have to be written.
 */
static int plan_and_open(void)
{
	int refused, error = plan_for_threads(0);

	if (error)
		return error;
	refused = pages_open(plan.pokes, plan.count);
	if (!refused)
		return 0;
	error = plan_for_threads(WITHOUT_STORES);
	if (!error)
		error = pages_open(plan.pokes, plan.count);
	if (error) {
		if (plan_all(WITHOUT_TEXT) || plan.count || pages_open(NULL, 0))
			return fail(error == -EBUSY ? error : refused,
				    "mprotect of text or keys was refused, and /proc/self/mem does not serve", 0, NULL);
		__atomic_store_n(&statistics.write, STATIC_CALL_WRITE_SLOT, __ATOMIC_RELAXED);
	}
	COUNT(without_mprotect, 1);
	return 0;
}

/* Before the pokes: a trampoline that is far now, or becomes so, does what the slot says. */
static int store_slots(bool back)
{
	int error = 0;

	for (size_t i = 0; i < journal.count; i++) {
		const struct change *change = &journal.changes[i];
		size_t count;
		struct tramp *tramps = index_tramps(change->key, &count);

		for (size_t j = 0; j < count && !error; j++) {
			static_call_fn slot = tramp_slot(tramps[j].address, back ? change->old : change->func);

			error = pages_store_pointer(tramps[j].slot, slot);
		}
	}
	return error;
}

static int store_keys(bool back)
{
	int error = 0;

	for (size_t i = 0; i < journal.count && !error; i++) {
		const struct change *change = &journal.changes[i];

		error = pages_store_pointer(&change->key->func, back ? change->old : change->func);
	}
	return error;
}

/* Everything as the journal says that it was. Pages are open. 0, or -errno if the next update must try again. */
static int put_back(void)
{
	int error = store_keys(true);

	if (!error)
		error = poke_undo(plan.pokes, plan.count);
	return error ? error : store_slots(true);
}

static int carry_out(void)
{
	int error = store_slots(false), step;

	if (error)
		return fail(error, "a slot could not be written", 0, NULL);
	error = poke_all(plan.pokes, plan.count);
	if (error)
		return fail(error, "core synchronisation (-EBUSY: a thread blocks SIGTRAP) or a write of text was refused", 0, NULL);
	error = store_keys(false);
	if (error)
		return fail(error, "a key could not be written", 0, NULL);
	error = pages_close();
	if (!error)
		return 0;
	/* The update is made; it is taken back, so that what is said is true, if all the pages can be had again. */
	step = pages_reopen(false);
	(void)fail(error, step ? "a page was left writable: mprotect was refused" : "mprotect was refused", 0, NULL);
	return step ? 0 : error;
}

/* Carry out what the journal says, or leave everything as it was. */
static int carry_out_or_back(void)
{
	int error = plan_and_open();

	if (error)
		return error;
	if (poke_traps(plan.pokes, plan.count) || (plan.count && sync_by_signal))
		error = trap_install();
	if (error) {
		(void)fail(error, "sigaction was refused", 0, NULL);
	} else {
		mark(true);
		error = carry_out();
		if (error && put_back())
			return error;
	}
	if (error)
		(void)pages_close();
	mark(false);
	pages_done();
	if (!error)
		plan_done();
	return error;
}

/* A thread was killed in the middle: its journal, its plan and its pages are still there. */
static int update_repair(void)
{
	int error;

	if (!under_way) {
		/* Pages that could not be closed are not what is wrong with this update. */
		(void)pages_close();
		pages_done();
		return 0;
	}
	error = pages_reopen(true);
	if (error)
		return fail(error, "an interrupted update could not be put back: mprotect was refused", 0, NULL);
	error = put_back();
	if (error)
		return fail(error, "an interrupted update could not be put back: a write was refused", 0, NULL);
	error = pages_close();
	if (!error) {
		mark(false);
		pages_done();
		COUNT(repairs, 1);
	}
	return error;
}

static int update_commit(const struct static_call_change *changes, size_t count)
{
	int error;

	policy_init();
	if (seal.sealed)
		return fail(-EPERM, "static calls are sealed", 0, count ? changes->key : NULL);
	objects_know(changes, count);
	error = index_refresh();
	if (!error)
		error = journal_write(changes, count);
	if (!error)
		error = journal_check();
	return error ? error : carry_out_or_back();
}

static int finish(int error, const struct guard *guard)
{
	if (error)
		COUNT(failures, 1);
	else
		COUNT(updates, 1);
	update_end(guard);
	return error;
}

/* An update to the target that the key has still directs sites that were never patched. */
int __static_call_rt_commit(const struct static_call_change *changes, static_call_size count)
{
	struct guard guard;
	int error;

	library_watch_exit();
	objects_measure(changes, count);
	error = update_begin(&guard);
	return error ? error : finish(update_commit(changes, count), &guard);
}

/* Every key to the target that it has. */
static int commit_all(void)
{
	static struct array all;
	const struct tramp *tramps;
	size_t count;
	int error = index_refresh();

	if (error)
		return error;
	tramps = index_tramps(NULL, &count);
	if (array_reserve(&all, count, sizeof(struct static_call_change)))
		return fail(-ENOMEM, "no memory for the journal", 0, NULL);
	for (size_t i = 0; i < count; i++)
		((struct static_call_change *)all.items)[i] =
			(struct static_call_change){ tramps[i].key, __static_call_load(tramps[i].key) };
	return update_commit(all.items, count);
}

int __static_call_rt_init(void)
{
	struct guard guard;
	int error = update_begin(&guard);

	if (error)
		return error;
	policy_init();
	/* Whoever forks by vfork() has the handlers of that moment. Who updates says it if it is refused. */
	if (policy.protocol != STATIC_CALL_ATOMIC)
		(void)trap_install();
	return finish(commit_all(), &guard);
}

int __static_call_rt_seal(void)
{
	struct guard guard;
	int error = update_begin(&guard);

	if (error)
		return error;
	if (!seal.sealed) {
		seal.sealed = 1;
		if (mprotect(&seal, sizeof(seal), PROT_READ)) {
			error = fail(-errno, "mprotect was refused", (uintptr_t)&seal, NULL);
			seal.sealed = 0;
		}
	}
	update_end(&guard);
	return error;
}
