/* SPDX-License-Identifier: MIT */
/* Its destructor runs after the program's own, and takes a while. */
#include <time.h>

static __attribute__((__destructor__)) void slow(void)
{
	const struct timespec moment = { 0, 30000000 };

	nanosleep(&moment, NULL);
}
