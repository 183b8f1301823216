/* SPDX-License-Identifier: MIT */
/*
 * Torn updates: threads call through 64 sites of one key, at every offset in a cache line and across pages, while
 * another thread goes back and forth between two states as fast as it can. Whatever a call does must be what the old
 * or the new target does, whole.
 *
 * usage: torn FROM TO MILLISECONDS    states: a b null ret0 far far2
 * Prints "calls N updates N wrong N"; exits 1 if anything was wrong, 3 where an update is refused (-EOPNOTSUPP).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <static_call.h>
#include <static_call_runtime.h>

#define CALLERS 4

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

DEFINE_STATIC_CALL(key, target_a);

typedef int target_fn(long *seen, double x);
static unsigned long wrong, calls[CALLERS];
static int stop, may_be_null, may_be_ret0;

/* mov n,(%rdi); mov n,%eax; ret; in a mapping that no rel32 of the program's text reaches */
static target_fn *far_target(int n)
{
	unsigned char code[] = { 0x48, 0xc7, 0x07, (unsigned char)n, 0, 0, 0, 0xb8, (unsigned char)n, 0, 0, 0, 0xc3 };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
	__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	fprintf(stderr, "torn: result %d, seen %ld\n", result, seen);
}

/* One site; the nops before it give each its own place in the cache line. */
#define SITE(pad) \
	{ \
		long seen = 0; \
		int result; \
		__asm__ volatile(".skip " #pad ", 0x90"); \
		result = static_call(key)(&seen, 1.5); \
		check(seen, result); \
	}
#define SITES8(n) SITE(n) SITE(n + 1) SITE(n + 2) SITE(n + 3) SITE(n + 4) SITE(n + 5) SITE(n + 6) SITE(n + 7)

static void round_of_sites(void)
{
	SITES8(0) SITES8(8) SITES8(16) SITES8(24) SITES8(32) SITES8(40) SITES8(48) SITES8(56)
}

static void *caller(void *argument)
{
	unsigned long *count = argument;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		round_of_sites();
		__atomic_store_n(count, *count + 64, __ATOMIC_RELAXED);
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

static unsigned long switch_until(double end, target_fn *const targets[2], char **names)
{
	unsigned long updates = 0;

	while (seconds() < end) {
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

int main(int argc, char **argv)
{
	struct static_call_statistics statistics;
	pthread_t threads[CALLERS];
	target_fn *targets[2];
	unsigned long updates, sum = 0;

	if (argc != 4)
		return 2;
	targets[0] = state(argv[1]);
	targets[1] = state(argv[2]);
	for (int i = 0; i < CALLERS; i++)
		if (pthread_create(&threads[i], NULL, caller, &calls[i]))
			return 2;
	updates = switch_until(seconds() + atof(argv[3]) / 1000, targets, argv + 1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		sum += calls[i];
	}
	static_call_statistics(&statistics);
	printf("calls %lu updates %lu wrong %lu sites %lu atomic %lu int3 %lu traps %lu stale %lu syncs %lu\n", sum, updates,
	       wrong, statistics.sites, statistics.atomic_pokes, statistics.int3_pokes, statistics.traps,
	       statistics.stale_traps, statistics.synchronisations);
	return wrong || !sum || !updates;
}
