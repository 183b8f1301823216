/* SPDX-License-Identifier: MIT */
/*
 * Changing instructions while threads run through them.
 *
 * By store: one aligned store of the whole word, or of the displacement alone.
 * By int3, the kernel's text_poke order: int3 over every first byte; sync; everything behind the first byte; sync;
 * the first bytes; sync. "Swapping between some instruction and INT3 is OK; swapping back between that INT3 and
 * the original instruction is OK; anything else needs explicit core serialization" (Desnoyers and Zijlstra, LKML,
 * 14 Nov 2019). Three synchronisations a batch, however many sites it has.
 */
#include "runtime.h"

#include <string.h>

static void poke_displacement(const struct poke *poke, uint64_t word)
{
	uint32_t displacement;

	memcpy(&displacement, (const uint8_t *)&word + poke->length - sizeof(displacement), sizeof(displacement));
	text_store_long(poke->address + poke->length - sizeof(displacement), displacement);
}

/*
 * Everything but the first byte, which is int3 now. A thread may rest right behind it (I2), so a word or a
 * displacement that one store can write is written by one store.
 */
static void store_rest(const struct poke *poke, uint64_t word)
{
	const uint8_t *bytes = (const uint8_t *)&word;
	unsigned single = poke->length - 4u;

	if (poke->length == WORD && poke->address % WORD == 0 && poke->how != HOW_RESUME) {
		text_store_word(poke->address, (word & ~0xffULL) | INT3);
		return;
	}
	if ((poke->address + single) % 4)
		single = poke->length;
	else
		poke_displacement(poke, word);
	for (unsigned i = 1; i < single && poke->how != HOW_RESUME; i++)
		text_store_byte(poke->address + i, bytes[i]);
}

static bool by_int3(const struct poke *poke)
{
	return poke->how != HOW_STORE;
}

static size_t poke_stores(const struct poke *pokes, size_t count, bool back)
{
	size_t stored = 0;

	for (size_t i = 0; i < count; i++)
		if (!by_int3(&pokes[i])) {
			text_store_word(pokes[i].address, back ? pokes[i].from.word : pokes[i].to.word);
			stored++;
		}
	return stored;
}

static void poke_first(const struct poke *pokes, size_t count, bool int3)
{
	for (size_t i = 0; i < count; i++)
		if (by_int3(&pokes[i]))
			text_store_byte(pokes[i].address, int3 ? INT3 : PREFIX);
}

static void poke_rest(const struct poke *pokes, size_t count, bool back)
{
	for (size_t i = 0; i < count; i++)
		if (by_int3(&pokes[i]))
			store_rest(&pokes[i], back ? pokes[i].from.word : pokes[i].to.word);
}

/*
 * A synchronisation was refused halfway (a seccomp filter that came late). Put everything back in the same order;
 * a thread that still traps finds the published pokes, or later no int3, and goes on either way.
 */
static void undo(const struct poke *pokes, size_t count)
{
	poke_first(pokes, count, true);
	(void)sync_cores();
	poke_rest(pokes, count, true);
	poke_stores(pokes, count, true);
	(void)sync_cores();
	poke_first(pokes, count, false);
	(void)sync_cores();
}

static int poke_int3(const struct poke *pokes, size_t count)
{
	int error;

	poke_first(pokes, count, true);
	error = sync_cores();
	if (error)
		return error;
	poke_rest(pokes, count, false);
	error = sync_cores();
	if (error)
		return error;
	poke_first(pokes, count, false);
	return sync_cores();
}

static int poke_all(struct poke *pokes, size_t count)
{
	size_t stored;
	int error = 0;

	for (size_t i = 0; i < count; i++)
		if (pokes[i].how == HOW_RESUME)
			pokes[i].site->rested = true;
	stored = poke_stores(pokes, count, false);
	if (stored == count) {
		error = sync_cores();
		if (error)
			poke_stores(pokes, count, true);
	} else {
		trap_publish(pokes, count);
		error = poke_int3(pokes, count);
		if (error)
			undo(pokes, count);
		trap_retire();
	}
	if (error)
		return error;
	COUNT(atomic_pokes, stored);
	COUNT(int3_pokes, count - stored);
	return 0;
}
