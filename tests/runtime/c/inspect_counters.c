/* SPDX-License-Identifier: MIT */
/*
 * Every counter of static_call_statistics(), each seen to move by what it counts and to stay where nothing happens;
 * but lost_targets, which needs a library (obj_lost.c).
 *
 * usage: inspect_counters updates | traps | fallbacks | blocked | membarrier | mprotect | killed
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <static_call.h>
#include <static_call_runtime.h>

static int one(void) { return 1; }
static int two(void) { return 2; }
static void nothing(void) { }
DEFINE_STATIC_CALL(key, one);
DEFINE_STATIC_CALL(hook, nothing);

/* A key and a trampoline that nobody here registered: another copy of the runtime's, for all that we know. */
DECLARE_STATIC_CALL(foreign, one);
struct static_call_key STATIC_CALL_KEY(foreign) = { (static_call_fn)one, NULL };
int foreign_target(void);
int foreign_target(void) { return 9; }
__asm__(".pushsection .text\n\t.globl __SCT__foreign\n__SCT__foreign:\n\tjmp foreign_target\n\t.popsection");

__attribute__((__noinline__)) static int call(void) { return static_call(key)(); }
__attribute__((__noinline__)) static void call_hook(void) { static_call_cond(hook)(); }
__attribute__((__noinline__)) static int call_foreign(void) { return static_call(foreign)(); }

static struct static_call_statistics before, now;
static void look(void)
{
	before = now;
	static_call_statistics(&now);
}
#define MOVED(counter) (now.counter - before.counter)

/* ---- system calls that are refused ---- */

static int filter(unsigned number, unsigned argument, unsigned mask, unsigned action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 (unsigned)(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t))),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mask, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* ---- what is counted ---- */

static int test_updates(void)
{
	int (*data)(void);
	void *address = &now;

	memcpy(&data, &address, sizeof(data));
	look();
	if (now.write != STATIC_CALL_WRITE_NONE || now.updates || now.failures || now.atomic_pokes || now.int3_pokes ||
	    now.synchronisations || now.protections > 4)
		return 1;
	if (static_call_set_protocol(STATIC_CALL_ATOMIC) || static_call_update(key, two) || call() != 2)
		return 2;
	look();
	/* The trampoline and the site, each by one store; text and keys, opened and closed. */
	if (MOVED(updates) != 1 || MOVED(atomic_pokes) != 2 || MOVED(int3_pokes) || MOVED(synchronisations) != 1 ||
	    MOVED(protections) < 4 || now.write != STATIC_CALL_WRITE_MPROTECT || MOVED(failures))
		return 3;
	if (now.sites != 2 || now.trampolines != 2 || now.foreign_sites != 1 || call_foreign() != 9)
		return 4;
	if (static_call_set_protocol(STATIC_CALL_INT3_PUSH) || static_call_update(key, one) || call() != 1)
		return 5;
	look();
	if (MOVED(updates) != 1 || MOVED(int3_pokes) != 2 || MOVED(atomic_pokes) || MOVED(synchronisations) != 3)
		return 6;
	if (static_call_update(key, data) != -EFAULT || call() != 1)
		return 7;
	look();
	/* The state alone was opened, and closed. */
	if (MOVED(failures) != 1 || MOVED(updates) || MOVED(synchronisations) || MOVED(protections) != 2)
		return 8;
	if (static_call_update(key, one))
		return 9;
	look();
	return MOVED(updates) != 1 || MOVED(int3_pokes) || MOVED(synchronisations) ? 10 : 0;
}

static int stop;
static void *caller(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		call();
	return unused;
}

/* A trap that comes late: the handler is called as the kernel would, when the int3 is gone again. */
static int trap_late(void)
{
	static ucontext_t context;
	siginfo_t info = { .si_signo = SIGTRAP, .si_code = SI_KERNEL };
	struct sigaction action;
	uintptr_t address = (uintptr_t)STATIC_CALL_TRAMP_ADDR(key);

	if (sigaction(SIGTRAP, NULL, &action) || !(action.sa_flags & SA_SIGINFO))
		return 11;
	context.uc_mcontext.gregs[REG_RIP] = (greg_t)(address + 1);
	look();
	action.sa_sigaction(SIGTRAP, &info, &context);
	look();
	if (MOVED(stale_traps) != 1 || MOVED(traps))
		return 12;
	return context.uc_mcontext.gregs[REG_RIP] != (greg_t)address ? 13 : 0;
}

