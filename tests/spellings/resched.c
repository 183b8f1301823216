/* SPDX-License-Identifier: MIT */
/* kernel-static-call.md section 10, shapes 18 to 22: calls named like their function, names pasted, text in asm. */
#include <static_call.h>

#include "check.h"

/* Not static: what gcc sees whole, it does not take an asm for changing. */
extern long passed;
long passed;

static int resched_two(void) { return 2; }
static long might_count;
static void might_one(void) { might_count += 1; }
static void might_two(void) { might_count += 2; }

/* 18, 19: the function that makes the call has the key's name. */
static int __cond_resched(void) { return 1; }
DEFINE_STATIC_CALL(cond_resched, __cond_resched);
static inline __attribute__((__always_inline__)) int cond_resched(void)
{
	return static_call_mod(cond_resched)();
}

DEFINE_STATIC_CALL(might_resched, might_one);
static inline void might_resched(void)
{
	static_call_mod(might_resched)();
}
#define might_sleep() do { might_resched(); } while (0)

/* 20: a macro that has the key's name. */
static void raw_exit_one(void) { passed = 1; }
static void raw_exit_two(void) { passed = 2; }
DEFINE_STATIC_CALL(irqentry_exit_cond_resched, raw_exit_one);
#define irqentry_exit_cond_resched() static_call(irqentry_exit_cond_resched)()

/* 21: the trampoline's name in an asm; without the tool there is no trampoline. */
static void preempt_one(void) { passed = 1; }
static void preempt_two(void) { passed = 2; }
DEFINE_STATIC_CALL(preempt_schedule, preempt_one);
#ifdef STATIC_CALL_INSTRUMENTED
__attribute__((__noinline__)) static void preempt(void)
{
	__asm__ volatile("push %%rbp\n\tmov %%rsp, %%rbp\n\tsub $128, %%rsp\n\tand $-16, %%rsp\n\t"
			 "call " STATIC_CALL_TRAMP_STR(preempt_schedule) "\n\tmov %%rbp, %%rsp\n\tpop %%rbp"
			 : : : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
}
#else
static void preempt(void)
{
	static_call(preempt_schedule)();
}
#endif

/* 22: the key and its functions are pasted from one name. */
static int dynamic_resched_enabled(void) { return 2; }
#define dynamic_resched_disabled ((void *)&__static_call_return0)
DEFINE_STATIC_CALL_RET0(dynamic_resched, dynamic_resched_enabled);
#define preempt_dynamic_enable(f) static_call_update(f, f##_enabled)
#define preempt_dynamic_disable(f) static_call_update(f, f##_disabled)

/* The key, its first function and the caller's parameter have one name. */
static int same(int x) { return x + 1; }
static int same_two(int x) { return x + 2; }
DEFINE_STATIC_CALL(same, same);
static int call_same(int same)
{
	return static_call(same)(same);
}

static void checks(void)
{
	might_count = 0;
	check(__LINE__, cond_resched(), step);
	might_sleep();
	check(__LINE__, might_count, step);
	irqentry_exit_cond_resched();
	check(__LINE__, passed, step);
	passed = 0;
	preempt();
	check(__LINE__, passed, step);
	check(__LINE__, static_call(dynamic_resched)(), step == 1 ? 0 : 2);
	check(__LINE__, static_call(same)(3), 3 + step);
	check(__LINE__, call_same(4), 4 + step);
}

static int update(int to)
{
	int error = static_call_update(cond_resched, to == 2 ? resched_two : __cond_resched);

	error |= static_call_update(might_resched, to == 2 ? might_two : might_one);
	error |= static_call_update(irqentry_exit_cond_resched, to == 2 ? raw_exit_two : raw_exit_one);
	error |= static_call_update(preempt_schedule, to == 2 ? preempt_two : preempt_one);
	error |= to == 2 ? preempt_dynamic_enable(dynamic_resched) : preempt_dynamic_disable(dynamic_resched);
	error |= static_call_update(same, to == 2 ? same_two : same);
	return error;
}

int main(void)
{
	return run(checks, update);
}
