/* SPDX-License-Identifier: MIT */
/*
 * Traps where the handler must touch nothing that it may not, and membarrier whose registration is lost. Linked with
 * -Wl,--wrap=syscall, so that an update can be held between its steps.
 *
 * usage: nb_traps foreign | guard | restored
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <static_call.h>
#include <static_call_runtime.h>

#include "obj_check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
DEFINE_STATIC_CALL(key, one);
static __attribute__((__noinline__)) int call(int x) { return static_call(key)(x) + 1; }

/* ---- system calls ---- */

static int hold, held, forgotten;
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	va_list list;
	long a[6], result;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_membarrier && a[0] == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)
		forgotten = 0;
	if (number == SYS_membarrier && a[0] == MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE && forgotten) {
		errno = EPERM;
		return -1;
	}
	result = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_membarrier && __atomic_load_n(&hold, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&held, 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&hold, __ATOMIC_ACQUIRE))
			usleep(100);
	}
	return result;
}

/* ---- a trap of the program's own, in a page that may be executed and not read ---- */

static sigjmp_buf back;
static volatile sig_atomic_t came;

static void leaves(int signal)
{
	(void)signal;
	came++;
	siglongjmp(back, 1);
}

static void foreign(void)
{
	struct sigaction action = { .sa_handler = leaves };
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigaction(SIGTRAP, &action, NULL);
	CHECK(!static_call_init() && !static_call_update(key, two) && call(1) == 4);
	memset(page, 0xcc, 4096);
	CHECK(!mprotect(page, 4096, PROT_EXEC));
	if (!sigsetjmp(back, 1))
		((void (*)(void))(uintptr_t)page)();
	CHECK(came == 1 && !static_call_update(key, one) && call(1) == 3);
}

/* ---- a call at the very end of a stack, while its site is int3 ---- */

static char *stack;

static void at(char *end)
{
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tcall *%1\n\tmov %%rbx, %%rsp"
			 : : "r"(end), "r"(call)
			 : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

static void *overflows(void *unused)
{
	static char room[65536];
	stack_t own = { .ss_sp = room, .ss_size = sizeof(room) };

	sigaltstack(&own, NULL);
	for (volatile int offset = 64; offset >= 8; offset -= 8)
		if (!sigsetjmp(back, 1))
			at(stack + offset);
	return unused;
}

static void *updates(void *unused)
{
	CHECK(!static_call_update(key, two));
	return unused;
}

static void guard(void)
{
	struct sigaction action = { .sa_handler = leaves, .sa_flags = SA_ONSTACK };
	pthread_t updater, caller;

	stack = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack += 32768;
	CHECK(!mprotect(stack, 32768, PROT_READ | PROT_WRITE) && !sigaction(SIGSEGV, &action, NULL));
	CHECK(!static_call_set_protocol(STATIC_CALL_INT3_PUSH));
	hold = 1;
	CHECK(!pthread_create(&updater, NULL, updates, NULL));
	while (!__atomic_load_n(&held, __ATOMIC_ACQUIRE))
		usleep(100);
	CHECK(!pthread_create(&caller, NULL, overflows, NULL) && !pthread_join(caller, NULL));
	__atomic_store_n(&hold, 0, __ATOMIC_RELEASE);
	/* It holds no reference any more: the update comes to its end. */
	CHECK(!pthread_join(updater, NULL) && came >= 1 && call(1) == 4);
}

/* ---- a process that was restored from a checkpoint: what it had registered is forgotten ---- */

static void restored(void)
{
	struct static_call_statistics statistics;
	struct static_call_failure failure;

	CHECK(!static_call_update(key, two));
	forgotten = 1;
	CHECK(!static_call_update(key, one) && call(1) == 3 && !forgotten);
	static_call_statistics(&statistics);
	static_call_last_failure(&failure);
	CHECK(!statistics.signalled && !failure.error);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "foreign"))
		foreign();
	else if (!strcmp(what, "guard"))
		guard();
	else if (!strcmp(what, "restored"))
		restored();
	else
		return 2;
	return 0;
}
