/* SPDX-License-Identifier: MIT */
/*
 * What once killed the program, hung it, or let an update succeed that had not looked. One mode each; prints
 * "first ERROR", "second ERROR" of its updates, and what else the mode counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "host_sites.h"

DEFINE_STATIC_CALL(key, target_a);
DEFINE_CALLS(key, SITES3(key))

static volatile sig_atomic_t ready, stop, seen;
static const char *argument;

static void update(const char *label, const struct state *to)
{
	struct static_call_failure failure;
	int error = static_call_update(key, target_of(to));

	printf("%s %d\n", label, error);
	static_call_last_failure(&failure);
	if (error)
		printf("why_%s %s\n", label, failure.what);
	if (!error && calls_of_key(to, to))
		exit(3);
	fflush(stdout);
}

static void begin(void *(*run)(void *))
{
	pthread_t thread;

	ready = 0;
	if (pthread_create(&thread, NULL, run, NULL))
		exit(2);
	pthread_detach(thread);
	while (!ready)
		usleep(100);
}

static void block_all(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void *blocking(void *unused)
{
	block_all();
	ready = 1;
	while (!stop)
		(void)calls_of_key(NULL, NULL);
	return unused;
}

/* A thread that blocks SIGTRAP and calls: found first, and again with `left` numbers of files, or groups in the way. */
static void blocked(void (*hide)(void))
{
	begin(blocking);
	update("first", &states[B]);
	hide();
	for (int i = 0; i < 50; i++)
		(void)static_call_update(key, i % 2 ? target_a : target_b);
	update("second", &states[B]);
}

static void use_files_up(void)
{
	struct rlimit limit = { 64, 64 };
	int all[64], count = 0;

	setrlimit(RLIMIT_NOFILE, &limit);
	while (count < 64 && (all[count] = dup(0)) >= 0)
		count++;
	for (int left = atoi(argument); left > 0 && count; left--)
		close(all[--count]);
}

static void join_groups(void)
{
	gid_t all[1000];

	for (unsigned i = 0; i < 1000; i++)
		all[i] = 1000000000 + i;
	if (setgroups(1000, all))
		exit(4);
}

static void take_name(void)
{
	/* The blocking thread's, which is not this one: where its file of that name is. */
	for (int thread = getpid() + 1; thread < getpid() + 20; thread++) {
		char path[64];
		int file;

		snprintf(path, sizeof(path), "/proc/self/task/%d/comm", thread);
		file = open(path, O_WRONLY);
		if (file >= 0 && write(file, "SigBlk:\t0", 9) == 9)
			seen++;
		if (file >= 0)
			close(file);
	}
}

static void data(void)
{
	static char no_code[64];
	target_fn *func;
	void *where = no_code;

	memcpy(&func, &where, sizeof(func));
	use_files_up();
	printf("first %d\n", static_call_update(key, func));
}

/* As Chromium's sandbox: what is not allowed is answered by the handler of SIGSYS. */
static void on_sys(int signal, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -ENOENT;
	seen++;
	(void)signal;
	(void)info;
}

static void trap_opens(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 5, filter };
	struct sigaction action = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &action, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		exit(5);
	update("first", &states[B]);
	update("second", &states[NOTHING]);
}

/* Threads that are cancelled in the middle of anything, the handler among it. */
static void *cancelled(void *unused)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (;;)
		(void)calls_of_key(NULL, NULL);
	return unused;
}

static void *churn(void *unused)
{
	pthread_t thread;

	for (ready = 1; !stop; seen++) {
		if (pthread_create(&thread, NULL, cancelled, NULL))
			exit(2);
		usleep(150);
		pthread_cancel(thread);
		pthread_join(thread, NULL);
	}
	return unused;
}

static void cancel(void)
{
	time_t end = time(NULL) + 2;
	struct sigaction action;

	begin(churn);
	begin(churn);
	alarm(20);
	while (time(NULL) < end)
		if (static_call_update(key, seen % 2 ? target_a : target_b))
			exit(6);
	update("first", &states[B]);
	stop = 1;
	sigaction(SIGTRAP, NULL, &action);
	printf("open");
	for (int i = 1; i <= 64; i++)
		if (!sigismember(&action.sa_mask, i))
			printf(" %d", i);
	printf("\n");
}

