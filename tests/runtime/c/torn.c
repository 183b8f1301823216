/* SPDX-License-Identifier: MIT */
/*
 * Torn updates: threads call through sites of one key, at every offset in a cache line and around the ends of pages,
 * while another thread goes back and forth between two states as fast as it can. Whatever a call does must be what the
 * old or the new target does, whole. Beside them what only the compiler calls, which direct mode patches too: tail calls,
 * conditional ones, variadic functions, more arguments than registers, results in memory.
 *
 * usage: torn FROM TO MILLISECONDS THREADS    states: a b null ret0 far far2 fold fold2
 * Prints "calls N updates N wrong N ..."; exits 1 if anything was wrong, 3 where an update is refused (-EOPNOTSUPP).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <static_call.h>
#include <static_call_runtime.h>

#define MOST_CALLERS 64
#define LEAST_UPDATES 10
#define LINE 64
#define PAGE 4096

/* Every byte differs, so that a constant of both is neither. */
#define FOLDED 0x11223344
#define FOLDED2 0x55667788

static int target_a(long *seen, double x)
{
	*seen = x == 1.5 ? 1 : -1;
	return 1;
}

static int target_b(long *seen, double x)
{
	*seen = x == 1.5 ? 2 : -1;
	return 2;
}

/* mov $value, %eax; ret: what a compiler makes of `return FOLDED;`, here at every level of optimisation. */
#define FOLDED_TARGET(name, value) \
	int name(long *seen, double x); \
	__asm__(".pushsection .text\n" #name ":\n\t.byte 0xb8\n\t.long " #value "\n\tret\n\t.popsection")
FOLDED_TARGET(target_fold, 0x11223344);
FOLDED_TARGET(target_fold2, 0x55667788);

typedef int target_fn(long *seen, double x);
typedef int variadic_fn(long *seen, double x, ...);
typedef int many_fn(long *seen, double x, int a, int b, int c, int d, int e, int f, int g);
struct wide {
	long words[3];
};
typedef struct wide wide_fn(double x);

#define VARIADIC_TARGET(name, n) \
	static int name(long *seen, double x, ...) \
	{ \
		va_list list; \
		int seven; \
\
		va_start(list, x); \
		seven = va_arg(list, int); \
		*seen = x == 1.5 && seven == 7 && va_arg(list, double) == 2.5 ? n : -1; \
		va_end(list); \
		return n; \
	}
#define MANY_TARGET(name, n) \
	static int name(long *seen, double x, int a, int b, int c, int d, int e, int f, int g) \
	{ \
		*seen = x == 1.5 && a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 ? n : -1; \
		return n; \
	}
#define WIDE_TARGET(name, n) \
	static struct wide name(double x) { return (struct wide){ { x == 1.5 ? n : -1, n, n } }; }
VARIADIC_TARGET(variadic_a, 1)
VARIADIC_TARGET(variadic_b, 2)
MANY_TARGET(many_a, 1)
MANY_TARGET(many_b, 2)
WIDE_TARGET(wide_a, 1)
WIDE_TARGET(wide_b, 2)

DEFINE_STATIC_CALL(key, target_a);
DEFINE_STATIC_CALL(variadic, variadic_a);
DEFINE_STATIC_CALL(many, many_a);
DEFINE_STATIC_CALL(wide, wide_a);

/* What the keys are to call in a state. */
struct targets {
	target_fn *key;
	variadic_fn *variadic;
	many_fn *many;
	wide_fn *wide;
};

static unsigned long wrong, calls[MOST_CALLERS];
static int stop, may_be_null, may_be_ret0, may_be_folded;

/* Code in a mapping that no rel32 of the program's text reaches. */
static static_call_fn far_code(const unsigned char *code, size_t size)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static_call_fn target;

	if (page == MAP_FAILED)
		exit(2);
	memcpy(page, code, size);
	memcpy(&target, &page, sizeof(target));
	return target;
}

static struct targets far_targets(unsigned char n)
{
	/* mov n,(%rdi); mov n,%eax; ret */
	const unsigned char code[] = { 0x48, 0xc7, 0x07, n, 0, 0, 0, 0xb8, n, 0, 0, 0, 0xc3 };
	/* mov %rdi,%rax; mov n to its three words; ret */
	const unsigned char wide_code[] = { 0x48, 0x89, 0xf8, 0x48, 0xc7, 0x00, n, 0, 0, 0, 0x48, 0xc7, 0x40, 8, n, 0, 0, 0,
					    0x48, 0xc7, 0x40, 16, n, 0, 0, 0, 0xc3 };
	static_call_fn target = far_code(code, sizeof(code));

