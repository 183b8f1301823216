/* SPDX-License-Identifier: MIT */
/*
 * What static_call_each_key() and static_call_each_site() tell: names, addresses, forms, layouts, targets, constants.
 *
 * usage: inspect_sites COMPACT    1 where sites are compact, 0 where they are aligned, -1 where there are none
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <static_call.h>
#include <static_call_runtime.h>

static int one(void) { return 1; }
static int two(void) { return 2; }
static void note(int *out) { ++*out; }
DEFINE_STATIC_CALL(number, one);
DEFINE_STATIC_CALL_NULL(hook, note);
DEFINE_STATIC_CALL_RET0(zero, one);
DEFINE_STATIC_CALL(unused, one);

typedef int target_fn(void);
static int compact;

__attribute__((__noinline__)) static int calls(int number_is, int notes_are, int zero_is)
{
	int notes = 0;

	static_call_cond(hook)(&notes);
	return static_call(number)() == number_is && static_call(number)() == number_is && notes == notes_are &&
	       static_call(zero)() == zero_is;
}

/* mov $7, %eax; ret, out of reach of a rel32 */
static target_fn *far_target(void)
{
	static const unsigned char code[] = { 0xb8, 7, 0, 0, 0, 0xc3 };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	target_fn *target;

	if (page == MAP_FAILED)
		exit(2);
	memcpy(page, code, sizeof(code));
	memcpy(&target, &page, sizeof(target));
	return target;
}

/* ---- keys ---- */

struct keys_seen {
	unsigned long count, sites;
	int wrong;
};

#define IS(info, k) \
	((info)->key == &STATIC_CALL_KEY(k) && !strcmp((info)->name, #k) && \
	 (info)->trampoline == STATIC_CALL_TRAMP_ADDR(k) && (info)->target == (static_call_fn)static_call_query(k))

static int see_key(const struct static_call_key_info *info, void *argument)
{
	struct keys_seen *seen = argument;
	unsigned long wanted = IS(info, number) ? 2 : IS(info, hook) || IS(info, zero) ? 1 : IS(info, unused) ? 0 : 99;

	seen->count++;
	seen->sites += info->sites;
	seen->wrong |= info->sites != (compact < 0 ? 0 : wanted);
	return 0;
}

static int test_keys(void)
{
	struct keys_seen seen = { 0, 0, 0 };
	struct static_call_statistics statistics;

	if (static_call_each_key(see_key, &seen) || seen.wrong || seen.count != 4)
		return 3;
	static_call_statistics(&statistics);
	return statistics.sites != seen.sites || statistics.trampolines != 4 ? 4 : 0;
}

/* ---- sites ---- */

struct sites_seen {
	const struct static_call_key *key; /* the only one, or NULL */
	struct static_call_site_info like; /* what all are to be */
	unsigned long count;
	int wrong;
};

static int see_site(const struct static_call_site_info *info, void *argument)
{
	struct sites_seen *seen = argument;
	const unsigned char *bytes = info->address;

	seen->count++;
	seen->wrong |= *bytes != 0x2e || info->layout != (compact ? STATIC_CALL_COMPACT : STATIC_CALL_ALIGNED);
	seen->wrong |= !compact && (uintptr_t)bytes % 8;
	if (seen->key)
		seen->wrong |= info->key != seen->key || info->form != seen->like.form || info->target != seen->like.target ||
			       info->constant != seen->like.constant || info->by_trampoline != seen->like.by_trampoline;
	return 0;
}

/* Whether the key has so many sites, all like that. */
static int sites_are(const struct static_call_key *key, unsigned long count, struct static_call_site_info like)
{
	struct sites_seen seen = { key, like, 0, 0 };

	return !static_call_each_site(key, see_site, &seen) && !seen.wrong && seen.count == (compact < 0 ? 0 : count);
}

#define SITES_ARE(name, count, ...) \
	sites_are(&STATIC_CALL_KEY(name), count, (struct static_call_site_info){ __VA_ARGS__ })

static int test_sites(void)
{
	target_fn *far = far_target();
	const void *tramp = (const void *)(uintptr_t)STATIC_CALL_TRAMP_ADDR(number);

	if (!sites_are(NULL, 4, (struct static_call_site_info){ .form = STATIC_CALL_UNKNOWN }))
		return 5;
	/* As the linker left them. */
	if (!SITES_ARE(number, 2, .form = STATIC_CALL_CALL, .target = tramp, .by_trampoline = 1) ||
	    !SITES_ARE(unused, 0, .form = STATIC_CALL_CALL))
		return 6;
	if (static_call_init() || !calls(1, 0, 0) ||
	    !SITES_ARE(number, 2, .form = STATIC_CALL_CALL, .target = (const void *)(uintptr_t)one) ||
	    !SITES_ARE(hook, 1, .form = STATIC_CALL_NOP) ||
	    !SITES_ARE(zero, 1, .form = STATIC_CALL_CONSTANT))
		return 7;
	if (static_call_update(number, far) || static_call_update(hook, note) || static_call_update(zero, two) ||
	    !calls(7, 1, 2) || !SITES_ARE(number, 2, .form = STATIC_CALL_CALL, .target = tramp, .by_trampoline = 1) ||
	    !SITES_ARE(hook, 1, .form = STATIC_CALL_CALL, .target = (const void *)(uintptr_t)note) ||
	    !SITES_ARE(zero, 1, .form = STATIC_CALL_CALL, .target = (const void *)(uintptr_t)two))
		return 8;
	return 0;
}

/* ---- visitors ---- */

static int stop_at_second(const struct static_call_key_info *info, void *argument)
{
	(void)info;
	return ++*(int *)argument == 2 ? 77 : 0;
}

static int stop_at_first(const struct static_call_site_info *info, void *argument)
{
	(void)info;
	++*(int *)argument;
	return -78;
}

/* May call, update and look for more: nothing is locked. */
static int update_key(const struct static_call_key_info *info, void *argument)
{
	struct static_call_transaction t;
	int nested = 0;

	(void)info;
	*(int *)argument += 1;
	static_call_begin(&t);
	if (static_call_update(number, two) || !calls(2, 1, 2))
		return 9;
	if (static_call_queue(number, one, &t) || static_call_commit(&t) || !calls(1, 1, 2))
		return 10;
	return static_call_each_key(stop_at_second, &nested) != 77 || nested != 2 ? 11 : 0;
}

static int update_site(const struct static_call_site_info *info, void *argument)
{
	(void)info;
	*(int *)argument += 1;
	return static_call_update(number, two) ? 13 : 0;
}

static int test_visitors(void)
{
	int visits = 0, failed;

	if (static_call_each_key(stop_at_second, &visits) != 77 || visits != 2)
		return 14;
	visits = 0;
	if (compact >= 0 && (static_call_each_site(NULL, stop_at_first, &visits) != -78 || visits != 1))
		return 15;
	visits = 0;
	failed = static_call_each_key(update_key, &visits);
	if (failed || visits != 4 || !calls(1, 1, 2))
		return failed ? failed : 16;
	visits = 0;
	failed = static_call_each_site(&STATIC_CALL_KEY(number), update_site, &visits);
	if (failed || visits != (compact < 0 ? 0 : 2))
		return failed ? failed : 17;
	return static_call_update(number, one) || !calls(1, 1, 2) ? 18 : 0;
}

int main(int argc, char **argv)
{
	int failed;

	if (argc != 2)
		return 2;
	compact = atoi(argv[1]);
	failed = test_keys();
	if (!failed)
		failed = test_sites();
	if (!failed)
		failed = test_keys();
	return failed ? failed : test_visitors();
}
