/* SPDX-License-Identifier: MIT */
/*
 * Transactions over a hundred keys with two call sites each: all or nothing, the last change of a key wins, three
 * synchronisations and one protection change a page range. Without the tool the same program does the same, but for
 * what only patched text can refuse.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <static_call.h>
#ifdef PATCHED
#include <static_call_runtime.h>
#endif

#define PAGE 4096
#define KEYS 100
#define TEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define ALL(X) TEN(X, 0) TEN(X, 1) TEN(X, 2) TEN(X, 3) TEN(X, 4) TEN(X, 5) TEN(X, 6) TEN(X, 7) TEN(X, 8) TEN(X, 9)

static int one(void) { return 1; }
static int two(void) { return 2; }
static int three(void) { return 3; }

#define DEFINE(n) DEFINE_STATIC_CALL(key_##n, one);
ALL(DEFINE)

typedef int target_fn(void);

#define ADD(n) + static_call(key_##n)()
static int first_calls(void) { return 0 ALL(ADD); }
static int second_calls(void) { return 0 ALL(ADD); }

/* Whether every key, and every call through it, has this result. */
static int all_are(int result)
{
#define SAME(n) && static_call_query(key_##n)() == result
	return first_calls() == KEYS * result && second_calls() == KEYS * result ALL(SAME);
}

#define QUEUE(n) error |= static_call_queue(key_##n, target, t);
static int queue_all(struct static_call_transaction *t, target_fn *target)
{
	int error = 0;

	ALL(QUEUE)
	return error;
}

static int all_to(target_fn *target)
{
	struct static_call_transaction t;

	static_call_begin(&t);
	return queue_all(&t, target) || t.count != KEYS ? 1 : static_call_commit(&t);
}

static int test_all(void)
{
	if (!all_are(1) || all_to(two) || !all_are(2))
		return 1;
	/* Directed already: nothing to do. */
	if (all_to(two) || !all_are(2))
		return 2;
	return all_to(one) || !all_are(1) ? 3 : 0;
}

static int test_last_wins(void)
{
	struct static_call_transaction t;

	static_call_begin(&t);
	if (queue_all(&t, two) || queue_all(&t, three) || static_call_queue(key_42, two, &t) || queue_all(&t, one) ||
	    static_call_queue(key_42, three, &t) || static_call_queue(key_42, two, &t) || t.count != 3 * KEYS + 3)
		return 4;
	if (static_call_commit(&t) || t.count || t.changes)
		return 5;
	if (static_call(key_42)() != 2 || static_call(key_41)() != 1 || first_calls() != KEYS + 1)
		return 6;
	return static_call_update(key_42, one) || !all_are(1) ? 7 : 0;
}

static int test_empty_and_abort(void)
{
	struct static_call_transaction t;

	static_call_begin(&t);
	if (static_call_commit(&t) || !all_are(1))
		return 8;
	/* Empty again: usable without another begin. */
	if (queue_all(&t, two) || !all_are(1))
		return 9;
	static_call_abort(&t);
	if (t.count || t.changes || t.error || static_call_commit(&t) || !all_are(1))
		return 10;
	return 0;
}

/* One transaction, or update, within another: each counts when it is committed. */
static int test_nested(void)
{
	struct static_call_transaction outer, inner;

	static_call_begin(&outer);
	if (queue_all(&outer, two))
		return 11;
	static_call_begin(&inner);
	if (queue_all(&inner, three) || static_call_commit(&inner) || !all_are(3))
		return 12;
	if (static_call_update(key_07, one) || static_call(key_07)() != 1 || first_calls() != 3 * KEYS - 2)
		return 13;
	return static_call_commit(&outer) || !all_are(2) || all_to(one) ? 14 : 0;
}

static int fail_realloc;
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
	return fail_realloc ? NULL : __real_realloc(old, size);
}

static int test_no_memory(void)
{
	struct static_call_transaction t;

	static_call_begin(&t);
	if (static_call_queue(key_00, two, &t))
		return 15;
	fail_realloc = 1;
	if (!queue_all(&t, two) || t.error != -ENOMEM)
		return 16;
	fail_realloc = 0;
	/* What fits again does not make it whole. */
	if (static_call_queue(key_01, two, &t))
		return 17;
	if (static_call_commit(&t) != -ENOMEM || t.error || !all_are(1))
		return 18;
	return queue_all(&t, two) || static_call_commit(&t) || !all_are(2) || all_to(one) ? 19 : 0;
}

/* A target that commits a transaction of its own key. */
static int commits(void)
{
	return all_to(two) ? -1 : 5;
}

static int test_within_a_call(void)
{
	if (static_call_update(key_99, commits) || static_call(key_99)() != 5 || !all_are(2))
		return 20;
	return all_to(one) ? 21 : 0;
}

#define ROUNDS 200
static void *committer(void *argument)
{
	target_fn *target = argument ? two : three;
	uintptr_t failed = 0;

	for (int i = 0; i < ROUNDS; i++)
		failed |= all_to(target) != 0;
	return (void *)failed;
}

static int test_threads(int (*look)(void))
{
	pthread_t threads[2];
	int mixed = 0;

	for (uintptr_t i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, committer, (void *)i))
			return 22;
	for (int i = 0; i < ROUNDS; i++)
		mixed |= look();
	for (int i = 0; i < 2; i++) {
		void *failed;

		if (pthread_join(threads[i], &failed) || failed)
			return 23;
	}
	if (mixed || !(all_are(2) || all_are(3)))
		return 24;
	return all_to(one) ? 25 : 0;
}

#ifndef PATCHED
static int look(void) { return 0; }
static int test_patched(void) { return 0; }
#else
static static_call_fn first_target;
static unsigned long visits;

