/* SPDX-License-Identifier: MIT */
/*
 * What may be called. A target that is not in executable memory (data, a library that was closed) is refused; the
 * kernel is asked, since code also comes from mmap: PROCMAP_QUERY (Linux 6.11) or the text of /proc/self/maps.
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* <linux/fs.h> of 6.11 and later; Debian 12 has 6.1's. */
struct map_query {
	uint64_t size, flags, address, start, end, found_flags, page_size, offset, inode;
	uint32_t major, minor, name_size, build_id_size;
	uint64_t name, build_id;
};
#define MAP_QUERY _IOWR('f', 17, struct map_query)
#define MAP_QUERY_EXECUTABLE 4u
#define NO_MAPS (-ENOENT)

/* Without /proc, or where a sandbox lets nobody open it, there is less to know; out of file numbers is an error. */
static int open_maps(const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC), error = file < 0 ? -errno : 0;

	if (!error)
		return file;
	return proc_absent(error) || error == -EACCES || error == -EPERM ? NO_MAPS : error;
}

static int target_open(struct target_lookup *lookup)
{
	char byte;

	*lookup = (struct target_lookup){ .maps = open_maps("/proc/self/maps") };
	/* Self is the first thread, which may have ended (pthread_exit in main) and has no memory then. */
	if (lookup->maps >= 0 && !pread(lookup->maps, &byte, 1, 0)) {
		close(lookup->maps);
		lookup->maps = open_maps("/proc/thread-self/maps");
	}
	return lookup->maps < 0 && lookup->maps != NO_MAPS ? lookup->maps : 0;
}

static void target_close(const struct target_lookup *lookup)
{
	if (lookup->maps >= 0)
		close(lookup->maps);
}

/* "start-end rwxp ...": whether it is the executable mapping that is wanted. */
static bool is_wanted(const char *line, void *argument)
{
	struct target_lookup *lookup = argument;
	char *rest;
	uintptr_t start = strtoul(line, &rest, 16), end;

	rest += *rest == '-';
	end = strtoul(rest, &rest, 16);
	if (lookup->wanted < start || lookup->wanted >= end || strlen(rest) < 4 || rest[3] != 'x')
		return false;
	lookup->start = start;
	lookup->end = end;
	return true;
}

static bool search(struct target_lookup *lookup, uintptr_t address)
{
	lookup->wanted = address;
	return !lseek(lookup->maps, 0, SEEK_SET) && proc_lines(lookup->maps, is_wanted, lookup) > 0;
}

static bool is_mapped(uintptr_t address)
{
	unsigned char resident;

	return !mincore((void *)(address & ~(PAGE - 1)), 1, &resident);
}

static bool target_executable(struct target_lookup *lookup, static_call_fn func)
{
	uintptr_t address = (uintptr_t)func;
	struct map_query query = { .size = sizeof(query), .flags = MAP_QUERY_EXECUTABLE, .address = address };

	if (address >= lookup->start && address < lookup->end)
		return true;
	if (lookup->maps < 0)
		return is_mapped(address);
	if (!ioctl(lookup->maps, MAP_QUERY, &query)) {
		lookup->start = query.start;
		lookup->end = query.end;
		return true;
	}
	if (errno == ENOENT)
		return false;
	/* Qemu-user's list shows text as read-only where it has merged it with what lies before. */
	return search(lookup, address) || (!search(lookup, (uintptr_t)target_executable) && is_mapped(address));
}

static enum form target_folded(static_call_fn func, uintptr_t *constant)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint8_t bytes[10] = { 0 }, *code = bytes;
	struct iovec to = { bytes, sizeof(bytes) }, from = { (void *)(uintptr_t)func, sizeof(bytes) };
	uint32_t immediate;

	/* Through the kernel: the function may end where its mapping does, or be code that may not be read. */
	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 1)
		return FORM_CALL;

	if (!memcmp(code, endbr64, sizeof(endbr64)))
		code += sizeof(endbr64);
	if (code[0] == 0xc3)
		return FORM_NOP;
	/* xor %eax, %eax, both ways to encode it; mov $imm, %eax. Each before a ret. */
	if ((code[0] == 0x31 || code[0] == 0x33) && code[1] == 0xc0 && code[2] == 0xc3) {
		*constant = 0;
		return FORM_CONSTANT;
	}
	if (code[0] == 0xb8 && code[5] == 0xc3) {
		memcpy(&immediate, code + 1, sizeof(immediate));
		*constant = immediate;
		return FORM_CONSTANT;
	}
	return FORM_CALL;
}
