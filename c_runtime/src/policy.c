/* SPDX-License-Identifier: MIT */
/*
 * Which protocol a change takes, and why.
 *
 * A change of target alone is one aligned store of a displacement: HotSpot, HHVM, V8 and QEMU rest on that on every
 * x86 (docs/design.md, section 6). A change of core is one aligned store only where
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
#define LINE 64u /* bytes of a cache line */

/* ThreadSanitizer is in the program: it has a thread of its own that blocks SIGTRAP and makes no calls. */
extern void __tsan_init(void) __attribute__((__weak__));

/* With the reason for what it does, and another one for where a store may change the core. */
static const struct {
	const char *name, *reason, *by_store;
} protocols[] = {
	[STATIC_CALL_AUTO] = {
		"auto",
		"auto: one aligned store where only the target of an aligned site changes; int3-push for the rest, since "
		"this processor's manual promises nothing for other changes",
		"auto: one aligned store wherever a site is aligned, as this processor's manual allows; int3-push for "
		"compact sites",
	},
	[STATIC_CALL_INT3_PUSH] = { "int3-push", "int3-push: asked for", NULL },
	[STATIC_CALL_INT3_RESUME] = {
		"int3-resume",
		"int3-resume: asked for; sites stay calls, and those that it cannot serve take int3-push",
		NULL,
	},
	[STATIC_CALL_INT3_STUB] = { "int3-stub", "int3-stub: asked for", NULL },
	[STATIC_CALL_ATOMIC] = {
		"atomic",
		"atomic: asked for; sites stay calls, since this processor's manual promises nothing for other changes; "
		"compact ones on their trampoline unless their displacement is aligned",
		"atomic: asked for; compact sites stay on their trampoline unless their displacement is aligned",
	},
};
#define PROTOCOLS (sizeof(protocols) / sizeof(*protocols))
static bool is_set(const char *variable, const char *wanted)
{
	const char *value = secure_getenv(variable);

	return value && !strcmp(value, wanted);
}

static void policy_init(void)
{
	struct policy *policy = &state.policy;
	unsigned leaf = 0, vendor = 0, ecx, edx;
	const char *name;

	/* The environment may be read only once, and early: setenv() of another thread frees it (getenv(3)). */
	if (policy->known)
		return;
	policy->known = true;
	/* Not <cpuid.h>: clang 14's does not assemble under -masm=intel. */
	__asm__ volatile("cpuid" : "+a"(leaf), "=b"(vendor), "=c"(ecx), "=d"(edx));
	policy->core_store_safe = vendor == VENDOR_AMD || vendor == VENDOR_HYGON || RUNNING_ON_VALGRIND;
	policy->folding = is_set("STATIC_CALL_FOLD", "1");
	policy->trusting = __tsan_init || is_set("STATIC_CALL_BLOCKED", "trust");
	name = secure_getenv("STATIC_CALL_PROTOCOL");
	policy->misnamed = name && *name;
	for (unsigned i = 0; i < PROTOCOLS && policy->misnamed; i++)
		if (!strcmp(name, protocols[i].name)) {
			policy->protocol = (int)i;
			policy->misnamed = false;
		}
}

static int policy_set(enum setting setting, int value)
{
	struct guard guard;
	int error;

	if (setting == SET_PROTOCOL && (unsigned)value >= PROTOCOLS)
		return -EINVAL;
	error = update_begin(&guard);
	if (error)
		return error;
	if (state.sealed) {
		error = fail(-EPERM, "static calls are sealed", 0, NULL);
	} else {
		policy_init();
		if (setting == SET_PROTOCOL)
			state.policy.protocol = value;
		else if (setting == SET_FOLDING)
			state.policy.folding = value;
		else
			state.policy.trusting = __tsan_init || value;
	}
	update_end(&guard);
	return error;
}

static const char *policy_reason(void)
{
	const struct policy *policy = &state.policy;
	struct guard guard;
	const char *by_store;

	/* -EDEADLK: this thread is in an update, which has done this already. */
	if (!policy->known && !update_begin(&guard)) {
		policy_init();
		update_end(&guard);
	}
	by_store = policy->core_store_safe ? protocols[policy->protocol].by_store : NULL;
	if (policy->misnamed && policy->protocol == STATIC_CALL_AUTO)
		return "auto: STATIC_CALL_PROTOCOL names no protocol (auto, int3-push, int3-resume, int3-stub, atomic)";
	return by_store ? by_store : protocols[policy->protocol].reason;
}

/* Whether the word at the site is naturally aligned and one instruction, so that one store replaces it whole. */
static bool one_word(const struct site *site)
{
	return insn_length(site) == WORD && site->address % WORD == 0;
}

/*
 * Whether one store replaces the displacement whole. An aligned one always. A bare site has no other way, so there it
 * need only lie in one cache line: HHVM's rule (smashable-instr-x64.cpp), and that of the static calls of 2018, whose
 * author saw crashes only where lines were crossed (Poimboeuf, LKML, 12 Dec 2018).
 */
static bool one_displacement(const struct site *site)
{
	uintptr_t displacement = site->address + insn_length(site) - sizeof(int32_t);

	return site->prefixes ? displacement % sizeof(int32_t) == 0 : displacement % LINE <= LINE - sizeof(int32_t);
}

static bool policy_crosses(const struct site *site)
{
	return !site->prefixes && !one_displacement(site);
}

static bool without_int3(void)
{
	return state.policy.protocol == STATIC_CALL_ATOMIC || (state.policy.constraints & WITHOUT_INT3);
}

static enum how policy_site(const struct site *site, enum form from, enum form to)
{
	bool target_only = from == site->kind && to == site->kind;
	bool stores = !(state.policy.constraints & WITHOUT_STORES);
	bool by_store = stores && (target_only ? one_displacement(site) : state.policy.core_store_safe && one_word(site));

	if (state.policy.constraints & WITHOUT_TEXT)
		return HOW_REFUSED;
	/* Who rests in front of the core runs what stands there, and would run half of another form. */
	if (to != site->kind && (site->rested || state.policy.protocol == STATIC_CALL_INT3_RESUME))
		return HOW_REFUSED;
	/* So there only a store may change it; and at a bare site, where an int3 would hide the opcode itself. */
	if (without_int3() || !site->prefixes || (site->rested && !stores))
		return by_store ? HOW_STORE : HOW_REFUSED;
	if (state.policy.protocol == STATIC_CALL_INT3_STUB)
		return HOW_STUB;
	if (state.policy.protocol == STATIC_CALL_INT3_RESUME)
		return target_only && by_store ? HOW_RESUME : HOW_PUSH;
	return state.policy.protocol == STATIC_CALL_AUTO && by_store ? HOW_STORE : HOW_PUSH;
}

/* A trampoline's displacement is always aligned, and only it changes; int3 there is for those who ask for it. */
static enum how policy_tramp(void)
{
	bool asked = state.policy.protocol != STATIC_CALL_AUTO && state.policy.protocol != STATIC_CALL_ATOMIC;

	if (state.policy.constraints & WITHOUT_STORES)
		return without_int3() ? HOW_REFUSED : HOW_PUSH;
	return asked && !without_int3() ? HOW_PUSH : HOW_STORE;
}
