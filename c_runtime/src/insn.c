/* SPDX-License-Identifier: MIT */
/*
 * The bytes of each form (docs/design.md, section 4). Every form begins with a cs prefix and is one whole
 * instruction, also when it is entered one byte later.
 */
#include "runtime.h"

#include <string.h>

static bool insn_reaches(uintptr_t end, uintptr_t target)
{
	intptr_t distance = (intptr_t)(target - end);

	return distance == (int32_t)distance;
}

static uintptr_t destination(uintptr_t end, const uint8_t *displacement)
{
	int32_t value;

	memcpy(&value, displacement, sizeof(value));
	return end + (uintptr_t)(intptr_t)value;
}

static struct insn insn_read_site(uintptr_t address, unsigned prefixes)
{
	static const uint8_t nop[CORE] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	const uint8_t *bytes = (const uint8_t *)address, *core = bytes + prefixes;
	struct insn insn = { 0, 0, FORM_UNKNOWN };
	uint32_t constant;

	memcpy(&insn.word, bytes, prefixes + CORE);
	for (unsigned i = 0; i < prefixes; i++)
		if (bytes[i] != PREFIX)
			return insn;
	if (core[0] == 0xe8) {
		insn.form = FORM_CALL;
		insn.operand = destination((uintptr_t)core + CORE, core + 1);
	} else if (!memcmp(core, nop, CORE)) {
		insn.form = FORM_NOP;
	} else if (core[0] == 0xb8) {
		memcpy(&constant, core + 1, sizeof(constant));
		insn.form = FORM_CONSTANT;
		insn.operand = constant;
	}
	return insn;
}

static struct insn insn_make_site(uintptr_t address, unsigned prefixes, enum form form, uintptr_t operand)
{
	uint8_t bytes[WORD] = { PREFIX, PREFIX, PREFIX };
	uint8_t *core = bytes + prefixes;
	struct insn insn = { 0, operand, form };
	uint32_t immediate = (uint32_t)operand;

	switch (form) {
	case FORM_CALL:
		core[0] = 0xe8;
		immediate = (uint32_t)(operand - (address + prefixes + CORE));
		break;
	case FORM_CONSTANT:
		core[0] = 0xb8;
		break;
	default:
		core[0] = 0x0f;
		immediate = 0x0000441f;
		break;
	}
	memcpy(core + 1, &immediate, sizeof(immediate));
	memcpy(&insn.word, bytes, prefixes + CORE);
	return insn;
}

static struct insn insn_read_tramp(uintptr_t address)
{
	const uint8_t *bytes = (const uint8_t *)address;
	struct insn insn = { 0, 0, FORM_UNKNOWN };

	memcpy(&insn.word, bytes, WORD);
	if (bytes[0] == PREFIX && bytes[1] == PREFIX && bytes[2] == PREFIX && bytes[3] == 0xe9) {
		insn.form = FORM_JUMP;
		insn.operand = destination(address + WORD, bytes + 4);
	}
	return insn;
}

static struct insn insn_make_tramp(uintptr_t address, uintptr_t operand)
{
	uint8_t bytes[WORD] = { PREFIX, PREFIX, PREFIX, 0xe9 };
	uint32_t displacement = (uint32_t)(operand - (address + WORD));
	struct insn insn = { 0, operand, FORM_JUMP };

	memcpy(bytes + 4, &displacement, sizeof(displacement));
	memcpy(&insn.word, bytes, WORD);
	return insn;
}

static static_call_fn tramp_slot(uintptr_t tramp, static_call_fn func)
{
	return func ? func : (static_call_fn)(tramp + TRAMP_RETURN);
}
