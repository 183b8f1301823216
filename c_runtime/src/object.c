/* SPDX-License-Identifier: MIT */
/*
 * The linked objects of the process: each hands over its tables before main or in dlopen, and takes them back. Their
 * program headers, which are read-only, say where text and keys may be: nothing else is ever opened for writing.
 */
#include "runtime.h"
#include "records.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/auxv.h>

static bool objects_return0(static_call_fn func)
{
	const struct object *objects = state.objects.items;

	if (func == (static_call_fn)__static_call_return0)
		return true;
	for (size_t i = 0; i < state.objects.count; i++)
		if (objects[i].tables && objects[i].tables->return0 == func)
			return true;
	return false;
}

/* ---- where an object is ----------------------------------------------------------------------------------------- */

/* Something in the object that is looked for, and what is found. */
struct wanted {
	uintptr_t address;
	struct object *object;
};

static int measure(struct dl_phdr_info *info, size_t size, void *argument)
{
	const struct wanted *wanted = argument;
	struct object found = { .base = info->dlpi_addr, .headers = info->dlpi_phdr, .count = info->dlpi_phnum };

	(void)size;
	for (unsigned i = 0; i < found.count; i++) {
		const ElfW(Phdr) *header = &found.headers[i];

		if (header->p_type != PT_LOAD)
			continue;
		found.start = found.end ? found.start : found.base + header->p_vaddr;
		found.end = found.base + header->p_vaddr + header->p_memsz;
	}
	if (wanted->address < found.start || wanted->address >= found.end)
		return 0;
	/* Not the first of the list: in a namespace of its own (dlmopen) a library is that. */
	found.program = (uintptr_t)found.headers == getauxval(AT_PHDR);
	*wanted->object = found;
	return 1;
}

/*
 * Takes the loader's lock of its list of objects, so not under the update lock: a callback of dl_iterate_phdr() may
 * update. Its start is 0 where no object has the address.
 */
static struct object measured_at(const void *part)
{
	struct object object = { NULL, 0, 0, 0, NULL, 0, false };
	struct wanted wanted = { (uintptr_t)part, &object };

	(void)dl_iterate_phdr(measure, &wanted);
	return object;
}

static bool is_in(const struct object *object, uintptr_t address)
{
	return address >= object->start && address < object->end;
}

static const struct object *object_at(uintptr_t address)
{
	/* In this order, for handlers: where the list has moved, as many are there as were counted. */
	size_t count = __atomic_load_n(&state.objects.count, __ATOMIC_ACQUIRE);
	const struct object *objects = __atomic_load_n(&state.objects.items, __ATOMIC_ACQUIRE);

	for (size_t i = 0; i < count; i++)
		if (is_in(&objects[i], address))
			return &objects[i];
	return NULL;
}

/* The segment of that type and with those flags that has the address; `inner`: without a last page that it shares. */
static struct span segment(const struct object *object, uintptr_t address, unsigned type, unsigned flags, bool inner)
{
	for (unsigned i = 0; i < object->count; i++) {
		const ElfW(Phdr) *header = &object->headers[i];
		uintptr_t start = object->base + header->p_vaddr, end = start + header->p_memsz;

		start &= ~(PAGE - 1);
		end = (inner ? end : end + PAGE - 1) & ~(PAGE - 1);
		if (header->p_type == type && (header->p_flags & flags) == flags && address >= start && address < end)
			return (struct span){ start, end };
	}
	return (struct span){ 0, 0 };
}

static struct span object_text(const struct object *object, uintptr_t address)
{
	return segment(object, address, PT_LOAD, PF_X, false);
}

/* As the loader protects it: pages that belong to it alone (glibc, _dl_protect_relro). */
static struct span object_relro(const struct object *object, uintptr_t address)
{
	return segment(object, address, PT_GNU_RELRO, 0, true);
}

static bool objects_have_text(uintptr_t address)
{
	const struct object *object = object_at(address);

	return object && object_text(object, address).end;
}

/* ---- coming and going ------------------------------------------------------------------------------------------- */

/*
 * The library that has the address is never unloaded. Weak: glibc before 2.34 has dlsym only with -ldl. And dlopen only by
 * it, since a link by -static warns of that name. Not under the update lock, since the loader's lock is held where
 * libraries are initialised.
 */
