/* SPDX-License-Identifier: MIT */
/*
 * Which protocol a change takes, and why.
 *
 * A change of target alone is one aligned store of a displacement: HotSpot, HHVM, V8 and QEMU rest on that on every
 * x86 (docs/design.md, section 6; reference peers.md, 9 and 10). A change of core is one aligned store only where
 * the processor's manual promises that another core fetches the old or the new instruction (AMD64 APM volume 2,
 * 7.6.1); Intel's asks for synchronisation first and its errata tell what happens else, so there it is int3.
 */
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first words of AuthenticAMD and HygonGenuine, as cpuid leaf 0 has them in ebx. */
#define VENDOR_AMD 0x68747541
#define VENDOR_HYGON 0x6f677948

static enum static_call_protocol protocol = STATIC_CALL_AUTO;
static const char *protocol_reason = "auto: nothing has been updated yet";
/* Whether the processor documents that an aligned store may change a whole instruction. */
static bool core_store_documented;

static const char *const protocol_names[] = {
	[STATIC_CALL_AUTO] = "auto",
	[STATIC_CALL_INT3_PUSH] = "int3-push",
	[STATIC_CALL_INT3_RESUME] = "int3-resume",
	[STATIC_CALL_ATOMIC] = "atomic",
};

static void explain(void)
{
	switch (protocol) {
	case STATIC_CALL_AUTO:
		protocol_reason = core_store_documented ?
			"auto: one aligned store wherever a site is aligned, as this processor's manual allows; "
			"int3-push for compact sites" :
			"auto: one aligned store where only the target of an aligned site changes; int3-push for "
			"the rest, since this processor's manual promises nothing for other changes";
		break;
	case STATIC_CALL_INT3_PUSH:
		protocol_reason = "int3-push: asked for";
		break;
	case STATIC_CALL_INT3_RESUME:
		protocol_reason = "int3-resume: asked for; sites stay calls, and those that it cannot serve take int3-push";
		break;
	case STATIC_CALL_ATOMIC:
		protocol_reason = core_store_documented ?
			"atomic: asked for; compact sites are refused" :
			"atomic: asked for; aligned sites stay calls, and compact sites and a trampoline's change of "
			"form are refused on this processor";
		break;
	}
}

static void policy_init(void)
{
	static bool done;
	unsigned leaf = 0, vendor, ecx, edx;
	const char *name = secure_getenv("STATIC_CALL_PROTOCOL");

	if (done)
		return;
	done = true;
	/* Not <cpuid.h>: clang 14's does not assemble under -masm=intel. */
	__asm__ volatile("cpuid" : "+a"(leaf), "=b"(vendor), "=c"(ecx), "=d"(edx));
	core_store_documented = vendor == VENDOR_AMD || vendor == VENDOR_HYGON;
	for (unsigned i = 0; name && i < sizeof(protocol_names) / sizeof(*protocol_names); i++)
		if (!strcmp(name, protocol_names[i])) {
			protocol = (enum static_call_protocol)i;
			name = NULL;
		}
	explain();
	if (name && *name)
		protocol_reason = "auto: STATIC_CALL_PROTOCOL names no protocol (auto, int3-push, int3-resume, atomic)";
}

int static_call_set_protocol(enum static_call_protocol wanted)
{
	sigset_t blocked;
	int error;

	if ((unsigned)wanted >= sizeof(protocol_names) / sizeof(*protocol_names))
		return -EINVAL;
	error = update_begin(&blocked);
	if (error)
		return error;
	policy_init();
	protocol = wanted;
	explain();
	update_end(&blocked);
	return 0;
}

const char *static_call_protocol_reason(void)
{
	sigset_t blocked;

	/* -EDEADLK: this thread is in an update, which has done this already. */
	if (!update_begin(&blocked)) {
		policy_init();
		update_end(&blocked);
	}
	return protocol_reason;
}

/* Whether the word at the site is naturally aligned and one instruction, so that one store replaces it whole. */
static bool one_word(const struct site *site)
{
	return site->prefixes == WORD - 5 && site->address % WORD == 0;
}

/* Whether the call's displacement is aligned, so that one store replaces it whole. */
static bool one_displacement(const struct site *site)
{
	return (site->address + site->prefixes + 1) % sizeof(int32_t) == 0;
}

static bool policy_keeps_call(const struct site *site, enum form now)
{
	if (site->rested || protocol == STATIC_CALL_INT3_RESUME)
		return true;
	return protocol == STATIC_CALL_ATOMIC && !core_store_documented && now == FORM_CALL;
}

static enum how policy_site(const struct site *site, enum form from, enum form to)
{
	bool target_only = from == FORM_CALL && to == FORM_CALL;
	bool by_store = one_word(site) && (target_only || core_store_documented);

	switch (protocol) {
	case STATIC_CALL_INT3_PUSH:
		return HOW_PUSH;
	case STATIC_CALL_INT3_RESUME:
		return target_only && one_displacement(site) ? HOW_RESUME : HOW_PUSH;
	case STATIC_CALL_ATOMIC:
		return by_store ? HOW_STORE : HOW_REFUSED;
	case STATIC_CALL_AUTO:
		break;
	}
	return by_store ? HOW_STORE : HOW_PUSH;
}

/* A trampoline is always one aligned word, and no thread ever rests inside it: int3 there only redirects. */
static enum how policy_tramp(enum form from, enum form to)
{
	bool by_store = (from == FORM_JUMP && to == FORM_JUMP) || core_store_documented;

	switch (protocol) {
	case STATIC_CALL_INT3_PUSH:
	case STATIC_CALL_INT3_RESUME:
		return HOW_PUSH;
	case STATIC_CALL_ATOMIC:
		return by_store ? HOW_STORE : HOW_REFUSED;
	case STATIC_CALL_AUTO:
		break;
	}
	return by_store ? HOW_STORE : HOW_PUSH;
}