static int test_traps(void)
{
	time_t end = time(NULL) + 60;
	pthread_t thread;

	if (static_call_set_protocol(STATIC_CALL_INT3_PUSH) || pthread_create(&thread, NULL, caller, NULL))
		return 14;
	for (int i = 0; !now.traps; i++) {
		if (static_call_update(key, i & 1 ? one : two) || time(NULL) > end)
			return 15;
		look();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return trap_late();
}

static int test_fallbacks(void)
{
	static const unsigned char code[] = { 0xb8, 7, 0, 0, 0, 0xc3 };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int (*far)(void);

	if (page == MAP_FAILED)
		return 16;
	memcpy(page, code, sizeof(code));
	memcpy(&far, &page, sizeof(far));
	if (static_call_update(key, far) || call() != 7)
		return 17;
	look();
	if (MOVED(far_targets) != 1 || MOVED(kept_calls))
		return 18;
	if (static_call_set_protocol(STATIC_CALL_INT3_RESUME) || static_call_update(hook, NULL))
		return 19;
	call_hook();
	look();
	return MOVED(kept_calls) != 1 || MOVED(far_targets) ? 20 : 0;
}

/* ---- what stands in the way ---- */

static void *block(void *unused)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTRAP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) == 1)
		usleep(1000);
	return unused;
}

static int test_blocked(void)
{
	pthread_t thread;
	int error;

	if (static_call_init() || pthread_create(&thread, NULL, block, NULL))
		return 21;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		usleep(1000);
	look();
	error = static_call_update(hook, NULL);
	call_hook();
	look();
	__atomic_store_n(&stop, 2, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	if (error)
		return 22;
	/* A processor that documents one store for it needs no int3 to begin with. */
	if (!strstr(static_call_protocol_reason(), "manual allows") && MOVED(without_int3) != 1)
		return 23;
	return MOVED(int3_pokes) ? 24 : 0;
}

/* In a program that begins anew under the filter, since the runtime registers with membarrier before main. */
static int test_membarrier(char **argv)
{
	if (!getenv("INSPECT_FILTERED")) {
		setenv("INSPECT_FILTERED", "1", 1);
		if (!filter(SYS_membarrier, 0, 0, SECCOMP_RET_ERRNO | ENOSYS))
			execv("/proc/self/exe", argv);
		return 25;
	}
	look();
	if (static_call_update(key, two) || call() != 2)
		return 26;
	look();
	return !MOVED(signalled) || MOVED(signalled) != MOVED(synchronisations) ? 27 : 0;
}

static int test_mprotect(void)
{
	if (filter(SYS_mprotect, 2, PROT_WRITE | PROT_EXEC, SECCOMP_RET_ERRNO | EACCES))
		return 28;
	look();
	if (static_call_update(key, two) || call() != 2)
		return 29;
	look();
	return MOVED(without_mprotect) != 1 || now.write != STATIC_CALL_WRITE_PROC_MEM ? 30 : 0;
}

/* The thread is killed by its first synchronisation, in the middle of an update. */
static void *killed(void *unused)
{
	if (!filter(SYS_membarrier, 0, 0, SECCOMP_RET_KILL_THREAD))
		(void)static_call_update(key, two);
	_exit(31);
	return unused;
}

static int test_killed(void)
{
	pthread_t thread;

	look();
	if (pthread_create(&thread, NULL, killed, NULL) || pthread_join(thread, NULL))
		return 32;
	if (call() != 1 && call() != 2)
		return 33;
	if (static_call_update(hook, NULL) || call() != 1)
		return 34;
	look();
	return MOVED(repairs) != 1 || MOVED(updates) != 1 ? 35 : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (!strcmp(what, "updates"))
		return test_updates();
	if (!strcmp(what, "traps"))
		return test_traps();
	if (!strcmp(what, "fallbacks"))
		return test_fallbacks();
	if (!strcmp(what, "blocked"))
		return test_blocked();
	if (!strcmp(what, "membarrier"))
		return test_membarrier(argv);
	if (!strcmp(what, "mprotect"))
		return test_mprotect();
	return strcmp(what, "killed") ? 99 : test_killed();
}
