/* SPDX-License-Identifier: MIT */
/* Greets two, changes the greeting, greets them again, and tells how many calls go straight to the new one. */
#include "greet.h"

#include <stdio.h>

#include <static_call_runtime.h>

static int greet_briefly(const char *name)
{
	return printf("%s!\n", name);
}

static int count_direct(const struct static_call_site_info *site, void *count)
{
	*(int *)count += !site->by_trampoline;
	return 0;
}

int main(void)
{
	int direct = 0;

	greet_both("world", "moon");
	if (static_call_update(greet, greet_briefly))
		return 1;
	greet_both("world", "moon");
	static_call(greet)("stars");

	static_call_each_site(&STATIC_CALL_KEY(greet), count_direct, &direct);
	printf("direct calls: %d\n", direct);
	return 0;
}
