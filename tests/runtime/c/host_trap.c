/* SPDX-License-Identifier: MIT */
/*
 * SIGTRAP belongs to the program too. Every trap that is not an int3 of ours reaches its owner, whoever that is and
 * wherever the trap comes from, while the runtime uses the signal.
 *
 * usage: host_trap default|ignored|before|after|rude KIND
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "host_sites.h"

DEFINE_STATIC_CALL(key, target_a);
DEFINE_CALLS(key, SITES16(key))

static volatile sig_atomic_t theirs, last_code;
static struct sigaction found;
static bool stop;
static unsigned long wrong;

/*
 * What a debugger does at an icebp that it has seen: go past it. A processor is past it already when it reports it;
 * KVM on AMD's (Linux 6.18, Zen 5) comes back to it for ever, with static calls or without.
 */
static void go_past_icebp(void *opaque)
{
	ucontext_t *context = opaque;
	greg_t *next = &context->uc_mcontext.gregs[REG_RIP];

	if (*(const uint8_t *)(uintptr_t)*next == 0xf1)
		++*next;
}

static void own(int signal, siginfo_t *info, void *context)
{
	theirs++;
	last_code = info->si_code;
	(void)signal;
	go_past_icebp(context);
}

/* Who came after us and hands on what it found. */
static void polite(int signal, siginfo_t *info, void *context)
{
	own(signal, info, context);
	if (found.sa_flags & SA_SIGINFO)
		found.sa_sigaction(signal, info, context);
}

static void take(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, &found);
}

static void *caller(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		wrong += calls_of_key(NULL, NULL);
	return unused;
}

/* Every change there is, by int3 where the protocol has it. */
static void updates(int code)
{
	static const int order[] = { B, NOTHING, RET0, FAR, NOTHING, A };

	for (int i = 0; i < 60; i++) {
		const struct state *state = &states[order[i % 6]];

		if (static_call_update(key, target_of(state)))
			exit(code);
		if (calls_of_key(state, state))
			exit(code + 1);
	}
}

static void forged(int code)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGTRAP;
	info.si_code = code;
	info.si_pid = getpid();
	syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGTRAP, &info);
}

static void from_outside(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		kill(getppid(), SIGTRAP);
		_exit(0);
	}
	while (waitpid(child, &status, 0) != child) {
	}
	/* Any thread may take it; the sleep ends when it was this one. */
	for (int i = 0; i < 100 && !theirs; i++)
		usleep(1000);
}

static void trap(const char *kind)
{
	if (!strcmp(kind, "int3"))
		__asm__ volatile("int3");
	else if (!strcmp(kind, "int3-long"))
		__asm__ volatile(".byte 0xcd, 0x03");
	else if (!strcmp(kind, "icebp"))
		__asm__ volatile(".byte 0xf1");
	else if (!strcmp(kind, "step")) /* the trap flag, taken away again by the next instruction but one */
		__asm__ volatile("sub $128, %%rsp\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tpushfq\n\t"
				 "andl $~0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp" ::: "memory", "cc");
	else if (!strcmp(kind, "raise"))
		raise(SIGTRAP);
	else if (!strcmp(kind, "kill"))
		from_outside();
	else
		forged(atoi(kind));
}

static pthread_t thread;

static void start(void)
{
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, caller, NULL))
		exit(2);
}

static void halt(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	const char *owner = argc == 3 ? argv[1] : "";

	if (!strcmp(owner, "ignored"))
		signal(SIGTRAP, SIG_IGN);
	else if (strcmp(owner, "default"))
		take(own);
	start();
	updates(10);
	/* Nobody calls meanwhile: a thread that has trapped and not got its signal yet would meet the new owner. */
	halt();
	if (!strcmp(owner, "after"))
		take(polite);
	else if (!strcmp(owner, "rude")) /* hands on nothing: ours must be first again at the next update */
		take(own);
	updates(1);
	start();
	updates(20);
	if (theirs) /* a trap of ours has reached them */
		return 30;
	trap(argv[2]);
	updates(40);
	halt();
	printf("theirs %d\ncode %d\n", (int)theirs, (int)last_code);
	return wrong ? 50 : 0;
}
