/* SPDX-License-Identifier: MIT */
/*
 * What a call hidden in asm breaks first: locals in the red zone, the stack's alignment, values that live in registers
 * which the callee may change. The target checks its alignment, overwrites the 512 bytes below the stack pointer that it
 * was called with, and leaves garbage in every register it may change; the callers are leaf functions but for the call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <static_call.h>

static unsigned long misaligned, calls;

/* The stack pointer at a function's entry is 8 past a multiple of 16 (psABI 3.2.2). */
static __attribute__((noinline)) void spoil(unsigned long entry)
{
	misaligned += entry % 16 != 8;
	calls++;
	__asm__ volatile("movq $-1, %%rax\n\tmovq %%rax, %%rcx\n\tmovq %%rax, %%rdx\n\tmovq %%rax, %%rsi\n\t"
			 "movq %%rax, %%rdi\n\tmovq %%rax, %%r8\n\tmovq %%rax, %%r9\n\tmovq %%rax, %%r10\n\t"
			 "movq %%rax, %%r11\n\tmovq %%rax, %%xmm0\n\tpunpcklqdq %%xmm0, %%xmm0\n\t"
			 "movdqa %%xmm0, %%xmm1\n\tmovdqa %%xmm0, %%xmm2\n\tmovdqa %%xmm0, %%xmm3\n\t"
			 "movdqa %%xmm0, %%xmm4\n\tmovdqa %%xmm0, %%xmm5\n\tmovdqa %%xmm0, %%xmm6\n\t"
			 "movdqa %%xmm0, %%xmm7\n\tmovdqa %%xmm0, %%xmm8\n\tmovdqa %%xmm0, %%xmm9\n\t"
			 "movdqa %%xmm0, %%xmm10\n\tmovdqa %%xmm0, %%xmm11\n\tmovdqa %%xmm0, %%xmm12\n\t"
			 "movdqa %%xmm0, %%xmm13\n\tmovdqa %%xmm0, %%xmm14\n\tmovdqa %%xmm0, %%xmm15"
			 ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3",
			 "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
			 "memory");
}

/* Entered by hand, to see the stack pointer before any compiler has touched it; returns its argument plus one. */
long target(long x);
__asm__(".text\n\t.p2align 4\n\t.type target, @function\ntarget:\n\t"
	"pushq %rdi\n\t"
	"leaq 8(%rsp), %rdi\n\t"
	"leaq -512(%rsp), %rsi\n"
	"1:\tmovb $0xa5, (%rsi)\n\tincq %rsi\n\tcmpq %rsp, %rsi\n\tjb 1b\n\t"
	"call spoil_entry\n\t"
	"popq %rax\n\tincq %rax\n\tret\n\t.size target, . - target");
__attribute__((used)) void spoil_entry(unsigned long entry)
{
	spoil(entry);
}

DEFINE_STATIC_CALL(key, target);

static __attribute__((noinline)) long plain_leaf(long x)
{
	return static_call(key)(x);
}

static __attribute__((noinline)) long locals(long x)
{
	volatile long a[12];
	long sum = 0;

	for (int i = 0; i < 12; i++)
		a[i] = x + i;
	sum = static_call(key)(x);
	for (int i = 0; i < 12; i++)
		sum += a[i];
	return sum;
}

static __attribute__((noinline)) long live(long a, long b, long c, long d, long e, double f, double g)
{
	double h = f * g, i = f + g, j = f - g;
	long result = static_call(key)(a * b);

	return result + a + b + c + d + e + (long)(h + i + j + f + g);
}

static __attribute__((noinline)) long early_out(long x)
{
	/* Shrink-wrapping would love to make the frame after this. */
	if (x < 0)
		return x;
	return static_call(key)(x) + static_call(key)(x + 1);
}

static __attribute__((noinline)) long aligned(long x)
{
	_Alignas(64) volatile char buffer[64];
	long result;

	memset((char *)buffer, (int)x, sizeof(buffer));
	result = static_call(key)(x);
	return result + buffer[63] + ((unsigned long)buffer % 64 ? 1000000 : 0);
}

static __attribute__((noinline)) long loop(long n)
{
	long sum = 0;

	for (long i = 0; i < n; i++)
		sum += static_call(key)(i) * (i ^ 5);
	return sum;
}

static __attribute__((noinline)) long grown(long n)
{
	volatile char *p = __builtin_alloca((size_t)n);
	long result;

	for (long i = 0; i < n; i++)
		p[i] = (char)i;
	result = static_call(key)(n);
	for (long i = 0; i < n; i++)
		result += p[i] == (char)i;
	return result;
}

static __attribute__((noinline)) long address_taken(long x)
{
	long y = x, *volatile p = &y;
	long result = static_call(key)(*p);

	return result + *p;
}

static int failures;

static void expect(const char *what, long got, long wanted)
{
	if (got != wanted) {
		fprintf(stderr, "frames: %s: got %ld, wanted %ld\n", what, got, wanted);
		failures++;
	}
}

static void run(void)
{
	long sum = 0;

	for (long i = 0; i < 10; i++)
		sum += (i + 1) * (i ^ 5);
	expect("plain_leaf", plain_leaf(1), 2);
	expect("locals", locals(3), 4 + 12 * 3 + 66);
	expect("live", live(2, 3, 4, 5, 6, 7.0, 8.0), 7 + 20 + 56 + 15 - 1 + 15);
	expect("early_out", early_out(5), 6 + 7);
	expect("aligned", aligned(9), 10 + 9);
	expect("loop", loop(10), sum);
	expect("grown", grown(100), 101 + 100);
	expect("address_taken", address_taken(4), 5 + 4);
}

int main(void)
{
	run();                                   /* through the trampoline */
	if (static_call_update(key, NULL) || static_call_update(key, target))
		return 2;
	run();                                   /* patched */
	if (misaligned || !calls) {
		fprintf(stderr, "frames: %lu of %lu calls misaligned\n", misaligned, calls);
		failures++;
	}
	puts("frames: ok");
	return failures != 0;
}
