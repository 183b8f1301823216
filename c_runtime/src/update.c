/* SPDX-License-Identifier: MIT */
/*
 * An update: lock, plan, check, carry out, publish. All or nothing: every instruction is read and found to be one
 * of ours before the first is written (I3); trampolines are right at all times, and the key says so last (I4).
 */
#include "runtime.h"
#include "records.h"

#include <errno.h>

/** A key and what it is to call. */
struct change {
	struct static_call_key *key;
	static_call_fn func;
};

static struct array pokes, poke_scratch, all_changes;

static int compare_pokes(const void *a, const void *b)
{
	const struct poke *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

/* Append a poke, unless the bytes are already what they are to be. */
static int queue(struct poke poke, enum how how)
{
	int error;

	if (poke.from.form == FORM_UNKNOWN)
		return -EINVAL;
	if (poke.from.word == poke.to.word)
		return 0;
	if (how == HOW_REFUSED)
		return -EOPNOTSUPP;
	error = array_reserve(&pokes, pokes.count + 1, sizeof(poke));
	if (error)
		return error;
	poke.how = (uint8_t)how;
	((struct poke *)pokes.items)[pokes.count++] = poke;
	return 0;
}

/* What a site becomes. Where its own form cannot do it the site calls its home, the trampoline, which can. */
static struct insn plan_insn(const struct site *site, enum form now, static_call_fn func)
{
	uintptr_t end = site->address + site->prefixes + 5, operand = site->home;
	bool keep = policy_keeps_call(site, now);
	enum form form = FORM_CALL;

	if (!func) {
		if (!keep)
			form = FORM_NOP;
	} else if (objects_return0(func)) {
		if (!keep) {
			form = FORM_CONSTANT;
			operand = 0;
		}
	} else if (insn_reaches(end, (uintptr_t)func)) {
		operand = (uintptr_t)func;
	}
	return insn_make_site(site->address, site->prefixes, form, operand);
}

static int plan_site(struct site *site, static_call_fn func)
{
	struct poke poke = { .address = site->address, .site = site, .length = (uint8_t)(site->prefixes + 5) };

	poke.from = insn_read_site(site->address, site->prefixes);
	poke.to = plan_insn(site, poke.from.form, func);
	poke.target = poke.to.operand;
	return queue(poke, policy_site(site, poke.from.form, poke.to.form));
}

static int plan_tramp(const struct tramp *tramp, static_call_fn func)
{
	struct poke poke = { .address = tramp->address, .target = (uintptr_t)func, .length = WORD };
	enum form form = FORM_JUMP;
	uintptr_t operand = (uintptr_t)func;

	if (!func) {
		form = FORM_RETURN;
	} else if (!insn_reaches(tramp->address + WORD, operand)) {
		form = FORM_JUMP_SLOT;
		operand = (uintptr_t)tramp->slot;
	}
	poke.from = insn_read_tramp(tramp->address);
	poke.to = insn_make_tramp(tramp->address, form, operand);
	return queue(poke, policy_tramp(poke.from.form, form));
}

static int plan(const struct change *changes, size_t count)
{
	int error = 0;

	pokes.count = 0;
	for (size_t i = 0; i < count && !error; i++) {
		size_t sites_count, tramps_count;
		struct site *sites = index_sites(changes[i].key, &sites_count);
		struct tramp *tramps = index_tramps(changes[i].key, &tramps_count);

		error = array_reserve(&pokes, pokes.count + sites_count + tramps_count, sizeof(struct poke));
		for (size_t j = 0; j < tramps_count && !error; j++)
			error = plan_tramp(&tramps[j], changes[i].func);
		for (size_t j = 0; j < sites_count && !error; j++)
			error = plan_site(&sites[j], changes[i].func);
	}
	return error ? error : array_sort(&pokes, &poke_scratch, sizeof(struct poke), compare_pokes);
}

/* The slots that far trampolines jump through. Before the pokes: a trampoline may begin to use its slot now. */
static void store_slots(const struct change *changes, size_t count, bool back)
{
	for (size_t i = 0; i < count; i++) {
		static_call_fn func = back ? __static_call_load(changes[i].key) : changes[i].func;
		size_t tramps_count;
		struct tramp *tramps = index_tramps(changes[i].key, &tramps_count);

		/* A trampoline that jumps through its slot until its poke must not find NULL there. */
		for (size_t j = 0; j < tramps_count && func; j++)
			__atomic_store_n(tramps[j].slot, func, __ATOMIC_RELEASE);
	}
}

static int carry_out(const struct change *changes, size_t count)
{
	struct poke *all = pokes.items;
	bool any_int3 = false;
	int error;

	for (size_t i = 0; i < pokes.count; i++)
		any_int3 |= all[i].how != HOW_STORE;
	if (any_int3) {
		error = trap_install();
		if (error)
			return error;
	}
	error = text_open(all, pokes.count);
	if (error)
		return error;
	store_slots(changes, count, false);
	error = poke_all(all, pokes.count);
	if (error)
		store_slots(changes, count, true);
	text_close();
	return error;
}

static int commit(const struct change *changes, size_t count)
{
	int error;

	policy_init();
	error = index_refresh();
	if (!error)
		error = plan(changes, count);
	if (!error && pokes.count)
		error = sync_ready();
	if (error)
		return error;
	if (pokes.count) {
		error = carry_out(changes, count);
		if (error)
			return error;
	} else {
		store_slots(changes, count, false);
	}
	for (size_t i = 0; i < count; i++)
		__atomic_store_n(&changes[i].key->func, changes[i].func, __ATOMIC_RELEASE);
	return 0;
}

/* Every key to the target that it has. */
static int commit_all(void)
{
	const struct tramp *tramps;
	size_t count;
	int error = index_refresh();

	if (error)
		return error;
	tramps = index_all_tramps(&count);
	error = array_reserve(&all_changes, count, sizeof(struct change));
	if (error)
		return error;
	all_changes.count = 0;
	for (size_t i = 0; i < count; i++)
		if (!i || tramps[i].key != tramps[i - 1].key)
			((struct change *)all_changes.items)[all_changes.count++] =
				(struct change){ tramps[i].key, __static_call_load(tramps[i].key) };
	return commit(all_changes.items, all_changes.count);
}

static void update_arrivals(const struct __static_call_object *object)
{
	const struct key_record *record = object->keys, *end = object->keys_end;

	for (; record < end; record++) {
		struct static_call_key *key = *(struct static_call_key **)RECORD_ADDRESS(record->key);
		struct insn now = insn_read_tramp(RECORD_ADDRESS(record->tramp));
		struct change change = { key, __static_call_load(key) };

		/* The slot still has what the definition says. A weak function may be NULL without the linker's notice. */
		if (change.func != *(static_call_fn *)RECORD_ADDRESS(record->slot) ||
		    (!change.func && now.form != FORM_RETURN))
			(void)commit(&change, 1);
	}
}

static int finish(int error, const sigset_t *blocked)
{
	if (error)
		COUNT(failures, 1);
	else
		COUNT(updates, 1);
	update_end(blocked);
	return error;
}

/* An update to the target that the key has still directs sites that were never patched. */
int __static_call_rt_update(struct static_call_key *key, static_call_fn func)
{
	struct change change = { key, func };
	sigset_t blocked;
	int error = update_begin(&blocked);

	return error ? error : finish(commit(&change, 1), &blocked);
}

int __static_call_rt_init(void)
{
	sigset_t blocked;
	int error = update_begin(&blocked);

	return error ? error : finish(commit_all(), &blocked);
}

void static_call_statistics(struct static_call_statistics *out)
{
	const unsigned long *from = (const unsigned long *)&statistics;
	unsigned long *to = (unsigned long *)out;

	for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
