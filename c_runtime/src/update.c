/* SPDX-License-Identifier: MIT */
/*
 * An update: lock, write the journal, plan, carry out, publish. All or nothing: what fails is put back. Trampolines
 * are right at all times and written first, and the key says so last (I4).
 *
 * A fork() of another thread copies the process in the middle of it, one page after the other. So what the child
 * repairs by is whole before the first page of text is opened, and void only after the last one is closed: the kernel
 * changes no mapping while it copies (state_fence() where there is nothing to open or close).
 */
#include "runtime.h"

#include <errno.h>

/* The journal and the plan are complete, and nothing is stored yet. */
static void begin(void)
{
	trap_publish();
	state.opened = state.rest_stored = false;
	IN_ORDER();
	state.under_way = true;
	IN_ORDER();
}

/* All is as the journal says, or as it was before. */
static void end(void)
{
	IN_ORDER();
	state.under_way = false;
	IN_ORDER();
	stores_done();
	trap_retire();
	/* A handler that is misled later (its counter is ordinary data) finds nothing. */
	state.plan.count = 0;
}

/* Open the pages of the plan. 0 or -errno, and nothing is under way. */
static int open_plan(void)
{
	int error = 0;

	if (poke_traps() || (state.plan.count && sync_by_signal))
		error = trap_install();
	if (error)
		return fail(error, "sigaction was refused", 0, NULL);
	error = ranges_find();
	if (error)
		return error;
	begin();
	error = stores_open();
	if (error)
		end();
	else if (!ranges_are_open())
		state_fence();
	state.opened = !error;
	IN_ORDER();
	return error;
}

static int close_pages(void)
{
	if (!ranges_are_open())
		state_fence();
	return ranges_close();
}

/* By mprotect; else by /proc/self/mem; else see whether nothing but slots and keys would have to be written. */
static int plan_and_open(void)
{
	int refused, error = plan_for_threads(0);

	if (error)
		return error;
	refused = open_plan();
	if (!refused)
		return 0;
	error = plan_for_threads(WITHOUT_STORES);
	if (!error)
		error = open_plan();
	if (error) {
		if (plan_all(WITHOUT_TEXT) || state.plan.count || open_plan())
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
	const struct change *changes = state.journal.items;
	int error = 0;

	for (size_t i = 0; i < state.journal.count; i++) {
		size_t count;
		struct tramp *tramps = index_tramps(changes[i].key, &count);

		for (size_t j = 0; j < count && !error; j++)
			error = store_pointer(tramps[j].slot,
					      tramp_slot(tramps[j].address, back ? changes[i].old : changes[i].func));
	}
	return error;
}

static int store_keys(bool back)
{
	const struct change *changes = state.journal.items;
	int error = 0;

	for (size_t i = 0; i < state.journal.count && !error; i++)
		error = store_pointer(&changes[i].key->func, back ? changes[i].old : changes[i].func);
	return error;
}

/* Everything as the journal says that it was. Pages are open. 0, or -errno if the next update must try again. */
static int put_back(void)
{
	int error = store_keys(true);

	if (!error)
		error = poke_undo();
	return error ? error : store_slots(true);
}

static int carry_out(void)
{
	int error = store_slots(false), step;

	if (!error)
		error = poke_all();
	if (!error)
		error = store_keys(false);
	if (error)
		return error;
	error = close_pages();
	if (!error)
		return 0;
	/* The update is made; it is taken back, so that what is said is true, if all the pages can be had again. */
	step = ranges_reopen(false);
	(void)fail(error, step ? "a page was left writable: mprotect was refused" : "mprotect was refused", 0, NULL);
	return step ? 0 : error;
}

/* Carry out what the journal says, or leave everything as it was. */
static int carry_out_or_back(void)
{
	int error = plan_and_open();

	if (error)
		return error;
	error = carry_out();
	if (error && put_back())
		return error;
	if (error)
		(void)close_pages();
	end();
	if (!error)
		plan_done();
	return error;
}

/* A thread was killed in the middle: its journal, its plan and its pages are still there. */
static int update_repair(void)
{
	int error;

	if (!state.under_way) {
		/* Pages that could not be closed are not what is wrong with this update. */
		(void)ranges_close();
		stores_done();
		trap_retire();
		return 0;
	}
	error = ranges_reopen(true);
	if (!error)
		error = stores_reopen();
	/* What could not be opened then has not been written. (Else all is put back: a fork may have missed that it was.) */
	if (error && state.opened)
		return fail(error, "an interrupted update could not be put back: mprotect was refused", 0, NULL);
	error = error ? 0 : put_back();
	if (error)
		return error;
	error = close_pages();
	if (!error) {
		end();
		COUNT(repairs, 1);
	}
	return error;
}

static int update_commit(const struct static_call_change *changes, size_t count)
{
	int error;

	if (state.sealed)
		return fail(-EPERM, "static calls are sealed", 0, count ? changes->key : NULL);
	policy_init();
	error = objects_check(changes, count);
	if (!error)
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
static int commit(const struct static_call_change *changes, static_call_size count)
{
	struct guard guard;
	int error;

	library_watch_exit();
	objects_enter(changes, count);
	error = update_begin(&guard);
	return error ? error : finish(update_commit(changes, count), &guard);
}

/* Every key to the target that it has. */
static int commit_all(void)
{
	struct array all = { NULL, 0, 0 };
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
	error = update_commit(all.items, count);
	array_free(&all);
	return error;
}

static int init(void)
{
	struct guard guard;
	int error = update_begin(&guard);

	if (error)
		return error;
	if (!state.sealed) {
		policy_init();
		/* Whoever forks by vfork() has the handlers of that moment. Who updates says it if it is refused. */
		if (state.policy.protocol != STATIC_CALL_ATOMIC)
			(void)trap_install();
	}
	return finish(commit_all(), &guard);
}

static int seal_locked(void)
{
	int error = index_refresh();

	if (!error && ranges_close())
		error = fail(-EPERM, "a page was left writable: mprotect was refused", 0, NULL);
	return error ? error : state_seal();
}

/*
 * The state is closed, and never opened again. What may be asked later is made ready, and stays: no call could be led away
 * from a library that goes.
 */
static int seal(void)
{
	unsigned long staying = 0; /* the generation whose objects stay; that of no objects at first */
	struct guard guard;
	bool done = false;
	int error = 0;

	while (!done) {
		error = update_begin(&guard);
		if (error)
			return error;
		done = state.sealed || state.generation == staying;
		staying = state.generation;
		if (done && !state.sealed)
			error = seal_locked();
		update_end(&guard);
		if (!done)
			objects_stay();
	}
	return error;
}
