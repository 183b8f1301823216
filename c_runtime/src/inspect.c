/* SPDX-License-Identifier: MIT */
/* What a program may ask: what the runtime has done, why it could not, and what stands where. */
#include "runtime.h"

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

int static_call_each_key(int (*visit)(const struct static_call_key_info *, void *), void *argument)
{
	const struct tramp *tramps;
	struct guard guard;
	size_t count;
	int result = update_begin(&guard);

	if (result)
		return result;
	result = index_refresh();
	tramps = index_tramps(NULL, &count);
	for (size_t i = 0; i < count && !result; i++) {
		struct static_call_key_info info = {
			.key = tramps[i].key,
			.name = tramps[i].name,
			.trampoline = (const void *)tramps[i].address,
			.target = __static_call_load(tramps[i].key),
		};
		size_t sites;

		(void)index_sites(tramps[i].key, &sites);
		info.sites = sites;
		result = visit(&info, argument);
	}
	update_end(&guard);
	return result;
}

static struct static_call_site_info describe(const struct site *site)
{
	struct insn now = insn_read_site(site->address, site->prefixes);
	struct static_call_site_info info = {
		.key = site->key,
		.address = (const void *)site->address,
		.layout = site->prefixes == 1 ? STATIC_CALL_COMPACT : STATIC_CALL_ALIGNED,
	};

	switch (now.form) {
	case FORM_CALL:
		info.form = STATIC_CALL_CALL;
		info.target = (const void *)now.operand;
		info.by_trampoline = now.operand == site->home;
		break;
	case FORM_NOP:
		info.form = STATIC_CALL_NOP;
		break;
	case FORM_CONSTANT:
		info.form = STATIC_CALL_CONSTANT;
		info.constant = (unsigned int)now.operand;
		break;
	default:
		info.form = STATIC_CALL_UNKNOWN;
		break;
	}
	return info;
}

int static_call_each_site(const struct static_call_key *key,
			  int (*visit)(const struct static_call_site_info *, void *), void *argument)
{
	const struct site *sites;
	struct guard guard;
	size_t count;
	int result = update_begin(&guard);

	if (result)
		return result;
	result = index_refresh();
	sites = index_sites(key, &count);
	for (size_t i = 0; i < count && !result; i++) {
		struct static_call_site_info info = describe(&sites[i]);

		result = visit(&info, argument);
	}
	update_end(&guard);
	return result;
}
