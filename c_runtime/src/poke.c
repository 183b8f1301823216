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
	return pages_store_text(poke->address + poke->length - 4u, insn_immediate(word, poke->length), 4);
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
		return pages_store_text(poke->address, (word & ~0xffULL) | INT3, WORD);
	if ((poke->address + displacement) % 4 == 0) {
		error = poke_displacement(poke, word);
		end = displacement;
	}
	for (unsigned i = poke->core ? 1 : displacement; i < end && !error; i++)
		error = pages_store_text(poke->address + i, bytes[i], 1);
	return error;
}

static int store_whole(const struct poke *poke, uint64_t word)
{
	return poke->core ? pages_store_text(poke->address, word, WORD) : poke_displacement(poke, word);
}

static bool poke_traps(const struct poke *pokes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (pokes[i].how != HOW_STORE)
			return true;
	return false;
}

static int store_int3(const struct poke *poke, uint64_t word)
{
	(void)word;
	return pages_store_text(poke->address, INT3, 1);
}

static int store_first(const struct poke *poke, uint64_t word)
{
	return pages_store_text(poke->address, word & 0xff, 1);
}

/* Store to all that go by int3, or to all that do not. */
static int each(const struct poke *pokes, size_t count, bool trap, bool back, int (*store)(const struct poke *, uint64_t))
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		if ((pokes[i].how != HOW_STORE) == trap)
			error = store(&pokes[i], back ? pokes[i].from : pokes[i].to);
	return error;
}

/*
 * A step failed (a seccomp filter that came late), or the thread was killed: so all goes back in the same order. A
 * synchronisation that fails again is passed over then.
 */
static int synchronise(bool back)
{
	int error = sync_cores();

	return back ? 0 : error;
}

static int poke_int3(const struct poke *pokes, size_t count, bool back)
{
	int error = each(pokes, count, true, back, store_int3);

	if (!error)
		error = synchronise(back);
	if (!error)
		error = each(pokes, count, true, back, store_rest);
	if (!error)
		error = synchronise(back);
	if (!error)
		error = each(pokes, count, true, back, store_first);
	return error ? error : synchronise(back);
}

/*
 * From whatever point it came to before. A thread that traps finds the published pokes, or later no int3, and goes on
 * either way; where a write fails, they stay published, since their int3s stay.
 */
static int change(const struct poke *pokes, size_t count, bool back)
{
	int error = each(pokes, count, false, back, store_whole);

	if (error || !count)
		return error;
	if (!poke_traps(pokes, count))
		return synchronise(back);
	trap_publish(pokes, count);
	error = poke_int3(pokes, count, back);
	if (!error)
		trap_retire();
	return error;
}

static int poke_undo(const struct poke *pokes, size_t count)
{
	return change(pokes, count, true);
}

static int poke_all(const struct poke *pokes, size_t count)
{
	size_t stored = 0;
	int error;

	for (size_t i = 0; i < count; i++) {
		stored += pokes[i].how == HOW_STORE;
		if (pokes[i].how == HOW_RESUME)
			pokes[i].site->rested = true;
	}
	error = change(pokes, count, false);
	if (!error) {
		COUNT(atomic_pokes, stored);
		COUNT(int3_pokes, count - stored);
	}
	return error;
}