	return (struct targets){ (target_fn *)target, (variadic_fn *)target, (many_fn *)target,
				 (wide_fn *)far_code(wide_code, sizeof(wide_code)) };
}

static void check(long seen, int result)
{
	if (seen == result && result >= 1 && result <= 4)
		return;
	if (seen == 0 && (may_be_null || (may_be_ret0 && result == 0)))
		return;
	if (seen == 0 && may_be_folded && (result == FOLDED || result == FOLDED2))
		return;
	if (!__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED))
		fprintf(stderr, "torn: result %d, seen %ld\n", result, seen);
}

/* One site, behind what `place` puts there: it says where in a cache line or a page the site's code begins. */
#define SITE(place) \
	{ \
		long seen = 0; \
		int result; \
		__asm__ volatile(place); \
		result = static_call(key)(&seen, 1.5); \
		check(seen, result); \
	}
#define IN_LINE(offset) SITE(".p2align 6\n\t.skip 1 + " #offset ", 0x90")
/* 56 to 9 bytes before the end of a page: less what the compiler puts between here and the site. */
#define AT_PAGE(offset) SITE("jmp 1f\n\t.p2align 12\n\t.skip 4096 - 56 + " #offset ", 0xcc\n1:")
#define EIGHT(SITE, n) \
	SITE(n) SITE(n + 1) SITE(n + 2) SITE(n + 3) SITE(n + 4) SITE(n + 5) SITE(n + 6) SITE(n + 7)
#define SITES 112
#define NOT_CALLED 99

__attribute__((__noinline__)) static int tail(long *seen, double x)
{
	return static_call(key)(seen, x);
}

/* A conditional tail call, where the compiler makes one. */
__attribute__((__noinline__)) static int conditional(long *seen, double x, int yes)
{
	if (yes)
		return static_call(key)(seen, x);
	return NOT_CALLED;
}

/* Read each time, so that no function is made for these values. */
static volatile double given = 1.5;
static volatile int yes = 1, no = 0;

static void others(void)
{
	long seen[5] = { 0, 0, 0, 0, 0 };
	int results[] = { tail(&seen[0], given), conditional(&seen[1], given, yes), static_call(variadic)(&seen[2], given, 7, 2.5),
			  static_call(many)(&seen[3], given, 1, 2, 3, 4, 5, 6, 7), conditional(&seen[4], given, no) };
	struct wide wide_one = static_call(wide)(given);

	for (int i = 0; i < 4; i++)
		check(seen[i], results[i]);
	if (results[4] != NOT_CALLED || seen[4])
		check(-1, results[4]);
	if (wide_one.words[0] < 1 || wide_one.words[0] != wide_one.words[1] || wide_one.words[0] != wide_one.words[2])
		check(-1, (int)wide_one.words[0]);
}

static void round_of_sites(void)
{
	EIGHT(IN_LINE, 0) EIGHT(IN_LINE, 8) EIGHT(IN_LINE, 16) EIGHT(IN_LINE, 24)
	EIGHT(IN_LINE, 32) EIGHT(IN_LINE, 40) EIGHT(IN_LINE, 48) EIGHT(IN_LINE, 56)
	EIGHT(AT_PAGE, 0) EIGHT(AT_PAGE, 8) EIGHT(AT_PAGE, 16) EIGHT(AT_PAGE, 24) EIGHT(AT_PAGE, 32) EIGHT(AT_PAGE, 40)
}

static void *caller(void *argument)
{
	unsigned long *count = argument;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		round_of_sites();
		others();
		__atomic_store_n(count, *count + SITES, __ATOMIC_RELAXED);
	}
	return NULL;
}

static struct targets all(static_call_fn target)
{
	return (struct targets){ (target_fn *)target, (variadic_fn *)target, (many_fn *)target, wide_b };
}

static struct targets state(const char *name)
{
	if (!strcmp(name, "a"))
		return (struct targets){ target_a, variadic_a, many_a, wide_a };
	if (!strcmp(name, "b"))
		return (struct targets){ target_b, variadic_b, many_b, wide_b };
	if (!strcmp(name, "far"))
		return far_targets(3);
	if (!strcmp(name, "far2"))
		return far_targets(4);
	if (!strncmp(name, "fold", 4)) {
		may_be_folded = 1;
		if (static_call_set_folding(1))
			exit(2);
		return all((static_call_fn)(strcmp(name, "fold") ? target_fold2 : target_fold));
	}
	if (!strcmp(name, "ret0")) {
		may_be_ret0 = 1;
		return all((static_call_fn)__static_call_return0);
	}
	may_be_null = 1;
	return all(NULL);
}

