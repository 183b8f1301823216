/* SPDX-License-Identifier: MIT */
/* The linked objects of the process: each hands over its tables before main or in dlopen, and takes them back. */
#include "runtime.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

static bool objects_return0(static_call_fn func)
{
	if (func == (static_call_fn)__static_call_return0)
		return true;
	for (const struct __static_call_object *object = registry.first; object; object = object->next)
		if (object->return0 == func)
			return true;
	return false;
}

/* Something in the object that is looked for, and where to put what its program headers say. */
struct wanted {
	uintptr_t address;
	struct __static_call_object *object;
	bool program;
};

static int measure(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct wanted *wanted = argument;
	struct __static_call_object found = { 0 };

	(void)size;
	/* Not the first of the list: in a namespace of its own (dlmopen) a library is that. */
	wanted->program = (uintptr_t)info->dlpi_phdr == getauxval(AT_PHDR);
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;

		if (header->p_type == PT_LOAD) {
			found.start = found.end ? found.start : start;
			found.end = end;
		} else if (header->p_type == PT_GNU_RELRO) {
			/* As the loader protects it: whole pages (glibc, _dl_protect_relro). */
			found.relro = start & ~(PAGE - 1);
			found.relro_end = end & ~(PAGE - 1);
		}
	}
	if (wanted->address < found.start || wanted->address >= found.end)
		return 0;
	wanted->object->start = found.start;
	wanted->object->end = found.end;
	wanted->object->relro = found.relro;
	wanted->object->relro_end = found.relro_end;
	return 1;
}

static bool object_measure(struct __static_call_object *object, const void *part)
{
	struct wanted wanted = { (uintptr_t)part, object, false };

	return dl_iterate_phdr(measure, &wanted) && wanted.program;
}

/*
 * The SIGTRAP handler stays for as long as the process does, whoever chains to it: if the runtime lies in a library, that
 * library must never go. Weak: glibc before 2.34 has dlsym only with -ldl. And dlopen only by it, since a link by
 * -static warns of that name. Before the update lock, since the loader's lock is held where libraries are initialised.
 */
static void pin(void)
{
	extern void *dlsym(void *, const char *) __attribute__((__weak__));
	extern int dladdr(const void *, Dl_info *) __attribute__((__weak__));
	static bool pinned;
	struct __static_call_object own = { 0 };
	union {
		void *found;
		void *(*open)(const char *, int);
	} loader;
	Dl_info info;

	if (__atomic_exchange_n(&pinned, true, __ATOMIC_RELAXED) || object_measure(&own, &pinned))
		return;
	loader.found = dlsym ? dlsym(RTLD_DEFAULT, "dlopen") : NULL;
	if (loader.found && dladdr && dladdr(&pinned, &info))
		(void)loader.open(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

static void add_object(struct __static_call_object *object)
{
	const struct __static_call_object *known = registry.first;

	if (object->registered)
		return;
	policy_init();
	sync_register();
	/* A thread that was killed in here may have put it into the list. */
	while (known && known != object)
		known = known->next;
	registry.generation++;
	if (!known) {
		object->next = registry.first;
		IN_ORDER();
		registry.first = object;
	}
	IN_ORDER();
	object->registered = 1;
	library_arrives(object);
}

static void measure_new(struct __static_call_object *object)
{
	if (!__atomic_load_n(&object->registered, __ATOMIC_ACQUIRE))
		object->program = object_measure(object, object);
}

static void objects_measure(const struct static_call_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (changes[i].key->object)
			measure_new(changes[i].key->object);
}

static void objects_know(const struct static_call_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (changes[i].key->object && changes[i].key->object->commit == __static_call_rt_commit)
			add_object(changes[i].key->object);
}

void __static_call_rt_register(struct __static_call_object *object)
{
	struct guard guard;

	pin();
	measure_new(object);
	if (!update_begin(&guard)) {
		add_object(object);
		update_end(&guard);
	}
}

static void remove_object(struct __static_call_object *object)
{
	struct __static_call_object **link = &registry.first;

	while (*link && *link != object)
		link = &(*link)->next;
	if (!*link)
		return;
	library_leaves(object);
	index_forget(object);
	*link = object->next;
	object->registered = 0;
	registry.generation++;
}

void __static_call_rt_unregister(struct __static_call_object *object)
{
	static bool over;
	struct guard guard;

	if (update_begin(&guard))
		return;
	/* The executable goes only with the process. What destructors of its libraries update then must still be whole. */
	over |= object->program;
	if (!over)
		remove_object(object);
	update_end(&guard);
}
