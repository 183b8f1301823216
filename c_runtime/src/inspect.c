/* SPDX-License-Identifier: MIT */
/* What a program may ask: what the runtime has done, why it could not, and what stands where. */
#include "runtime.h"

#include <errno.h>

static struct static_call_failure failure = { 0, "", NULL, NULL };

static int fail(int error, const char *what, uintptr_t address, const struct static_call_key *key)
{
	failure = (struct static_call_failure){ error, what, (const void *)address, key };
	return error;
}

void static_call_last_failure(struct static_call_failure *out)
{
	struct guard guard;
	int error = update_begin(&guard);

	*out = failure;
	if (!error)
		update_end(&guard);
}

void static_call_statistics(struct static_call_statistics *out)
{
	const unsigned long *from = (const unsigned long *)&statistics;
	unsigned long *to = (unsigned long *)out;

	for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static struct static_call_site_info describe(const struct site *site)
{
	static const enum static_call_form forms[] = {
		[FORM_CALL] = STATIC_CALL_CALL,         [FORM_JUMP] = STATIC_CALL_JUMP,
		[FORM_BRANCH] = STATIC_CALL_BRANCH,     [FORM_NOP] = STATIC_CALL_NOP,
		[FORM_CONSTANT] = STATIC_CALL_CONSTANT, [FORM_RETURN] = STATIC_CALL_RETURN,
		[FORM_UNKNOWN] = STATIC_CALL_UNKNOWN,
	};
	static const enum static_call_layout layouts[] = { STATIC_CALL_BARE, STATIC_CALL_COMPACT };
	struct insn now = insn_read_site(site);
	bool goes = now.form == site->kind;
	size_t count;
	const struct tramp *tramp = index_tramps(site->key, &count);
	bool by_trampoline = goes && (now.operand == site->home || now.operand == tramp->address + TRAMP_FAR);

	return (struct static_call_site_info){
		.key = site->key,
		.address = (const void *)site->address,
		.kind = forms[site->kind],
		.form = forms[now.form],
		.layout = site->prefixes < 2 ? layouts[site->prefixes] : STATIC_CALL_ALIGNED,
		.target = goes ? (const void *)(by_trampoline ? site->home : now.operand) : NULL,
		.constant = now.form == FORM_CONSTANT ? (unsigned int)now.operand : 0,
		.by_trampoline = by_trampoline,
	};
}

/*
 * What is visited is gathered first: a visitor may take the loader's lock (dladdr), and who has that one may wait for
 * ours (dlopen, whose constructors register).
 */
static int gather_keys(const struct static_call_key *key, struct array *infos)
{
	size_t count;
	const struct tramp *tramps = index_tramps(key, &count);
	struct static_call_key_info *info;
	struct target_lookup lookup;
	int error;

	if (array_reserve(infos, count, sizeof(*info)))
		return -ENOMEM;
	error = target_open(&lookup);
	if (error)
		return error;
	for (info = infos->items; infos->count < count; infos->count++, info++, tramps++) {
		static_call_fn func = __static_call_load(tramps->key);
		bool lost = func == library_lost || (func && !target_executable(&lookup, func));
		size_t sites;

		(void)index_sites(tramps->key, &sites);
		*info = (struct static_call_key_info){ tramps->key, tramps->name, (const void *)tramps->address,
						       func, sites, lost };
	}
	target_close(&lookup);
	return 0;
}

static int gather_sites_of(const struct static_call_key *key, struct array *infos)
{
	size_t count;
	const struct site *sites = index_sites(key, &count);
	struct static_call_site_info *info;

	if (array_reserve(infos, count, sizeof(*info)))
		return -ENOMEM;
	for (info = infos->items; infos->count < count; infos->count++)
		*info++ = describe(sites++);
	return 0;
}

static int snapshot(int (*gather)(const struct static_call_key *, struct array *), const struct static_call_key *key,
		    struct array *infos)
{
	struct guard guard;
	int error = update_begin(&guard);

	if (error)
		return error;
	error = index_refresh();
	if (!error)
		error = gather(key, infos);
	update_end(&guard);
	return error;
}

int static_call_each_key(int (*visit)(const struct static_call_key_info *, void *), void *argument)
{
	struct array infos = { 0 };
	int result = snapshot(gather_keys, NULL, &infos);
	const struct static_call_key_info *info = infos.items;

	for (size_t i = 0; i < infos.count && !result; i++)
		result = visit(&info[i], argument);
	array_free(&infos);
	return result;
}

int static_call_each_site(const struct static_call_key *key,
			  int (*visit)(const struct static_call_site_info *, void *), void *argument)
{
	struct array infos = { 0 };
	int result = snapshot(gather_sites_of, key, &infos);
	const struct static_call_site_info *info = infos.items;

	for (size_t i = 0; i < infos.count && !result; i++)
		result = visit(&info[i], argument);
	array_free(&infos);
	return result;
}
