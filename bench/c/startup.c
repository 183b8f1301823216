/* SPDX-License-Identifier: MIT */
/*
 * What a million sites cost a program that has them. It prints one line: resident KiB, private dirty KiB of files, and
 * nanoseconds, as far as it goes.
 *
 *     startup          nothing: how long it takes is asked outside
 *     startup memory   "registered KIB DIRTY", "first KIB DIRTY NS" (one key of one site), "second KIB DIRTY NS",
 *                      "all KIB DIRTY NS" (the key with a million), "all again KIB DIRTY NS"
 */
#include "busy.h"
#include "update_keys.h"

#include <stdio.h>
#include <string.h>

void first(void) {}
void second(void) {}
DEFINE_STATIC_CALL(one, first);
DEFINE_STATIC_CALL(hundred, first);
DEFINE_STATIC_CALL(ten_thousand, first);
DEFINE_STATIC_CALL(million, first);

static long of_rollup(const char *name)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[200];
	long found = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			found = atol(line + strlen(name));
	if (file)
		fclose(file);
	return found;
}

static void tell(const char *what, double took)
{
	printf("%s|%ld|%ld|%.0f\n", what, of_rollup("Rss:"), of_rollup("Private_Dirty:"), took);
}

static int update(const char *what, struct static_call_key *key, static_call_fn func)
{
	double began = now();

	if (__static_call_update(key, NULL, (void *)func))
		return 1;
	tell(what, now() - began);
	return 0;
}

int main(int argc, char **argv)
{
	(void)busy_start, (void)busy_end, (void)argv;
	if (argc < 2)
		return 0;
	tell("registered", 0);
	return update("first update, of one site", &STATIC_CALL_KEY(one), second) ||
	       update("second update, of one site", &STATIC_CALL_KEY(one), first) ||
	       update("all sites", &STATIC_CALL_KEY(million), second) ||
	       update("all sites again", &STATIC_CALL_KEY(million), first);
}
