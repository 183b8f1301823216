/* SPDX-License-Identifier: MIT */
/*
 * Where tools find what the runtime knows, in a process or a core, whatever was stripped from the program: `instrument
 * ps` and the gdb script look for the magic words, in a section of its own or in memory, and take only what points to
 * itself there, no copy of it in a file. Version 1: whatever changes here, or the order of what it leads to, makes a
 * new one (instrument/description.py, c_runtime/gdb). Counters are added to the statistics at the end only.
 */
#include "runtime.h"

static const struct description {
	char magic[16];
	const struct description *self;
	uint64_t version;
	const struct static_call_statistics *statistics;
	uint64_t counters; /* how many the statistics have */
	const struct static_call_failure *failure;
	const int *protocol;
	const void *protocols; /* by number: three strings, as policy.c has them */
	const bool *core_store_safe, *misnamed;
	struct __static_call_object *const *objects;
	const int *sealed, *folding, *trusting;
} description __attribute__((__used__, __section__(".static_call_runtime"))) = {
	"static_callinfo", &description, 1,
	&statistics, sizeof(statistics) / sizeof(unsigned long), &failure,
	&policy.protocol, protocols, &policy.core_store_safe, &misnamed, &registry.first,
	&seal.sealed, &policy.folding, &policy.trusting,
};
__extension__ _Static_assert(offsetof(struct __static_call_object, sites) == 8, "version 1");
__extension__ _Static_assert(offsetof(struct __static_call_object, next) == 48, "version 1");

/* What is in .init_array stays, and what it names: nothing else leads to the description under --gc-sections. */
static __attribute__((__constructor__, __used__)) void describe_keep(void)
{
	__asm__ volatile("" : : "r"(&description));
}
