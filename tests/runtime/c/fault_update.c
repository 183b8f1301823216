/* SPDX-License-Identifier: MIT */
/*
 * Every system call of an update made to fail in turn, or its thread made to end there, while another thread calls
 * and while the updating thread itself calls between any two steps.
 *
 * usage: fault_update once|persistent|killed|signal|first|first-killed mprotect|memory
 * Prints how many updates failed or were cut short, by which calls, and what came of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_shim.h"
#include "host_sites.h"

#define KEYS 3
#define MOST 500 /* system calls in an update */

DEFINE_STATIC_CALL(one, target_a);
DEFINE_STATIC_CALL(two, target_a);
DEFINE_STATIC_CALL(three, target_a);
DEFINE_CALLS(one, SITES3(one))
DEFINE_CALLS(two, SITES3(two))
DEFINE_CALLS(three, SITES3(three))

static const int errors[] = { ENOMEM, EACCES, EPERM, EIO };
#define ERRORS (sizeof(errors) / sizeof(*errors))

/* The transitions that an update is interrupted in. */
static const struct {
	int from, to;
} transitions[] = { { A, B }, { A, NOTHING }, { NOTHING, RET0 }, { RET0, A }, { B, FAR }, { FAR, A } };
#define TRANSITIONS (sizeof(transitions) / sizeof(*transitions))

/* What the keys are and what they are to be: all that a call may do. */
static const struct state *before = &states[A], *after = &states[A];
static bool stop;
static unsigned long failed, repaired, calls;
static long reached;

static __attribute__((__noreturn__, __format__(__printf__, 2, 3))) void die(int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fprintf(stderr, "%s to %s, call %ld (%s): ", before->name, after->name, reached, fault_name);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
	_exit(code);
}

static unsigned long wrong_calls(int keys, const struct state *x, const struct state *y)
{
	unsigned long wrong = calls_of_one(x, y);

	return keys == 1 ? wrong : wrong + calls_of_two(x, y) + calls_of_three(x, y);
}

