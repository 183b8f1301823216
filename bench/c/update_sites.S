/* SPDX-License-Identifier: MIT */
/*
 * The sites of update.c and startup.c, byte by byte and record by record what __SC_SITE in static_call_x86_64.h makes;
 * the assembler is through with a million in seconds. -DPREFIXES=3 (aligned), 1 (compact) or 0 (bare), -DMANY=n for
 * the largest key, -DNO_TABLE for text without records.
 */
	.macro SITE name
#if PREFIXES == 3
	.p2align 3
#endif
1:	.rept PREFIXES
	.byte 0x2e
	.endr
	call __SCT__\name@PLT
2:	.subsection 1
3:	call __SCT__\name@PLT
	.byte 0xe9
	.long 2b - . - 4
	.previous
#ifndef NO_TABLE
	.pushsection __static_call_sites, "aR", @progbits
	.p2align 2
	.long 1b - .
	.long 3b - .
	.long PREFIXES
	.long __SCT__\name@GOTPCREL
	.popsection
#endif
	.endm

	.macro SITES name, count
	.section .text.run_\name, "ax", @progbits
	.p2align 6
	.globl run_\name
	.type run_\name, @function
run_\name:
	subq $8, %rsp
	.rept \count
	SITE \name
	.endr
	addq $8, %rsp
	ret
	.endm

#ifdef KEYS
	/* One site a key: called by nobody, changed in one transaction. */
	.section .text.keys, "ax", @progbits
#include KEYS
#else
	SITES one, 1
	SITES hundred, 100
	SITES ten_thousand, 10000
	SITES million, MANY
#endif
	.section .note.GNU-stack, "", @progbits
