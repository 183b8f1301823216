/* SPDX-License-Identifier: MIT */
/* Two MiB of jumps, one in each cache line: whatever was in the caches of code and among the predicted branches is not. */
	.section .text.evict, "ax", @progbits
	.p2align 6
	.globl evict_code
	.type evict_code, @function
evict_code:
	.rept 32768
	jmp 1f
	.p2align 6
1:
	.endr
	ret
	.section .note.GNU-stack, "", @progbits
