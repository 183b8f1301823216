/* SPDX-License-Identifier: MIT */
/*
 * Where tools find what the runtime knows, in a process or a core, whatever was stripped from the program: `instrument
 * ps` and the gdb script look for the magic words, in a section of its own or in memory, and take only what points to
 * itself there, no copy of it in a file. Version 2: whatever changes here, or the order of what it leads to, makes a
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
	const struct array *objects; /* pointer, count */
	uint64_t object_size;        /* tables, start, end come first; without tables it is none of ours */
	const int *sealed, *folding, *trusting;
	const bool *leads; /* else another copy serves the process, and here is nothing to see */
} description __attribute__((__used__, __section__(".static_call_runtime"))) = {
	"static_callinfo", &description, 2,
	&statistics, sizeof(statistics) / sizeof(unsigned long), &failure,
	&state.policy.protocol, protocols, &state.policy.core_store_safe, &state.policy.misnamed,
	&state.objects, sizeof(struct object), &state.sealed, &state.policy.folding, &state.policy.trusting, &state.leads,
};
__extension__ _Static_assert(offsetof(struct __static_call_object, sites) == 16, "version 2");
__extension__ _Static_assert(offsetof(struct object, end) == 16 && offsetof(struct array, count) == 8, "version 2");

/* What is in .init_array stays, and what it names: nothing else leads to the description under --gc-sections. */
static __attribute__((__constructor__, __used__)) void describe_keep(void)
{
	__asm__ volatile("" : : "r"(&description));
}