static void *caller(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (wrong_calls(KEYS, NULL, NULL))
			die(10, "a thread saw a call that is none of the targets");
		__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static int running_keys;

/* Between any two steps of the updating thread. */
static void call_between(void)
{
	if (wrong_calls(running_keys, before, after))
		die(11, "a call in the middle is neither old nor new");
}

static int update(int keys, const struct state *to)
{
	struct static_call_transaction transaction;

	if (keys == 1)
		return static_call_update(one, target_of(to));
	static_call_begin(&transaction);
	static_call_queue(one, target_of(to), &transaction);
	static_call_queue(two, target_of(to), &transaction);
	static_call_queue(three, target_of(to), &transaction);
	return static_call_commit(&transaction);
}

static void expect(int code, int keys, const struct state *state)
{
	if (wrong_calls(keys, state, state))
		die(code, "not all calls do what %s says", state->name);
	if (static_call_query(one) != target_of(state))
		die(code + 1, "the key is not %s", state->name);
}

/* Without faults; everything is as if nothing had been. */
static void update_works(int code, int keys, const struct state *to)
{
	int error = update(keys, to);

	if (error)
		die(code, "the next update: %d", error);
	before = after = to;
	expect(code + 1, keys, to);
	if (writable_and_executable())
		die(code + 3, "a page is writable and executable");
}

static void check_failure(int error)
{
	struct static_call_failure failure;

	static_call_last_failure(&failure);
	if (failure.error != error || !*failure.what)
		die(20, "update said %d, the last failure %d: \"%s\"", error, failure.error, failure.what);
	if (error < -133 || error == -EDEADLK)
		die(21, "no errno: %d", error);
}

/* One update with the fault; whether it was reached. */
static bool interrupted(int keys, struct fault fault)
{
	int error;

	running_keys = keys;
	fault.between = call_between;
	reached = fault.number;
	fault_arm(fault);
	error = update(keys, after);
	if (fault_disarm() < fault.number) {
		if (error)
			die(22, "nothing was refused, and still %d", error);
		expect(23, keys, after);
		return false;
	}
	failed += error != 0;
	if (error)
		check_failure(error);
	expect(25, keys, error ? before : after);
	/* A single fault leaves no page open; a persistent one may, and says so. */
	if (!fault.persistent && writable_and_executable())
		die(27, "a page is left writable and executable");
	return true;
}

static struct fault killed_there;
static bool killed_done;

static void *killed_updater(void *keys)
{
	fault_arm(killed_there);
	if (update(*(int *)keys, after))
		die(30, "an update that nothing was in the way of failed");
	killed_done = fault_disarm() < killed_there.number;
	return NULL;
}

/* The same, and the thread ends there; whether it did. */
static bool killed(int keys, struct fault fault)
{
	pthread_t thread;

	killed_there = fault;
	running_keys = keys;
	killed_there.between = call_between;
	reached = fault.number;
	killed_done = false;
	if (pthread_create(&thread, NULL, killed_updater, &keys) || pthread_join(thread, NULL))
		die(31, "no thread");
	if (wrong_calls(keys, before, after))
		die(32, "a call behind the killed thread is neither old nor new");
	return !killed_done;
}

typedef bool attempt_fn(int keys, struct fault fault);

static void each_call(attempt_fn *attempt, struct fault fault, size_t error, int keys, size_t transition)
{
	for (fault.number = 1; fault.number < MOST; fault.number++) {
		const struct state *third = &states[fault.number % 2 ? FAR : B];
		bool more;

		update_works(40, keys, &states[transitions[transition].from]);
		after = &states[transitions[transition].to];
		fault.error = attempt == killed ? 0 : errors[(error + (size_t)fault.number) % ERRORS];
		more = attempt(keys, fault);
		/* Between what was and what comes next a caller may see all three, and so may this thread's own calls. */
		update_works(50, keys, third);
		if (!more)
			return;
	}
	die(60, "more than %d system calls", MOST);
}

static void all_faults(attempt_fn *attempt, struct fault fault)
{
	for (size_t transition = 0; transition < TRANSITIONS; transition++)
		each_call(attempt, fault, transition, transition % 3 == 1 ? KEYS : 1, transition);
}

/*
 * The first update of a process finds the sites, takes memory and the signal. Each attempt is a child of its own. What
 * comes behind the first 50 calls is the writing, which other updates do as well: every fifth.
 */
static void first_update(bool kill)
{
	for (reached = 1; reached < MOST; reached += reached < 50 ? 1 : 5) {
		int status;
		pid_t child = fork();

		if (!child) {
			struct fault fault = { .number = reached, .error = kill ? 0 : errors[reached % (long)ERRORS] };
			pthread_t thread;
			bool more;

			alarm(60);
			if (pthread_create(&thread, NULL, caller, NULL))
				_exit(70);
			while (!__atomic_load_n(&calls, __ATOMIC_RELAXED))
				sched_yield(); /* a thread that begins blocks SIGTRAP */
			after = &states[NOTHING];
			more = (kill ? killed : interrupted)(KEYS, fault);
			update_works(72, KEYS, &states[B]);
			_exit(more ? 0 : 1);
		}
		if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
			die(WIFEXITED(status) ? WEXITSTATUS(status) : 76, "status %x", status);
		if (WEXITSTATUS(status))
			return;
	}
}

static unsigned long refused_in_handler;

/* A fault of the update itself: calls work, updates say that they cannot. */
static void on_fault(int signal)
{
	struct static_call_statistics statistics;

	call_between();
	refused_in_handler += static_call_update(one, target_b) == -EDEADLK;
	refused_in_handler += static_call_set_protocol(STATIC_CALL_AUTO) == -EDEADLK;
	static_call_statistics(&statistics);
	(void)signal;
}

static void raise_between(void)
{
	raise(SIGFPE);
	raise(SIGSEGV);
}

static void fault_handlers(void)
{
	struct sigaction action = { .sa_handler = on_fault };

	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	for (size_t transition = 0; transition < TRANSITIONS; transition++) {
		update_works(80, KEYS, &states[transitions[transition].from]);
		after = &states[transitions[transition].to];
		running_keys = KEYS;
		refused_in_handler = 0;
		fault_arm((struct fault){ .between = raise_between });
		if (update(KEYS, after))
			die(84, "the update itself");
		if (refused_in_handler != 4 * (unsigned long)fault_disarm())
			die(85, "%lu refusals", refused_in_handler);
		expect(86, KEYS, after);
		failed += refused_in_handler;
	}
}

int main(int argc, char **argv)
{
	struct static_call_statistics statistics;
	const char *mode = argc == 3 ? argv[1] : "";
	bool first = !strncmp(mode, "first", 5);
	pthread_t thread;

	far_target();
	fault_refuse_text = argc == 3 && !strcmp(argv[2], "memory");
	if (!first && pthread_create(&thread, NULL, caller, NULL))
		return 2;
	if (first)
		first_update(mode[5]);
	else if (!strcmp(mode, "signal"))
		fault_handlers();
	else
		all_faults(!strcmp(mode, "killed") ? killed : interrupted,
			   (struct fault){ .persistent = !strcmp(mode, "persistent") });
	stop = true;
	if (!first)
		pthread_join(thread, NULL);
	static_call_statistics(&statistics);
	repaired = statistics.repairs;
	printf("failed %lu\nrepairs %lu\nreached %ld\ncalls %lu\ntraps %lu\nwrite %lu\nint3_pokes %lu\natomic_pokes %lu\n",
	       failed, repaired, reached, calls, statistics.traps, statistics.write, statistics.int3_pokes,
	       statistics.atomic_pokes);
	return 0;
}
