/* SPDX-License-Identifier: MIT */
/*
 * The sites of update.c and startup.c, byte by byte and record by record what __SC_SITE in static_call_x86_64.h makes.
 * -DPREFIXES=3 (aligned), 1 (compact) or 0 (bare), -DNO_TABLE for text without records. -DCHUNK=n makes so many of the
 * key `million`, to be linked as often as wanted: that takes a tenth of the time of assembling them all.
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
#ifndef CHUNK
	.globl run_\name
#endif
	.type run_\name, @function
run_\name:
	subq $8, %rsp
	.rept \count
	SITE \name
	.endr
	addq $8, %rsp
	ret
	.endm

#if defined CHUNK
	SITES million, CHUNK
	.section bench_chunks, "aw", @progbits
	.quad run_million
#elif defined KEYS
	/* One site a key: called by nobody, changed in one transaction. */
	.section .text.keys, "ax", @progbits
#include KEYS
#else
	SITES one, 1
	SITES hundred, 100
	SITES ten_thousand, 10000
#endif
	.section .note.GNU-stack, "", @progbits
