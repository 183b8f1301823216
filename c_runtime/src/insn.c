/* SPDX-License-Identifier: MIT */
/*
 * The bytes of each form (docs/design.md, section 4). Every form begins with the site's cs prefixes and is one whole
 * instruction, also when it is entered one byte later. Read and made as numbers: the first byte is the lowest.
 */
#include "runtime.h"

#include <string.h>

#define PREFIXES(n) (0x2e2e2eULL & ((1ULL << 8 * (n)) - 1))
#define NOP 0x0000441f0fULL    /* 0f 1f 44 00 00 */
#define RETURN 0xccccccccc3ULL /* c3 cc cc cc cc: int3 stops straight-line speculation */

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

static enum form form_of(uint64_t core)
{
	if (core == NOP)
		return FORM_NOP;
	if (core == RETURN)
		return FORM_RETURN;
	if ((core & 0xf0ff) == 0x800f)
		return FORM_BRANCH;
	switch (core & 0xff) {
	case 0xe8:
		return FORM_CALL;
	case 0xe9:
		return FORM_JUMP;
	case 0xb8:
		return FORM_CONSTANT;
	default:
		return FORM_UNKNOWN;
	}
}

/* Whether a site of that kind may have the form. */
static bool suits(unsigned kind, enum form form)
{
	return form == kind || (kind == FORM_CALL && (form == FORM_NOP || form == FORM_CONSTANT)) ||
	       (kind == FORM_JUMP && form == FORM_RETURN);
}

static struct insn insn_read_site(const struct site *site)
{
	unsigned length = insn_length(site);
	struct insn insn = { 0, 0, FORM_UNKNOWN };
	uint64_t core;
	uint32_t immediate;
	enum form form;

	memcpy(&insn.word, (const void *)site->address, length);
	core = insn.word >> 8 * site->prefixes;
	form = form_of(core);
	if (insn.word != (core << 8 * site->prefixes | PREFIXES(site->prefixes)) || !suits(site->kind, form))
		return insn;
	insn.form = form;
	immediate = insn_immediate(insn.word, length);
	if (form == site->kind)
		insn.operand = site->address + length + (uintptr_t)(int32_t)immediate;
	else if (form == FORM_CONSTANT)
		insn.operand = immediate;
	return insn;
}

static struct insn insn_make_site(const struct site *site, enum form form, uintptr_t operand)
{
	uint64_t immediate = (uint32_t)(form == site->kind ? operand - (site->address + insn_length(site)) : operand);
	uint64_t core;

	switch (form) {
	case FORM_CALL:
		core = 0xe8 | immediate << 8;
		break;
	case FORM_JUMP:
		core = 0xe9 | immediate << 8;
		break;
	case FORM_BRANCH:
		core = 0x0f | (uint64_t)((const uint8_t *)site->address)[site->prefixes + 1] << 8 | immediate << 16;
		break;
	case FORM_CONSTANT:
		core = 0xb8 | immediate << 8;
		break;
	case FORM_RETURN:
		core = RETURN;
		break;
	default:
		core = NOP;
		break;
	}
	return (struct insn){ core << 8 * site->prefixes | PREFIXES(site->prefixes), operand, form };
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
