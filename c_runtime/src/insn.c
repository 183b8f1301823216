/* SPDX-License-Identifier: MIT */
/*
 * The bytes of each form (docs/design.md, section 4). Every form begins with the site's cs prefixes and is one whole
 * instruction, also when it is entered one byte later. Read and made as numbers: the first byte is the lowest.
 */
#include "runtime.h"

#include <string.h>

#define PREFIXES(n) (0x2e2e2eULL & ((1ULL << 8 * (n)) - 1))

/* Of each form: whose it is, its opcode, which bits those are, and whether four bytes of an immediate end it. */
static const struct {
	enum form kind;
	uint64_t opcode, mask;
	bool immediate;
} encodings[] = {
	[FORM_CALL] = { FORM_CALL, 0xe8, 0xff, true },
	[FORM_JUMP] = { FORM_JUMP, 0xe9, 0xff, true },
	[FORM_BRANCH] = { FORM_BRANCH, 0x800f, 0xf0ff, true }, /* and the condition */
	[FORM_NOP] = { FORM_CALL, 0x0000441f0f, ~0ULL, false }, /* 0f 1f 44 00 00 */
	[FORM_CONSTANT] = { FORM_CALL, 0xb8, 0xff, true },
	/* c3 cc cc cc cc: int3 stops straight-line speculation */
	[FORM_RETURN] = { FORM_JUMP, 0xccccccccc3, ~0ULL, false },
};

static bool insn_reaches(uintptr_t end, uintptr_t target)
{
	intptr_t distance = (intptr_t)(target - end);

	return distance == (int32_t)distance;
}

static unsigned insn_length(const struct site *site)
{
	return site->prefixes + (site->kind == FORM_BRANCH ? 6u : 5u);
}

static uint32_t insn_immediate(uint64_t word, unsigned length)
{
	return (uint32_t)(word >> 8 * (length - 4));
}

/* Of those that a site of that kind may have. */
static enum form form_of(uint64_t core, unsigned kind)
{
	unsigned form = 0;

	while (form < FORM_UNKNOWN && (encodings[form].kind != kind || (core & encodings[form].mask) != encodings[form].opcode))
		form++;
	return (enum form)form;
}

/* Five to eight bytes and none behind them, by two loads: a copy in memory would be read back before it is whole. */
static uint64_t bytes_at(uintptr_t address, unsigned length)
{
	uint32_t low, high;

	memcpy(&low, (const void *)address, 4);
	memcpy(&high, (const void *)(address + length - 4), 4);
	return low | (uint64_t)high << 8 * (length - 4);
}

static struct insn insn_read_site(const struct site *site)
{
	unsigned length = insn_length(site);
	uint64_t word = bytes_at(site->address, length);
	uint64_t core = word >> 8 * site->prefixes;
	uint32_t immediate = insn_immediate(word, length);
	enum form form = FORM_UNKNOWN;
	uintptr_t operand = 0;

	if (word == (core << 8 * site->prefixes | PREFIXES(site->prefixes)))
		form = form_of(core, site->kind);
	if (form == site->kind)
		operand = site->address + length + (uintptr_t)(int32_t)immediate;
	else if (form == FORM_CONSTANT)
		operand = immediate;
	return (struct insn){ word, operand, form };
}

static struct insn insn_make_site(const struct site *site, enum form form, uintptr_t operand)
{
	unsigned length = insn_length(site);
	uint64_t immediate = (uint32_t)(form == site->kind ? operand - (site->address + length) : operand);
	uint64_t word = encodings[form].opcode << 8 * site->prefixes | PREFIXES(site->prefixes);

	if (encodings[form].immediate)
		word |= immediate << 8 * (length - 4);
	if (form == FORM_BRANCH)
		word |= (uint64_t)(((const uint8_t *)site->address)[site->prefixes + 1] & 0xf) << 8 * (site->prefixes + 1);
	return (struct insn){ word, operand, form };
}

/* A trampoline's word is an aligned site that always jumps. */
static struct site word_of_tramp(uintptr_t address)
{
	return (struct site){ .address = address, .prefixes = 3, .kind = FORM_JUMP };
}

static struct insn insn_read_tramp(uintptr_t address)
{
	struct site word = word_of_tramp(address);
	struct insn insn = insn_read_site(&word);

	if (insn.form != FORM_JUMP)
		insn.form = FORM_UNKNOWN;
	return insn;
}

static struct insn insn_make_tramp(uintptr_t address, uintptr_t operand)
{
	struct site word = word_of_tramp(address);

	return insn_make_site(&word, FORM_JUMP, operand);
}

static static_call_fn tramp_slot(uintptr_t tramp, static_call_fn func)
{
	return func ? func : (static_call_fn)(tramp + TRAMP_RETURN);
}
