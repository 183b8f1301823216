/* SPDX-License-Identifier: MIT */
/*
 * What each site and trampoline of the journal's keys is to become, and by which protocol. Every instruction is read
 * and found to be one of ours before the first is written (I3).
 */
#include "runtime.h"

#include <errno.h>

/* How many sites are left without the form that they should have. */
static struct {
	unsigned long far, kept, crossing;
} shortfall;

/* Append a poke, unless the bytes are already what they are to be. */
static int queue(struct site *site, uintptr_t address, unsigned length, struct insn from, struct insn to, enum how how,
		 const struct static_call_key *key)
{
	int error;

	if (from.form == FORM_UNKNOWN)
		return fail(-EINVAL, site ? "unexpected bytes at a call site" : "unexpected bytes at a trampoline",
			    address, key);
	if (from.word == to.word)
		return 0;
	if (how == HOW_REFUSED)
		return fail(state.policy.constraints & WITHOUT_INT3 ? -EBUSY : -EOPNOTSUPP,
			    "this change cannot be made by one store", address, key);
	error = array_reserve(&state.plan, state.plan.count + 1, sizeof(struct poke));
	if (error)
		return fail(error, "no memory for the plan", address, key);
	/* In place: a copy of what was just written in pieces waits for the pieces, a third of an update's time. */
	((struct poke *)state.plan.items)[state.plan.count++] = (struct poke){
		.address = address,
		.from = from.word,
		.to = to.word,
		.site = site,
		.length = (uint8_t)length,
		.how = (uint8_t)how,
		.form = (uint8_t)to.form,
		.core = from.form != to.form || from.form == FORM_CONSTANT,
	};
	return 0;
}

/* What a site does for its key's target, were nothing in the way. */
static enum form wanted_form(const struct site *site, static_call_fn func, uintptr_t *operand)
{
	*operand = (uintptr_t)func;
	if (site->kind == FORM_JUMP)
		return func ? FORM_JUMP : FORM_RETURN;
	if (site->kind == FORM_BRANCH) {
		*operand = func ? *operand : site->home;
		return FORM_BRANCH;
	}
	if (!func)
		return FORM_NOP;
	if (objects_return0(func)) {
		*operand = 0;
		return FORM_CONSTANT;
	}
	return state.policy.folding ? target_folded(func, operand) : FORM_CALL;
}

/*
 * What a site becomes. What it cannot do, or must not be changed to, its home can: the trampoline. A target out of reach
 * it calls by the trampoline's jump through the slot: one jump, as by a PLT, and not two.
 */
static struct insn plan_insn(const struct site *site, const struct insn *now, static_call_fn func, uintptr_t far)
{
	uintptr_t operand;
	enum form form = wanted_form(site, func, &operand);
	struct insn wanted;

	if (form == site->kind && !insn_reaches(site->address + insn_length(site), operand)) {
		shortfall.far++;
		operand = insn_reaches(site->address + insn_length(site), far) ? far : site->home;
	}
	wanted = insn_make_site(site, form, operand);
	if (wanted.word == now->word || policy_site(site, now->form, form) != HOW_REFUSED)
		return wanted;
	if (operand != far)
		++*(policy_crosses(site) ? &shortfall.crossing : &shortfall.kept);
	return insn_make_site(site, site->kind, site->home);
}

static int plan_site(struct site *site, static_call_fn func, uintptr_t far)
{
	struct insn from = insn_read_site(site), to;

	if (!site->home && from.form == site->kind && !index_open()) {
		site->home = from.operand;
		index_close();
	}
	to = plan_insn(site, &from, func, far);
	return queue(site, site->address, insn_length(site), from, to, policy_site(site, from.form, to.form), site->key);
}

static int plan_tramp(const struct tramp *tramp, static_call_fn func)
{
	uintptr_t operand = (uintptr_t)func;

	if (tramp->moved)
		return fail(-EOPNOTSUPP, "the program was rewritten after it was linked (BOLT): what runs is not what can be changed",
			    tramp->address, tramp->key);
	if ((state.policy.constraints & WITHOUT_TEXT) || (func && !insn_reaches(tramp->address + WORD, operand)))
		operand = tramp->address + TRAMP_FAR;
	else if (!func)
		operand = tramp->address + TRAMP_RETURN;
	return queue(NULL, tramp->address, WORD, insn_read_tramp(tramp->address),
		     insn_make_tramp(tramp->address, operand), policy_tramp(), tramp->key);
}

static int plan_key(const struct change *change)
{
	size_t sites_count, tramps_count;
	struct site *sites = index_sites(change->key, &sites_count);
	struct tramp *tramps = index_tramps(change->key, &tramps_count);
	int error = 0;

	for (size_t i = 0; i < tramps_count && !error; i++)
		error = plan_tramp(&tramps[i], change->func);
	for (size_t i = 0; i < sites_count && !error; i++)
		error = plan_site(&sites[i], change->func, tramps->address + TRAMP_FAR);
	return error;
}

static int plan_all(unsigned constraints)
{
	const struct change *changes = state.journal.items;
	int error = 0;

	state.policy.constraints = constraints;
	state.plan.count = 0;
	shortfall.far = shortfall.kept = shortfall.crossing = 0;
	for (size_t i = 0; i < state.journal.count && !error; i++)
		error = plan_key(&changes[i]);
	if (error)
		return error;
	if (array_sort(&state.plan, sizeof(struct poke), array_by_address))
		return fail(-ENOMEM, "no memory for the plan", 0, NULL);
	return 0;
}

/* What look_at_threads() said is in the way. */
static int fail_for(int threads)
{
	if (threads == THREADS_BLOCK)
		return fail(-EBUSY, "a thread blocks SIGTRAP, and would be killed by it", 0, NULL);
	return fail(threads, "whether a thread blocks SIGTRAP cannot be read (-EBUSY: /proc is another pid namespace's)", 0,
		    NULL);
}

static int plan_for_threads(unsigned constraints)
{
	bool automatic = state.policy.protocol == STATIC_CALL_AUTO, traced;
	int error = plan_all(constraints), threads;

	sync_choose();
	if (error || !(sync_by_signal ? state.plan.count != 0 : poke_traps()))
		return error;
	threads = look_at_threads();
	if (threads != THREADS_TRAP && (sync_by_signal || !automatic))
		return fail_for(threads);
	/* A debugger gets the signal first, and stops the program. Who asks for int3 by name gets it all the same. */
	traced = threads == THREADS_TRAP && automatic && look_is_traced();
	if (threads == THREADS_TRAP && !traced)
		return 0;
	error = plan_all(constraints | WITHOUT_INT3);
	if (error == -EBUSY && traced)
		return plan_all(constraints);
	if (error == -EBUSY && threads < 0)
		return fail_for(threads);
	if (!error)
		COUNT(without_int3, 1);
	return error;
}

static void plan_done(void)
{
	COUNT(far_targets, shortfall.far);
	COUNT(kept_calls, shortfall.kept);
	COUNT(crossing_sites, shortfall.crossing);
}
