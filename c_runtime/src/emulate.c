/* SPDX-License-Identifier: MIT */
/*
 * How a thread goes on that ran into an int3 of ours: as if the new instruction stood there. Nothing is touched here but
 * the plan, so that nothing can fault while the thread holds its reference; trap.c makes the push.
 */
#include "runtime.h"

#include <ucontext.h>

#ifndef STATIC_CALL_SHADOW_STACK
#define STATIC_CALL_SHADOW_STACK 0
#endif

/* Of the flags register. */
#define FLAG_CARRY 0x001u
#define FLAG_PARITY 0x004u
#define FLAG_ZERO 0x040u
#define FLAG_SIGN 0x080u
#define FLAG_OVERFLOW 0x800u

/* Whether this thread has a shadow stack: rdsspq is a nop where it has none. Tests pretend by -D. */
static bool has_shadow_stack(void)
{
	uint64_t pointer = STATIC_CALL_SHADOW_STACK;

	__asm__ volatile(".byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8" : "+a"(pointer));
	return pointer;
}

/*
 * A call goes by the trampoline and not straight to the new target: this thread may sleep before it goes on, and later
 * updates return meanwhile; what the trampoline does is right whenever it gets there (docs/model: "push straight to the target").
 *
 * A call pushes its return address: below the interrupted stack pointer, which is free, since a call there would use
 * it too (wrappers have no red zone). A shadow stack would not know of it, and the return would be a fault, so there
 * the site's stub makes the call, to the trampoline, which is right at all times.
 */
static struct step emulate_call(const struct poke *poke)
{
	if (poke->how == HOW_STUB || has_shadow_stack())
		return (struct step){ .next = poke->site->stub };
	return (struct step){ .next = poke->site->home, .pushes = poke->address + poke->length };
}

/* Whether the conditional jump would be taken: its opcode's low four bits, SDM volume 1, appendix B. */
static bool is_taken(const struct poke *poke, greg_t flags)
{
	static const unsigned any_of[] = { FLAG_OVERFLOW, FLAG_CARRY,  FLAG_ZERO, FLAG_CARRY | FLAG_ZERO,
					   FLAG_SIGN,     FLAG_PARITY, 0,         FLAG_ZERO };
	unsigned condition = (unsigned)insn_immediate(poke->to, poke->length - 1u) & 0xf;
	bool less = !(flags & FLAG_SIGN) != !(flags & FLAG_OVERFLOW);
	bool holds = (flags & any_of[condition / 2]) || (condition >= 0xc && less);

	return holds != (condition & 1);
}

static struct step emulate(const struct poke *poke, const greg_t *registers)
{
	uintptr_t behind = poke->address + poke->length;

	/*
	 * The rest of the instruction, without its first prefix: a call of the old target or of the new one, whichever
	 * stands there when it is run. (Torvalds's handler stores the new displacement itself. That gains nothing, since the
	 * update is not over before the updater has; and while an update is put back it would store the wrong one.)
	 */
	if (poke->how == HOW_RESUME)
		return (struct step){ .next = poke->address + 1 };
	if (poke->form == FORM_CALL)
		return emulate_call(poke);
	if (poke->form == FORM_CONSTANT)
		return (struct step){ behind, 0, insn_immediate(poke->to, poke->length), true };
	/* For the same reason as a call by the trampoline; a trampoline by its slot, which has been stored already. */
	if (poke->form == FORM_JUMP || poke->form == FORM_RETURN ||
	    (poke->form == FORM_BRANCH && is_taken(poke, registers[REG_EFL])))
		return (struct step){ .next = poke->site ? poke->site->home : poke->address + TRAMP_FAR };
	return (struct step){ .next = behind };
}
