/* SPDX-License-Identifier: MIT */
/*
 * Which copy of the runtime serves the process. Libraries may have copies of their own that know nothing of each other,
 * hidden by version scripts or -Bsymbolic, while their keys share names and pages. So the first one that is needed
 * leads: it has the lock, the pages, the index of all, and the others hand on to it what they are asked.
 *
 * They find it by a note that the loader's list of objects leads to, which no symbol table need have. Each namespace of
 * dlmopen() has a list, and so a leader, of its own.
 */
#include "runtime.h"

#include <errno.h>
#include <string.h>

/* CFI (-fsanitize=cfi) knows the functions of its own link only, and these lie in another. */
#ifdef __clang__
#define OF_ANY_LINK __attribute__((__no_sanitize__("cfi", "function")))
#else
#define OF_ANY_LINK
#endif

typedef int visit_key(const struct static_call_key_info *, void *);
typedef int visit_site(const struct static_call_site_info *, void *);

/* What one copy does for the others. Constant; it may grow at the end, and then __SC_ABI stays. */
struct runtime {
	void (*enter)(const struct __static_call_object *tables);
	void (*leave)(const struct __static_call_object *tables);
	int (*commit)(const struct static_call_change *changes, static_call_size count);
	int (*init)(void);
	int (*seal)(void);
	int (*set)(enum setting setting, int value);
	const char *(*reason)(void);
	void (*statistics)(struct static_call_statistics *out, static_call_size size);
	void (*last_failure)(struct static_call_failure *out, static_call_size size);
	int (*each_key)(visit_key *visit, void *argument, static_call_size size);
	int (*each_site)(const struct static_call_key *key, visit_site *visit, void *argument, static_call_size size);
};

extern const struct runtime own __asm__("__static_call_runtime");
__attribute__((__used__, __visibility__("hidden"))) const struct runtime own = {
	object_enter, object_leave, commit, init, seal, policy_set, policy_reason,
	inspect_statistics, inspect_last_failure, inspect_each_key, inspect_each_site,
};

/* ---- the note --------------------------------------------------------------------------------------------------- */

#define NOTE_NAME "StaticCall"
/* Distances, so that nothing needs a relocation: an object that is being loaded may be looked at before it has them. */
__asm__(".pushsection .note.static_call, \"a\", @note\n\t"
	".p2align 2\n\t.long 11, 8, " __SC_STR(__SC_ABI) "\n\t.asciz \"" NOTE_NAME "\"\n\t.p2align 2\n\t"
	".long __static_call_state - .\n\t.long __static_call_runtime - .\n\t.popsection");

/* A copy that leads; `own` where none does yet. */
struct search {
	const struct runtime *leader;
	bool strange; /* it speaks another version of the ABI */
};

static void look_at_note(const ElfW(Nhdr) *note, struct search *search)
{
	const char *name = (const char *)(note + 1);
	const int32_t *distances = (const void *)(name + 12);
	const bool *leads;

	if (note->n_namesz != sizeof(NOTE_NAME) || note->n_descsz < 8 || memcmp(name, NOTE_NAME, sizeof(NOTE_NAME)) != 0)
		return;
	leads = (const bool *)((uintptr_t)&distances[0] + (uintptr_t)(intptr_t)distances[0]);
	if (!*leads)
		return;
	search->strange = note->n_type != __SC_ABI;
	search->leader = (const struct runtime *)((uintptr_t)&distances[1] + (uintptr_t)(intptr_t)distances[1]);
}

static void look_at_notes(uintptr_t at, uintptr_t end, uintptr_t align, struct search *search)
{
	while (at + sizeof(ElfW(Nhdr)) <= end) {
		const ElfW(Nhdr) *note = (const void *)at;
		uintptr_t description = sizeof(*note) + note->n_namesz;

		description = (description + align - 1) & ~(align - 1);
		look_at_note(note, search);
		at += (description + note->n_descsz + align - 1) & ~(align - 1);
	}
}

static int look_at_object(struct dl_phdr_info *info, size_t size, void *search)
{
	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + header->p_vaddr;

		if (header->p_type == PT_NOTE)
			look_at_notes(start, start + header->p_memsz, header->p_align == 8 ? 8 : 4, search);
	}
	return ((struct search *)search)->leader != &own;
}

/* ---- the leader ------------------------------------------------------------------------------------------------- */

static bool strange;

static bool process_is_strange(void)
{
	return strange;
}

/* The first object's turn: it keeps the loader's lock, so that no two copies find nobody, and the caller's order of locks. */
static int elect(struct dl_phdr_info *info, size_t size, void *unused)
{
	struct search search = { &own, false };
	struct guard guard;

	(void)info, (void)size, (void)unused;
	dl_iterate_phdr(look_at_object, &search);
	if (!update_begin(&guard)) {
		strange = search.strange;
		state.leads = search.leader == &own;
		state.leader = search.strange ? &own : search.leader;
		update_end(&guard);
	}
	return 1;
}

static const struct runtime *leader(void)
{
	const struct runtime *found = __atomic_load_n(&state.leader, __ATOMIC_ACQUIRE);

	if (found)
		return found;
	dl_iterate_phdr(elect, NULL);
	found = __atomic_load_n(&state.leader, __ATOMIC_ACQUIRE);
	return found ? found : &own;
}

/* ---- the API ---------------------------------------------------------------------------------------------------- */

OF_ANY_LINK void __static_call_rt_register(const struct __static_call_object *object)
{
	leader()->enter(object);
}

OF_ANY_LINK void __static_call_rt_unregister(const struct __static_call_object *object)
{
	leader()->leave(object);
}

OF_ANY_LINK int __static_call_rt_commit(const struct static_call_change *changes, static_call_size count)
{
	return leader()->commit(changes, count);
}

OF_ANY_LINK int __static_call_rt_init(void)
{
	return leader()->init();
}

OF_ANY_LINK int __static_call_rt_seal(void)
{
	return leader()->seal();
}

OF_ANY_LINK int static_call_set_protocol(enum static_call_protocol wanted)
{
	return leader()->set(SET_PROTOCOL, (int)wanted);
}

OF_ANY_LINK int static_call_set_folding(int on)
{
	return leader()->set(SET_FOLDING, on);
}

OF_ANY_LINK int static_call_trust_blocked_threads(int on)
{
	return leader()->set(SET_TRUSTING, on);
}

OF_ANY_LINK const char *static_call_protocol_reason(void)
{
	return leader()->reason();
}

OF_ANY_LINK void __static_call_rt_statistics(struct static_call_statistics *out, static_call_size size)
{
	leader()->statistics(out, size);
}

OF_ANY_LINK void __static_call_rt_last_failure(struct static_call_failure *out, static_call_size size)
{
	leader()->last_failure(out, size);
}

OF_ANY_LINK int __static_call_rt_each_key(visit_key *visit, void *argument, static_call_size size)
{
	return leader()->each_key(visit, argument, size);
}

OF_ANY_LINK int __static_call_rt_each_site(const struct static_call_key *key, visit_site *visit, void *argument,
					  static_call_size size)
{
	return leader()->each_site(key, visit, argument, size);
}
