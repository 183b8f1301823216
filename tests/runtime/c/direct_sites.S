/* SPDX-License-Identifier: MIT */
/*
 * Call sites as direct mode makes them, written by hand: each kind in each layout, one function a site, at every offset
 * in a cache line. What direct_kinds.c is to know of them is in the section `rows`.
 */
#define CALL 0
#define JUMP 1
#define BRANCH 2

/* At that offset in a cache line. */
	.macro AT offset
	.p2align 6
	.if \offset
	.skip \offset, 0x90
	.endif
	.endm

	.macro PREFIXES count
	.rept \count
	.byte 0x2e
	.endr
	.endm

	.macro DISPLACEMENT
	.reloc ., R_X86_64_PLT32, __SCT__key - 4
	.long 0
	.endm

	.macro RECORD site, stub, prefixes, kind
	.pushsection __static_call_sites, "ao", @progbits, \site
	.p2align 2
	.long \site - .
	.long \stub
	.long \prefixes | \kind << 8
	.long __SCT__key@GOTPCREL
	.popsection
	.endm

	.macro ROW function, site, prefixes, kind, condition
	.pushsection rows, "aw", @progbits
	.p2align 3
	.quad \function, \site
	.long \prefixes, \kind, \condition, 0
	.popsection
	.endm

	/* int call(long *seen, double x) */
	.macro CALL_SITE prefixes, offset
.Lf\@:	subq $8, %rsp
	AT \offset
.Lsc\@:	PREFIXES \prefixes
	call __SCT__key@PLT
.Lse\@:	.subsection 1
.Lsb\@:	call __SCT__key@PLT
	.byte 0xe9
	.long .Lse\@ - . - 4
	.previous
	addq $8, %rsp
	ret
	RECORD .Lsc\@, ".Lsb\@ - .", \prefixes, CALL
	ROW .Lf\@, .Lsc\@, \prefixes, CALL, 0
	.endm

	.macro JUMP_SITE prefixes, offset
.Lf\@:	AT \offset
.Lsc\@:	PREFIXES \prefixes
	.byte 0xe9
	DISPLACEMENT
	ud2
	RECORD .Lsc\@, 0, \prefixes, JUMP
	ROW .Lf\@, .Lsc\@, \prefixes, JUMP, 0
	.endm

	/* int branch(long *seen, double x, unsigned long flags): 99 where it is not taken */
	.macro BRANCH_SITE prefixes, offset, condition
.Lf\@:	pushq %rsi
	popfq
	AT \offset
.Lsc\@:	PREFIXES \prefixes
	.byte 0x0f, 0x80 | \condition
	DISPLACEMENT
	movl $99, %eax
	ret
	RECORD .Lsc\@, 0, \prefixes, BRANCH
	ROW .Lf\@, .Lsc\@, \prefixes, BRANCH, \condition
	.endm

	.text
	.set offset, 0
	.rept 64
	CALL_SITE 1, offset
	CALL_SITE 0, offset
	JUMP_SITE 1, offset
	JUMP_SITE 0, offset
	BRANCH_SITE 1, offset, (offset & 15)
	BRANCH_SITE 0, offset, (offset & 15)
	.set offset, offset + 1
	.endr
	.set offset, 0
	.rept 16
	CALL_SITE 3, (offset * 8 & 63)
	JUMP_SITE 3, (offset * 8 & 63)
	BRANCH_SITE 2, (offset * 8 & 63), offset
	.set offset, offset + 1
	.endr

	/* int is_taken(unsigned condition, unsigned long flags): what the processor thinks */
	.globl is_taken
	.type is_taken, @function
is_taken:
	leaq 1f(%rip), %rax
	shlq $3, %rdi
	addq %rdi, %rax
	pushq %rsi
	popfq
	jmp *%rax
	.p2align 3
1:	.set condition, 0
	.rept 16
	.byte 0x0f, 0x90 | condition, 0xc0 /* setcc %al */
	movzbl %al, %eax
	ret
	.p2align 3
	.set condition, condition + 1
	.endr

	.globl rows_begin
	.type rows_begin, @function
rows_begin:
	leaq __start_rows(%rip), %rax
	ret
	.globl rows_end
	.type rows_end, @function
rows_end:
	leaq __stop_rows(%rip), %rax
	ret
	.hidden __start_rows
	.hidden __stop_rows
	.section .note.GNU-stack, "", @progbits