static void stay(const void *part)
{
	extern void *dlsym(void *, const char *) __attribute__((__weak__));
	extern int dladdr(const void *, Dl_info *) __attribute__((__weak__));
	union {
		void *found;
		void *(*open)(const char *, int);
	} loader = { dlsym ? dlsym(RTLD_DEFAULT, "dlopen") : NULL };
	Dl_info info;

	if (loader.found && dladdr && dladdr(part, &info))
		(void)loader.open(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

/* The SIGTRAP handler stays for as long as the process does, whoever chains to it. */
static void pin(void)
{
	static bool pinned;

	if (!__atomic_exchange_n(&pinned, true, __ATOMIC_RELAXED) && !measured_at(&state).program)
		stay(&state);
}

static void objects_stay(void)
{
	size_t count = __atomic_load_n(&state.objects.count, __ATOMIC_ACQUIRE);

	for (size_t i = 0; i < count; i++) {
		const struct object *object = (const struct object *)state.objects.items + i;

		if (object->tables && !object->program)
			stay(object->tables);
	}
}

static struct object *object_of(const struct __static_call_object *tables)
{
	struct object *objects = state.objects.items;

	for (size_t i = 0; i < state.objects.count; i++)
		if (objects[i].tables == tables)
			return &objects[i];
	return NULL;
}

/*
 * In the place of one that has gone, or of the same without tables. Handlers look at the list at any time, so it only
 * grows, and what it was before it moved stays. 0 or -errno.
 */
static int put(const struct object *object)
{
	struct object *objects = state.objects.items, *gone;
	size_t count = state.objects.count;
	int error = array_open(&state.objects);

	for (gone = objects; gone < objects + count && gone->start; gone++)
		if (!gone->tables && gone->start == object->start)
			break;
	if (!error && gone == objects + count) {
		error = array_grow(&state.objects, count + 1, sizeof(*object));
		gone = (struct object *)state.objects.items + count;
	}
	if (error)
		return fail(error, "no memory for the list of objects", 0, NULL);
	*gone = (struct object){ NULL, 0, object->end, object->base, object->headers, object->count, object->program };
	__atomic_store_n(&gone->start, object->start, __ATOMIC_RELEASE);
	IN_ORDER();
	gone->tables = object->tables;
	__atomic_store_n(&state.objects.count, count + (gone == (struct object *)state.objects.items + count), __ATOMIC_RELEASE);
	array_close(&state.objects);
	return 0;
}

/* Sealed, nothing is added any more: the new object's calls stay as they were linked, and no key of its changes. */
static int add_object(const struct object *object, const struct object *program)
{
	int error = 0;

	if (object_of(object->tables) || state.sealed)
		return 0;
	policy_init();
	sync_register();
	/* First: whoever is killed in here leaves an index that is made anew. */
	state.generation++;
	IN_ORDER();
	if (program->start && !object_at(program->start))
		error = put(program);
	return error ? error : put(object);
}

static bool is_ours(const struct __static_call_object *tables)
{
	return tables->version == __SC_ABI && tables->size >= sizeof(*tables) && !process_is_strange();
}

/*
 * The executable is known with the first library, also if it has no tables, or none yet: the linker may have copied a
 * library's keys there (R_X86_64_COPY). Whether it is there now, which it was not before.
 */
static bool make_known(const struct __static_call_object *tables)
{
	struct object object, program;
	struct guard guard;
	int error;

	if (object_of(tables) || !is_ours(tables))
		return false;
	object = measured_at(tables);
	program = object.program ? object : measured_at((const void *)getauxval(AT_PHDR));
	if (!object.start)
		return false;
	object.tables = tables;
	error = update_begin(&guard);
	if (error)
		return false;
	error = add_object(&object, &program);
	update_end(&guard);
	return !error;
}

/* With the objects that its keys belong to, whose constructors may run later (keys of one name in several libraries). */
static void object_enter(const struct __static_call_object *tables)
{
	const struct key_record *record = tables->keys, *end = tables->keys_end;
	const struct __static_call_object *last = tables;

	pin();
	if (!make_known(tables))
		return;
	for (; record < end; record++) {
		const struct static_call_key *key = RECORD_SLOT(record->key);

		if (key->object && key->object != last)
			object_enter(key->object);
		last = key->object;
	}
	library_arrives(tables);
}

/* The first change from there on whose key belongs to an object that is not known; `count` where there is none. */
static size_t next_unknown(const struct static_call_change *changes, size_t at, size_t count)
{
	const struct __static_call_object *last = NULL;

	for (; at < count; at++) {
		const struct __static_call_object *tables = changes[at].key->object;

		if (tables && tables != last && !object_of(tables))
			break;
		last = tables;
	}
	return at;
}

static void objects_enter(const struct static_call_change *changes, size_t count)
{
	for (size_t at = 0; (at = next_unknown(changes, at, count)) < count; at++)
		object_enter(changes[at].key->object);
}

static int objects_check(const struct static_call_change *changes, size_t count)
{
	size_t at = next_unknown(changes, 0, count);

	return at == count ? 0 : fail(-EXDEV, "the key belongs to another copy of the runtime", 0, changes[at].key);
}

static void remove_object(const struct __static_call_object *tables)
{
	struct object *object = object_of(tables);

	if (!object || state.sealed)
		return;
	library_leaves(object);
	index_forget(object);
	if (array_open(&state.objects))
		return;
	object->tables = NULL;
	__atomic_store_n(&object->start, 0, __ATOMIC_RELEASE);
	object->end = 0;
	state.generation++;
	array_close(&state.objects);
}

static void object_leave(const struct __static_call_object *tables)
{
	static bool over;
	struct guard guard;
	const struct object *object;

	if (update_begin(&guard))
		return;
	object = object_of(tables);
	/* The executable goes only with the process. What destructors of its libraries update then must still be whole. */
	over |= object && object->program;
	if (!over)
		remove_object(tables);
	update_end(&guard);
}
