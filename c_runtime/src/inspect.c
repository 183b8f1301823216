/* SPDX-License-Identifier: MIT */
/* What a program may ask: what the runtime has done, why it could not, and what stands where. */
#include "runtime.h"

#include <errno.h>
#include <string.h>

static int fail(int error, const char *what, uintptr_t address, const struct static_call_key *key)
{
	failure = (struct static_call_failure){ error, what, (const void *)address, key };
	return error;
}

/* What the caller's header knows of a structure: the beginning of ours, and zeros where it knows more. */
static void hand_over(void *out, static_call_size size, const void *from, size_t known)
{
	memset(out, 0, size);
	memcpy(out, from, size < known ? size : known);
}

static void inspect_last_failure(struct static_call_failure *out, static_call_size size)
{
	struct static_call_failure now;
	struct guard guard;
	int error = update_begin(&guard);

	now = failure;
	now.what = now.what ? now.what : "";
	if (!error)
		update_end(&guard);
	hand_over(out, size, &now, sizeof(now));
}

static void inspect_statistics(struct static_call_statistics *out, static_call_size size)
{
	const unsigned long *from = (const unsigned long *)&statistics;
	unsigned long now[sizeof(statistics) / sizeof(unsigned long)] = { 0 };

	for (size_t i = 0; i < sizeof(now) / sizeof(*now); i++)
		now[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	hand_over(out, size, now, sizeof(now));
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
static int gather_keys(const struct static_call_key *key, struct array *infos, size_t size)
{
	size_t count;
	const struct tramp *tramps = index_tramps(key, &count);
	struct maps maps = MAPS_CLOSED;

	if (array_reserve(infos, count, size))
		return -ENOMEM;
	for (; infos->count < count; infos->count++, tramps++) {
		static_call_fn func = __static_call_load(tramps->key);
		int lost = func == library_lost ? -EFAULT : func ? target_check(&maps, func) : 0;
		struct static_call_key_info info = { tramps->key, tramps->name, (const void *)tramps->address, func, 0,
						     lost == -EFAULT };

		if (lost && lost != -EFAULT) {
			maps_close(&maps);
			return lost;
		}
		(void)index_sites(tramps->key, &info.sites);
		hand_over((char *)infos->items + infos->count * size, size, &info, sizeof(info));
	}
	maps_close(&maps);
	return 0;
}

static int gather_sites_of(const struct static_call_key *key, struct array *infos, size_t size)
{
	size_t count;
	const struct site *sites = index_sites(key, &count);

	if (array_reserve(infos, count, size))
		return -ENOMEM;
	for (; infos->count < count; infos->count++) {
		struct static_call_site_info info = describe(sites++);

		hand_over((char *)infos->items + infos->count * size, size, &info, sizeof(info));
	}
	return 0;
}

static int snapshot(int (*collect)(const struct static_call_key *, struct array *, size_t), const struct static_call_key *key,
		    struct array *infos, size_t size)
{
	struct guard guard;
	int error = update_begin(&guard);

	if (error)
		return error;
	error = index_refresh();
	if (!error)
		error = collect(key, infos, size);
	update_end(&guard);
	return error;
}

static int inspect_each_key(int (*visit)(const struct static_call_key_info *, void *), void *argument,
			    static_call_size size)
{
	struct array infos = { NULL, 0, 0 };
	int result = snapshot(gather_keys, NULL, &infos, size);

	for (size_t i = 0; i < infos.count && !result; i++)
		result = visit((const void *)((const char *)infos.items + i * size), argument);
	array_free(&infos);
	return result;
}

static int inspect_each_site(const struct static_call_key *key,
			     int (*visit)(const struct static_call_site_info *, void *), void *argument,
			     static_call_size size)
{
	struct array infos = { NULL, 0, 0 };
	int result = snapshot(gather_sites_of, key, &infos, size);

	for (size_t i = 0; i < infos.count && !result; i++)
		result = visit((const void *)((const char *)infos.items + i * size), argument);
	array_free(&infos);
	return result;
}