static int update(const struct targets *to)
{
	struct static_call_transaction transaction;

	static_call_begin(&transaction);
	static_call_queue(key, to->key, &transaction);
	static_call_queue(variadic, to->variadic, &transaction);
	static_call_queue(many, to->many, &transaction);
	static_call_queue(wide, to->wide, &transaction);
	return static_call_commit(&transaction);
}

/* What this thread itself sees right after its update is the new target and nothing else. */
static void check_now(const struct targets *targets, const char *name)
{
	target_fn *target = targets->key;
	long seen[2] = { 0, 0 }, wanted = 0;
	int result, values[2] = { static_call(key)(&seen[0], 1.5), tail(&seen[1], 1.5) };

	for (int i = 0; i < 2; i++)
		if (target && strcmp(name, "ret0")) {
			result = target(&wanted, 1.5);
			wrong += wanted != seen[i] || result != values[i];
		} else {
			wrong += seen[i] != 0 || (target && values[i] != 0);
		}
	wrong += static_call_query(key) != target;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int all_have_called(int callers)
{
	for (int i = 0; i < callers; i++)
		if (!__atomic_load_n(&calls[i], __ATOMIC_RELAXED))
			return 0;
	return 1;
}

static unsigned long switch_until(double end, int callers, const struct targets targets[2], char **names)
{
	unsigned long updates = 0;

	while (seconds() < end || updates < LEAST_UPDATES || !all_have_called(callers)) {
		int which = updates & 1;
		int error = update(&targets[which]);

		if (error == -EOPNOTSUPP)
			exit(3);
		if (error) {
			fprintf(stderr, "torn: update: %s\n", strerror(-error));
			exit(2);
		}
		check_now(&targets[which], names[which]);
		updates++;
	}
	return updates;
}

/* How many sites begin in one line or page and end in the next, and how many are jumps and branches. */
struct counts {
	unsigned long lines, pages, jumps, branches;
};

static int count(const struct static_call_site_info *site, void *argument)
{
	static const uintptr_t before_last[] = { [STATIC_CALL_COMPACT] = 5, [STATIC_CALL_ALIGNED] = 7, [STATIC_CALL_BARE] = 4 };
	struct counts *counts = argument;
	int longer = site->kind == STATIC_CALL_BRANCH && site->layout != STATIC_CALL_ALIGNED;
	uintptr_t first = (uintptr_t)site->address, last = first + before_last[site->layout] + (uintptr_t)longer;

	counts->lines += first / LINE != last / LINE;
	counts->pages += first / PAGE != last / PAGE;
	counts->jumps += site->kind == STATIC_CALL_JUMP;
	counts->branches += site->kind == STATIC_CALL_BRANCH;
	return 0;
}

static void report(unsigned long sum, unsigned long updates)
{
	struct static_call_statistics statistics;
	struct counts counts = { 0 };

	if (static_call_each_site(&STATIC_CALL_KEY(key), count, &counts))
		exit(2);
	static_call_statistics(&statistics);
	printf("calls %lu updates %lu wrong %lu sites %lu lines %lu pages %lu jumps %lu branches %lu atomic %lu int3 %lu "
	       "traps %lu stale %lu syncs %lu crossing %lu\n", sum, updates, wrong, statistics.sites, counts.lines,
	       counts.pages, counts.jumps, counts.branches, statistics.atomic_pokes, statistics.int3_pokes, statistics.traps,
	       statistics.stale_traps, statistics.synchronisations, statistics.crossing_sites);
}

int main(int argc, char **argv)
{
	pthread_t threads[MOST_CALLERS];
	struct targets targets[2];
	unsigned long updates, sum = 0;
	int callers = argc == 5 ? atoi(argv[4]) : 0;

	if (callers < 1 || callers > MOST_CALLERS)
		return 2;
	targets[0] = state(argv[1]);
	targets[1] = state(argv[2]);
	for (int i = 0; i < callers; i++)
		if (pthread_create(&threads[i], NULL, caller, &calls[i]))
			return 2;
	updates = switch_until(seconds() + atof(argv[3]) / 1000, callers, targets, argv + 1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < callers; i++) {
		pthread_join(threads[i], NULL);
		sum += calls[i];
	}
	report(sum, updates);
	return wrong || !sum || !updates;
}
