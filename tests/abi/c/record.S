/* SPDX-License-Identifier: MIT */
/*
 * sc_record and sc_record_result write down registers and change none (flags aside); sc_harness watches one caller.
 * The offsets are those of the structs in harness.c.
 */
	.text
	.globl	sc_record
	.type	sc_record, @function
sc_record:
	pushfq
	popq	sc_seen+56(%rip)
	movq	%rdi, sc_seen(%rip)
	movq	%rsi, sc_seen+8(%rip)
	movq	%rdx, sc_seen+16(%rip)
	movq	%rcx, sc_seen+24(%rip)
	movq	%r8, sc_seen+32(%rip)
	movq	%r9, sc_seen+40(%rip)
	movq	%rax, sc_seen+48(%rip)
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movups	%xmm\n, sc_seen+64+16*\n(%rip)
	.endr
	fnsave	sc_seen+192(%rip)
	frstor	sc_seen+192(%rip)
	stmxcsr	sc_seen+300(%rip)
	leaq	8(%rsp), %rax
	movq	%rax, sc_seen+304(%rip)
	incq	sc_calls(%rip)
	/* psABI 3.2.2: at a function's entry the stack pointer plus 8 is a multiple of 16. */
	andl	$15, %eax
	cmpl	$8, %eax
	je	1f
	incq	sc_misaligned(%rip)
1:	movq	sc_seen+48(%rip), %rax
	ret
	.size	sc_record, . - sc_record

	.globl	sc_record_result
	.type	sc_record_result, @function
sc_record_result:
	movq	%rax, sc_returned(%rip)
	movq	%rdx, sc_returned+8(%rip)
	movups	%xmm0, sc_returned+16(%rip)
	movups	%xmm1, sc_returned+32(%rip)
	fnsave	sc_returned+48(%rip)
	frstor	sc_returned+48(%rip)
	ret
	.size	sc_record_result, . - sc_record_result

	.globl	sc_harness
	.type	sc_harness, @function
sc_harness:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	movq	%rsp, sc_stack(%rip)
	movl	$0x1111, %ebx
	movl	$0x2222, %ebp
	movl	$0x3333, %r12d
	movl	$0x4444, %r13d
	movl	$0x5555, %r14d
	movl	$0x6666, %r15d
	fninit
	cld
	call	*%rdi
	pushfq
	popq	sc_after+56(%rip)
	movq	%rbx, sc_after(%rip)
	movq	%rbp, sc_after+8(%rip)
	movq	%r12, sc_after+16(%rip)
	movq	%r13, sc_after+24(%rip)
	movq	%r14, sc_after+32(%rip)
	movq	%r15, sc_after+40(%rip)
	movq	%rsp, %rax
	subq	sc_stack(%rip), %rax
	movq	%rax, sc_after+48(%rip)
	stmxcsr	sc_after+64(%rip)
	fnsave	sc_after+68(%rip)
	cld
	movq	sc_stack(%rip), %rsp
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret
	.size	sc_harness, . - sc_harness

	.bss
	.globl	sc_return
	.p2align 3
sc_return:
	.zero	8
sc_stack:
	.zero	8
	.data
	.globl	sc_pattern
	.p2align 6
sc_pattern:
	.fill	16, 4, 0xdeadbeef
	.section .note.GNU-stack, "", @progbits
