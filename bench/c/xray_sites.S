/* SPDX-License-Identifier: MIT */
/* Functions as clang makes them with -fxray-instrument: FUNCTIONS of them, and one that calls each. */
	.section .text.run_all, "ax", @progbits
	.type run_all, @function
run_all:
	subq $8, %rsp

	.text
	.rept FUNCTIONS
	.p2align 4
1:	.p2align 1
2:	.ascii "\353\t"
	nopw 512(%rax,%rax)
	.p2align 1
3:	retq
	nopw %cs:512(%rax,%rax)
	.pushsection .text.run_all
	call 1b
	.popsection
	.pushsection xray_instr_map, "a", @progbits
4:	.quad 2b - 4b
	.quad 1b - (4b + 8)
	.byte 0, 1, 2
	.zero 13
5:	.quad 3b - 5b
	.quad 1b - (5b + 8)
	.byte 1, 1, 2
	.zero 13
	.popsection
	.pushsection xray_fn_idx, "a", @progbits
	.p2align 4
6:	.quad 4b - 6b
	.quad 2
	.popsection
	.endr

	.section .text.run_all, "ax", @progbits
	addq $8, %rsp
	ret
	.section bench_chunks, "aw", @progbits
	.quad run_all
	.section .note.GNU-stack, "", @progbits
