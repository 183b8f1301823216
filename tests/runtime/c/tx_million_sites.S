/* SPDX-License-Identifier: MIT */
/* The sites of tx_million.c: byte by byte and record by record what __SC_SITE in static_call_x86_64.h makes. */
	.section .text.run_all, "ax", @progbits
	.p2align 3
	.globl run_all
	.type run_all, @function
run_all:
	subq $8, %rsp
	.rept 1000000
	.p2align 3
1:	.byte 0x2e, 0x2e, 0x2e
	call __SCT__key@PLT
2:	.subsection 1
3:	call __SCT__key@PLT
	.byte 0xe9
	.long 2b - . - 4
	.previous
	.pushsection __static_call_sites, "aR", @progbits
	.p2align 2
	.long 1b - .
	.long 3b - .
	.long 3
	.long __SCT__key@GOTPCREL
	.popsection
	.endr
	addq $8, %rsp
	ret
	.section .note.GNU-stack, "", @progbits
