/* SPDX-License-Identifier: MIT */
/* What /proc says, line by line. By system calls: stdio takes memory from malloc, which may be a key. */
#include "runtime.h"

#include <errno.h>
#include <unistd.h>

static bool proc_absent(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ESRCH;
}

/* Lines may be long (Groups: of a status has up to 65,536 numbers, of maps any path); what counts comes first. */
static int proc_lines(int file, bool (*take)(const char *line, void *argument), void *argument)
{
	/* Not on the stack, which may be a signal handler's: only who holds the update lock comes here. */
	static char buffer[2048];
	char line[64];
	size_t length = 0;
	ssize_t got;

	while ((got = read(file, buffer, sizeof(buffer))) > 0)
		for (ssize_t i = 0; i < got; i++) {
			if (buffer[i] != '\n') {
				line[length] = buffer[i];
				length += length < sizeof(line) - 1;
				continue;
			}
			line[length] = 0;
			length = 0;
			if (take(line, argument))
				return 1;
		}
	return got < 0 ? -errno : 0;
}
