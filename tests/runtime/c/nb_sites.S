/* SPDX-License-Identifier: MIT */
/* SITES functions, each a site and a return, PAGES pages from one to the next. */
	.macro	FUNCTION
1:	cs
	cs
	cs
	call	__SCT__key@PLT
	ret
	.pushsection __static_call_sites, "a", @progbits
	.p2align 2
	.long	1b - .
	.long	0
	.long	3
	.long	__SCT__key@GOTPCREL
	.popsection
	.endm

	.text
	.globl	first_site, last_site
	.p2align 12
first_site:
	.rept	SITES - 1
	FUNCTION
	.fill	4096 * PAGES - 9, 1, 0xcc
	.endr
last_site:
	FUNCTION
	.section .note.GNU-stack, "", @progbits
