/* SPDX-License-Identifier: MIT */
/*
 * What may be called. A target that is not in executable memory (data, a library that was closed) is refused. For text
 * of an object that has static calls its headers tell; else the kernel is asked, since code also comes from mmap.
 */
#include "runtime.h"

#include <errno.h>
#include <sys/mman.h>

static bool is_mapped_at_all(uintptr_t address)
{
	unsigned char resident;

	return !mincore((void *)(address & ~(PAGE - 1)), 1, &resident);
}

static bool is_executable(struct maps *maps, uintptr_t address)
{
	return maps_find(maps, address) > 0 && address >= maps->last.start && maps->executable;
}

static int target_check(struct maps *maps, static_call_fn func)
{
	uintptr_t address = (uintptr_t)func;
	int found;

	if (objects_have_text(address))
		return 0;
	found = maps_find(maps, address);
	if (found == NO_MAPS)
		return is_mapped_at_all(address) ? 0 : -EFAULT;
	if (found < 0)
		return found;
	if (is_executable(maps, address))
		return 0;
	/* Qemu-user's list shows text as read-only where it has merged it with what lies before. */
	return !is_executable(maps, (uintptr_t)target_check) && is_mapped_at_all(address) ? 0 : -EFAULT;
}