/* Called by the runtime in place of the libc's. */
static int asked;
char *secure_getenv(const char *name)
{
	asked++;
	return getenv(name);
}

/* setenv() in another thread would free what is read: it must have been read before there are any. */
static void environment(void)
{
	printf("early %d\n", asked);
	asked = 0;
	update("first", &states[B]);
	static_call_set_folding(0);
	printf("late %d\n", asked);
}

/* Blocks everything once an update has begun to synchronise. */
static void *block_late(void *unused)
{
	struct static_call_statistics s;

	do {
		ready = 1;
		static_call_statistics(&s);
	} while (!s.signalled);
	block_all();
	while (!stop)
		pause();
	return unused;
}

static void *polling(void *unused)
{
	for (ready = 1; !stop;)
		seen += poll(NULL, 0, -1) < 0 && errno == EINTR;
	return unused;
}

static void tick(union sigval value)
{
	(void)value;
}

/* Threads of glibc's and of the kernel's own that block SIGTRAP and never call. */
static void helpers(void)
{
	static struct io_uring_params parameters = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 100000 };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = tick };
	timer_t timer;
	bool timers = !strcmp(argument, "timer") || !strcmp(argument, "trusted");

	if (timers ? timer_create(CLOCK_MONOTONIC, &event, &timer) : (int)syscall(SYS_io_uring_setup, 4, &parameters) < 0)
		exit(77);
	usleep(20000);
	if (!strcmp(argument, "trusted"))
		static_call_trust_blocked_threads(1);
	update("first", &states[NOTHING]);
	static_call_trust_blocked_threads(0);
	update("second", &states[B]);
}

static jmp_buf back;
static sigjmp_buf away;

static void on_user(int signal)
{
	seen = signal;
}

static void leaps(int signal)
{
	longjmp(back, signal);
}

static void on_fault(int signal)
{
	siglongjmp(away, signal);
}

static void probes(int signal)
{
	if (!sigsetjmp(away, 1))
		*(volatile int *)(uintptr_t)signal = 1;
	seen++;
}

/* Whose SIGTRAP it is leaves its handler by longjmp, or makes a fault in it. */
static void owner(void (*handler)(int), int flags)
{
	struct sigaction trap = { .sa_handler = handler, .sa_flags = flags };

	signal(SIGSEGV, on_fault);
	signal(SIGUSR1, on_user);
	sigaction(SIGTRAP, &trap, NULL);
	update("first", &states[B]);
	if (!setjmp(back))
		__asm__ volatile("int3");
	if (handler == leaps)
		raise(SIGUSR1);
}

static void *update_on(void *unused)
{
	for (ready = 1; !stop;)
		(void)static_call_update(key, seen++ % 2 ? target_a : target_b);
	return unused;
}

static void child_of_vfork(void)
{
	int status = -1;
	pid_t child;

	printf("first %d\n", static_call_init());
	begin(update_on);
	child = vfork();
	if (!child) {
		for (int i = 0; i < 200000; i++)
			(void)calls_of_key(NULL, NULL);
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("second %d\n", status);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	argument = argc > 2 ? argv[2] : "";
	if (!strcmp(mode, "cancel"))
		cancel();
	else if (!strcmp(mode, "sigsys"))
		trap_opens();
	else if (!strcmp(mode, "environment"))
		environment();
	else if (!strcmp(mode, "data"))
		data();
	else if (!strcmp(mode, "files"))
		blocked(use_files_up);
	else if (!strcmp(mode, "groups"))
		blocked(join_groups);
	else if (!strcmp(mode, "name"))
		blocked(take_name);
	else if (!strcmp(mode, "late"))
		begin(block_late);
	else if (!strcmp(mode, "polling"))
		begin(polling);
	else if (!strcmp(mode, "helpers"))
		helpers();
	else if (!strcmp(mode, "vfork"))
		child_of_vfork();
	else if (!strcmp(mode, "leaps"))
		owner(leaps, SA_NODEFER);
	else if (!strcmp(mode, "probes"))
		owner(probes, 0);
	if (!strcmp(mode, "polling"))
		use_files_up();
	if (!strcmp(mode, "late") || !strcmp(mode, "polling"))
		update("first", &states[B]);
	printf("seen %d\n", (int)seen);
	fflush(stdout);
	_exit(0);
}
