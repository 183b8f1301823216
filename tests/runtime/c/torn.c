/* SPDX-License-Identifier: MIT */
/*
 * Torn updates: threads call through sites of one key, at every offset in a cache line and around the ends of pages,
 * while another thread goes back and forth between two states as fast as it can. Whatever a call does must be what the
 * old or the new target does, whole.
 *
 * usage: torn FROM TO MILLISECONDS THREADS    states: a b null ret0 far far2 fold fold2
 * Prints "calls N updates N wrong N ..."; exits 1 if anything was wrong, 3 where an update is refused (-EOPNOTSUPP).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
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

DEFINE_STATIC_CALL(key, target_a);

typedef int target_fn(long *seen, double x);
static unsigned long wrong, calls[MOST_CALLERS];
static int stop, may_be_null, may_be_ret0, may_be_folded;

/* mov n,(%rdi); mov n,%eax; ret; in a mapping that no rel32 of the program's text reaches */
static target_fn *far_target(int n)
{
	unsigned char code[] = { 0x48, 0xc7, 0x07, (unsigned char)n, 0, 0, 0, 0xb8, (unsigned char)n, 0, 0, 0, 0xc3 };
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	target_fn *target;

	if (page == MAP_FAILED)
		exit(2);
	memcpy(page, code, sizeof(code));
	memcpy(&target, &page, sizeof(target));
	return target;
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
		__atomic_store_n(count, *count + SITES, __ATOMIC_RELAXED);
	}
	return NULL;
}

static target_fn *state(const char *name)
{
	if (!strcmp(name, "a"))
		return target_a;
	if (!strcmp(name, "b"))
		return target_b;
	if (!strcmp(name, "far"))
		return far_target(3);
	if (!strcmp(name, "far2"))
		return far_target(4);
	if (!strncmp(name, "fold", 4)) {
		may_be_folded = 1;
		if (static_call_set_folding(1))
			exit(2);
		return strcmp(name, "fold") ? target_fold2 : target_fold;
	}
	if (!strcmp(name, "ret0")) {
		may_be_ret0 = 1;
		return (target_fn *)(static_call_fn)__static_call_return0;
	}
	may_be_null = 1;
	return NULL;
}

/* What this thread itself sees right after its update is the new target and nothing else. */
static void check_now(target_fn *target, const char *name)
{
	long seen = 0, wanted = 0;
	int result, value = static_call(key)(&seen, 1.5);

	if (target && strcmp(name, "ret0")) {
		result = target(&wanted, 1.5);
		wrong += wanted != seen || result != value;
	} else {
		wrong += seen != 0 || (target && value != 0);
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

static unsigned long switch_until(double end, int callers, target_fn *const targets[2], char **names)
{
	unsigned long updates = 0;

	while (seconds() < end || updates < LEAST_UPDATES || !all_have_called(callers)) {
		int which = updates & 1;
		int error = static_call_update(key, targets[which]);

		if (error == -EOPNOTSUPP)
			exit(3);
		if (error) {
			fprintf(stderr, "torn: update: %s\n", strerror(-error));
			exit(2);
		}
		check_now(targets[which], names[which]);
		updates++;
	}
	return updates;
}

/* How many sites begin in one block of `size` bytes and end in the next. */
struct straddling {
	uintptr_t size;
	unsigned long count;
};

static int count_straddling(const struct static_call_site_info *site, void *argument)
{
	struct straddling *straddling = argument;
	uintptr_t last = (uintptr_t)site->address + (site->layout == STATIC_CALL_COMPACT ? 5 : 7);

	straddling->count += (uintptr_t)site->address / straddling->size != last / straddling->size;
	return 0;
}

static unsigned long straddling(uintptr_t size)
{
	struct straddling counted = { size, 0 };

	if (static_call_each_site(&STATIC_CALL_KEY(key), count_straddling, &counted))
		exit(2);
	return counted.count;
}

static void report(unsigned long sum, unsigned long updates)
{
	struct static_call_statistics statistics;

	static_call_statistics(&statistics);
	printf("calls %lu updates %lu wrong %lu sites %lu lines %lu pages %lu atomic %lu int3 %lu traps %lu stale %lu "
	       "syncs %lu\n", sum, updates, wrong, statistics.sites, straddling(LINE), straddling(PAGE),
	       statistics.atomic_pokes, statistics.int3_pokes, statistics.traps, statistics.stale_traps,
	       statistics.synchronisations);
}

int main(int argc, char **argv)
{
	pthread_t threads[MOST_CALLERS];
	target_fn *targets[2];
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
