/* SPDX-License-Identifier: MIT */
/* What the kernel says of the address space: PROCMAP_QUERY (Linux 6.11), or the text of /proc/self/maps. */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* <linux/fs.h> of 6.11 and later; Debian 12 has 6.1's. */
struct map_query {
	uint64_t size, flags, address, start, end, found_flags, page_size, offset, inode;
	uint32_t major, minor, name_size, build_id_size;
	uint64_t name, build_id;
};
#define MAP_QUERY _IOWR('f', 17, struct map_query)
#define QUERY_OR_NEXT 0x10u
#define QUERY_WRITABLE 2u
#define QUERY_EXECUTABLE 4u

/* The thread's own: "self" is the first thread, which may have ended (pthread_exit in main) and has no memory then. */
static int open_maps(void)
{
	int file = open("/proc/thread-self/maps", O_RDONLY | O_CLOEXEC), error = file < 0 ? -errno : 0;

	if (!error)
		return file;
	/* Without /proc, or where a sandbox lets nobody open it, there is less to know; out of file numbers is an error. */
	return proc_absent(error) || error == -EACCES || error == -EPERM ? NO_MAPS : error;
}

static void maps_close(struct maps *maps)
{
	if (maps->file >= 0)
		close(maps->file);
	maps->file = MAPS_NOT_OPEN;
}

/* "start-end rwxp ...": whether it is the mapping that is wanted. */
static bool take_line(const char *line, void *argument)
{
	struct maps *maps = argument;
	char *rest;
	uintptr_t start = strtoul(line, &rest, 16), end;

	rest += *rest == '-';
	end = strtoul(rest, &rest, 16);
	if (maps->wanted >= end || strlen(rest) < 4)
		return false;
	maps->last = (struct span){ start, end };
	maps->writable = rest[2] == 'w';
	maps->executable = rest[3] == 'x';
	return true;
}

static int maps_find(struct maps *maps, uintptr_t address)
{
	struct map_query query = { .size = sizeof(query), .flags = QUERY_OR_NEXT, .address = address };

	if (address >= maps->last.start && address < maps->last.end)
		return 1;
	if (maps->file == MAPS_NOT_OPEN)
		maps->file = open_maps();
	if (maps->file < 0)
		return maps->file;
	if (!ioctl(maps->file, MAP_QUERY, &query)) {
		maps->last = (struct span){ query.start, query.end };
		maps->writable = query.found_flags & QUERY_WRITABLE;
		maps->executable = query.found_flags & QUERY_EXECUTABLE;
		return 1;
	}
	if (errno == ENOENT)
		return 0;
	maps->wanted = address;
	return lseek(maps->file, 0, SEEK_SET) ? -errno : proc_lines(maps->file, take_line, maps);
}