static int compare_target(const struct static_call_key_info *info, void *unused)
{
	(void)unused;
	if (!visits++)
		first_target = info->target;
	return info->target != first_target;
}

/* Whether some keys are of one commit and some of another at one moment. */
static int look(void)
{
	visits = 0;
	return static_call_each_key(compare_target, NULL) || visits != KEYS;
}

static struct static_call_statistics statistics(void)
{
	struct static_call_statistics now;

	static_call_statistics(&now);
	return now;
}

static const void *last_failure(int error)
{
	struct static_call_failure failure;

	static_call_last_failure(&failure);
	return failure.error == error && *failure.what ? failure.address : NULL;
}

/* One target of a hundred is not code; it is data, or nothing at all. No text is opened for it: the state alone, and closed. */
static int bad_target(void *target)
{
	struct static_call_transaction t;
	struct static_call_statistics before = statistics(), after;

	static_call_begin(&t);
	if (queue_all(&t, two) || static_call_queue(key_77, target, &t) || static_call_commit(&t) != -EFAULT)
		return 26;
	after = statistics();
	if (!all_are(1) || last_failure(-EFAULT) != target || after.synchronisations != before.synchronisations ||
	    after.protections != before.protections + 2 || after.failures != before.failures + 1)
		return 27;
	return 0;
}

static const void *last_site;
static int remember_site(const struct static_call_site_info *info, void *unused)
{
	(void)unused;
	last_site = info->address;
	return 0;
}

static int overwrite(const void *address, unsigned char byte)
{
	void *page = (void *)((uintptr_t)address & ~(uintptr_t)(PAGE - 1));
	unsigned char *text = (unsigned char *)(uintptr_t)address;

	if (mprotect(page, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC))
		return 1;
	*text = byte;
	return mprotect(page, 2 * PAGE, PROT_READ | PROT_EXEC);
}

/* Somebody else's bytes at one site, or trampoline, of a hundred. */
static int bad_bytes(const void *address)
{
	unsigned char old = *(const unsigned char *)address;
	int error;

	if (overwrite(address, 0x90))
		return 28;
	error = all_to(two);
	if (error != -EINVAL || last_failure(-EINVAL) != address)
		return 29;
	/* Nothing changed; a nop in the place of the prefix, which the calls still run through. */
	if (!all_are(1))
		return 30;
	return overwrite(address, old) || all_to(two) || !all_are(2) || all_to(one) ? 31 : 0;
}

static unsigned char pages[1 << 16];

static void touch(const void *address, uintptr_t base)
{
	uintptr_t page = ((uintptr_t)address - base) / PAGE;

	if (page < sizeof(pages))
		pages[page] = 1;
}

static int touch_site(const struct static_call_site_info *info, void *base)
{
	touch(info->address, *(uintptr_t *)base);
	touch((const char *)info->address + 7, *(uintptr_t *)base);
	return 0;
}

static int touch_key(const struct static_call_key_info *info, void *base)
{
	touch(info->trampoline, *(uintptr_t *)base);
	return 0;
}

/* How many ranges of pages there are that have a site or a trampoline. */
static unsigned long text_ranges(void)
{
	extern const char __executable_start[];
	uintptr_t base = (uintptr_t)__executable_start;
	unsigned long ranges = 0;

	if (static_call_each_site(NULL, touch_site, &base) || static_call_each_key(touch_key, &base))
		return 0;
	for (size_t i = 1; i < sizeof(pages); i++)
		ranges += pages[i] && !pages[i - 1];
	return ranges;
}

static int test_cost(void)
{
	unsigned long ranges = text_ranges();
	struct static_call_statistics before = statistics(), after;

	if (!ranges || ranges > 3 || all_to(two))
		return 32;
	after = statistics();
	if (after.updates != before.updates + 1 || after.synchronisations == before.synchronisations ||
	    after.synchronisations > before.synchronisations + 3)
		return 33;
	/* The text's ranges, small gaps between them closed, and that of the keys, each opened and closed. */
	if (after.protections > before.protections + 2 * (ranges + 1) || after.protections < before.protections + 4)
		return 34;
	before = statistics();
	if (all_to(two))
		return 35;
	after = statistics();
	if (after.synchronisations != before.synchronisations)
		return 36;
	return all_to(one) ? 37 : 0;
}

/* A key of another copy of the runtime. */
static int foreign_commit(const struct static_call_change *changes, static_call_size count)
{
	(void)changes;
	(void)count;
	return -1;
}

static int test_foreign(void)
{
	struct __static_call_object other = { .commit = foreign_commit };
	struct static_call_key foreign = { (static_call_fn)one, &other };
	struct static_call_transaction t;

	static_call_begin(&t);
	if (queue_all(&t, two) || __static_call_queue(&t, &foreign, (static_call_fn)two))
		return 38;
	return static_call_commit(&t) != -EXDEV || !all_are(1) || foreign.func != (static_call_fn)one ? 39 : 0;
}

static int test_patched(void)
{
	static int data[4];
	int failed = bad_target(data);

	if (!failed)
		failed = bad_target((void *)16);
	if (!failed && (static_call_each_site(&STATIC_CALL_KEY(key_55), remember_site, NULL) || !all_are(1)))
		failed = 40;
	if (!failed && last_site)
		failed = bad_bytes(last_site);
	if (!failed)
		failed = bad_bytes((const void *)(uintptr_t)STATIC_CALL_TRAMP_ADDR(key_55));
	if (!failed)
		failed = test_foreign();
	return failed ? failed : test_cost();
}
#endif

int main(void)
{
	int (*const tests[])(void) = { test_all, test_last_wins, test_empty_and_abort, test_nested, test_no_memory,
				       test_within_a_call, test_patched };

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		int failed = tests[i]();

		if (failed)
			return failed;
	}
	return test_threads(look);
}
