/* SPDX-License-Identifier: MIT */
/*
 * Changing instructions while threads run through them.
 *
 * By store: one store of the whole word, aligned, or of the displacement alone (policy.c says where).
 * By int3, the kernel's text_poke order: int3 over every first byte; sync; everything behind the first byte; sync;
 * the first bytes; sync. "Swapping between some instruction and INT3 is OK; swapping back between that INT3 and
 * the original instruction is OK; anything else needs explicit core serialization" (Desnoyers and Zijlstra, LKML,
 * 14 Nov 2019). Three synchronisations a batch, however many sites it has. docs/model has each protocol and what
 * goes wrong without one of its steps.
 */
#include "runtime.h"

static int poke_displacement(const struct poke *poke, uint64_t word)
{
	return store_text(poke->address + poke->length - 4u, insn_immediate(word, poke->length), 4);
}

/*
 * Everything but the first byte, which is int3 now. A thread may rest right behind it (I2), so a word or a
 * displacement that one store can write is written by one store.
 */
static int store_rest(const struct poke *poke, uint64_t word)
{
	const uint8_t *bytes = (const uint8_t *)&word;
	unsigned displacement = poke->length - 4u, end = poke->length;
	int error = 0;

	if (poke->core && poke->length == WORD && poke->address % WORD == 0)
		return store_text(poke->address, (word & ~0xffULL) | INT3, WORD);
	if ((poke->address + displacement) % 4 == 0) {
		error = poke_displacement(poke, word);
		end = displacement;
	}
	for (unsigned i = poke->core ? 1 : displacement; i < end && !error; i++)
		error = store_text(poke->address + i, bytes[i], 1);
	return error;
}

static int store_whole(const struct poke *poke, uint64_t word)
{
	return poke->core ? store_text(poke->address, word, WORD) : poke_displacement(poke, word);
}

static int store_int3(const struct poke *poke, uint64_t word)
{
	(void)word;
	return store_text(poke->address, INT3, 1);
}

static int store_first(const struct poke *poke, uint64_t word)
{
	return store_text(poke->address, word & 0xff, 1);
}

static bool traps(const struct poke *poke)
{
	return poke->how != HOW_STORE;
}

static bool poke_traps(void)
{
	const struct poke *pokes = state.plan.items;

	for (size_t i = 0; i < state.plan.count; i++)
		if (traps(&pokes[i]))
			return true;
	return false;
}

/* Store to all that go by int3, or to all that do not. */
static int each(bool trap, bool back, int (*store)(const struct poke *, uint64_t))
{
	const struct poke *pokes = state.plan.items;
	int error = 0;

	for (size_t i = 0; i < state.plan.count && !error; i++)
		if (traps(&pokes[i]) == trap)
			error = store(&pokes[i], back ? pokes[i].from : pokes[i].to);
	return error;
}

/*
 * Where something is put back a synchronisation may have been refused before, and is no less needed: then by any means
 * there is. Without one the int3s stay, and the next update tries again.
 */
static int synchronise(bool back)
{
	return back ? sync_cores_somehow() : sync_cores();
}

/* Int3s and nothing else: "swapping back between that INT3 and the original instruction is OK". */
static int remove_int3(void)
{
	int error = each(true, true, store_first);

	if (!error)
		(void)sync_cores();
	return error;
}

static int poke_int3(bool back)
{
	int error;

	if (back && !state.rest_stored)
		return remove_int3();
	error = each(true, back, store_int3);
	if (!error)
		error = synchronise(back);
	state.rest_stored |= !error;
	IN_ORDER();
	if (!error)
		error = each(true, back, store_rest);
	if (!error)
		error = synchronise(back);
	if (!error)
		error = each(true, back, store_first);
	return error ? error : synchronise(back);
}

/*
 * From whatever point it came to before. The plan is published: a thread that traps finds it, or later no int3, and
 * goes on either way.
 */
static int change(bool back)
{
	int error = each(false, back, store_whole);

	if (error || !state.plan.count)
		return error;
	if (poke_traps())
		return poke_int3(back);
	error = synchronise(back);
	/* Whole stores are seen sooner or later; nothing else is to be done where even that is refused. */
	return back ? 0 : error;
}

static int poke_undo(void)
{
	return change(true);
}

/* A thread may rest in these sites from now on. 0 or -errno. */
static int mark_rested(void)
{
	const struct poke *pokes = state.plan.items;
	bool open = false;

	for (size_t i = 0; i < state.plan.count; i++) {
		if (pokes[i].how != HOW_RESUME || pokes[i].site->rested)
			continue;
		if (!open && index_open())
			return -ENOMEM;
		open = true;
		pokes[i].site->rested = true;
	}
	if (open)
		index_close();
	return 0;
}

static int poke_all(void)
{
	const struct poke *pokes = state.plan.items;
	size_t stored = 0;
	int error = mark_rested();

	for (size_t i = 0; i < state.plan.count; i++)
		stored += !traps(&pokes[i]);
	if (!error)
		error = change(false);
	if (!error) {
		COUNT(atomic_pokes, stored);
		COUNT(int3_pokes, state.plan.count - stored);
	}
	return error;
}
