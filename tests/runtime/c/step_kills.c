/* SPDX-License-Identifier: MIT */
/*
 * An updater that is killed at any instruction: stepped by ptrace through the parts of the runtime that change what the
 * next update goes by (step_points.c), and made to exit there. A library comes before each of its updates.
 *
 * usage: step_kills LIBRARY SECONDS    Prints how often it was done.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host_sites.h"
#include "step_kills.h"

DEFINE_STATIC_CALL(one, target_a);
DEFINE_STATIC_CALL(two, target_a);
DEFINE_CALLS(one, SITES3(one))
DEFINE_CALLS(two, SITES3(two))

enum { BEGINS, WAITS, RUNS, KILLED, CHECKED };
/* What both processes see. */
static volatile struct {
	int step, updater, done, wrong;
} *shared;

static void await(int step)
{
	while (shared->step != step)
		usleep(20);
}

static void expect(int code, bool right)
{
	if (!right && !shared->wrong)
		shared->wrong = code;
}

static void *caller(void *unused)
{
	for (;;)
		expect(1, !calls_of_one(NULL, NULL) && !calls_of_two(NULL, NULL));
	return unused;
}

static int update_both(const struct state *to)
{
	struct static_call_transaction both;

	static_call_begin(&both);
	static_call_queue(one, target_of(to), &both);
	static_call_queue(two, target_of(to), &both);
	return static_call_commit(&both);
}

static void *updater(void *unused)
{
	shared->updater = (int)syscall(SYS_gettid);
	await(RUNS);
	(void)update_both(&states[NOTHING]);
	shared->done = 1;
	for (;;)
		pause();
	return unused;
}

static void start(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL))
		_exit(2);
	pthread_detach(thread);
}

/* Everything that an update after the killed one must do. */
static void check(void)
{
	text_stays_open = false;
	expect(2, !calls_of_one(&states[A], &states[NOTHING]) && !calls_of_two(&states[A], &states[NOTHING]));
	expect(3, !static_call_update(one, target_b));
	expect(4, !calls_of_one(&states[B], &states[B]));
	expect(5, !update_both(&states[A]));
	expect(6, !calls_of_one(&states[A], &states[A]) && !calls_of_two(&states[A], &states[A]));
	expect(7, !writable_and_executable());
}

static void victim(const char *path)
{
	void *library = NULL;

	expect(8, !update_both(&states[A]));
	start(caller);
	for (unsigned turn = 0;; turn++) {
		if (library)
			dlclose(library);
		library = dlopen(path, RTLD_NOW);
		expect(9, library);
		/* Every other time text is left open by the update before the killed one. */
		text_stays_open = turn % 2;
		if (text_stays_open)
			expect(10, update_both(&states[NOTHING]) == -ENOMEM);
		shared->updater = shared->done = 0;
		start(updater);
		while (!shared->updater)
			usleep(20);
		shared->step = WAITS;
		await(KILLED);
		while (!syscall(SYS_tgkill, getpid(), shared->updater, 0))
			usleep(20);
		check();
		shared->step = CHECKED;
		await(BEGINS);
	}
}

static void leave(void)
{
	for (;;)
		syscall(SYS_exit, 0);
}

/* Until the thread stops again; whether for a trap. */
static bool stops(pid_t thread)
{
	int status;

	return waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}

/* Let it run to the address, and the steps on; an int3 marks the place, which no other thread comes to. */
static bool run_to(pid_t thread, uintptr_t address, unsigned steps)
{
	long rip = offsetof(struct user_regs_struct, rip);
	long word = ptrace(PTRACE_PEEKTEXT, thread, address, 0);
	bool there;

	ptrace(PTRACE_POKETEXT, thread, address, (word & ~0xffL) | 0xcc);
	ptrace(PTRACE_CONT, thread, 0, 0);
	while (!(there = waitpid(thread, NULL, __WALL | WNOHANG) == thread) && !shared->done)
		usleep(20);
	if (!there) {
		ptrace(PTRACE_INTERRUPT, thread, 0, 0);
		(void)stops(thread);
	}
	ptrace(PTRACE_POKETEXT, thread, address, word);
	if (there)
		ptrace(PTRACE_POKEUSER, thread, rip, address);
	while (there && steps-- && !shared->done && !ptrace(PTRACE_SINGLESTEP, thread, 0, 0))
		there = stops(thread);
	return there && !shared->done;
}

static bool experiment(pid_t victim, const struct point *point, unsigned steps)
{
	struct user_regs_struct registers;
	pid_t thread;
	bool there;

	while (shared->step != WAITS)
		if (usleep(20), waitpid(victim, NULL, WNOHANG) == victim)
			return false;
	thread = shared->updater;
	if (ptrace(PTRACE_SEIZE, thread, 0, 0) || ptrace(PTRACE_INTERRUPT, thread, 0, 0) || !stops(thread))
		exit(77);
	shared->step = RUNS;
	there = run_to(thread, point->address, steps);
	ptrace(PTRACE_GETREGS, thread, 0, &registers);
	registers.rip = (uintptr_t)leave;
	registers.rsp = ((registers.rsp - 1024) & ~15ul) - 8;
	registers.orig_rax = ~0ull;
	ptrace(PTRACE_SETREGS, thread, 0, &registers);
	ptrace(PTRACE_DETACH, thread, 0, 0);
	shared->step = KILLED;
	for (time_t begun = time(NULL); shared->step != CHECKED && time(NULL) - begun < 20;)
		if (usleep(20), waitpid(victim, NULL, WNOHANG) == victim)
			break;
	if (shared->step != CHECKED || shared->wrong) {
		fprintf(stderr, "%s, %u steps on: %s %d\n", point->name, steps, shared->step == CHECKED ? "wrong" : "ended",
			shared->wrong);
		kill(victim, SIGKILL);
		exit(1);
	}
	shared->step = BEGINS;
	return there;
}

int main(int argc, char **argv)
{
	long milliseconds = argc == 3 ? atol(argv[2]) * 1000 : 0, count = 0;
	struct timespec begun, now;
	pid_t child;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	child = fork();
	if (!child)
		victim(argv[1]);
	/* As fine as there is time for: every 13th instruction, then those between. */
	for (unsigned turn = 0; turn < 13; turn++)
		for (const struct point *point = points; point < points + POINTS; point++)
			for (unsigned steps = turn * 5 % 13; steps < point->steps; steps += 13, count++) {
				clock_gettime(CLOCK_MONOTONIC, &now);
				if ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 > milliseconds)
					goto out;
				(void)experiment(child, point, steps);
			}
out:
	kill(child, SIGKILL);
	printf("killed %ld\n", count);
	return 0;
}
