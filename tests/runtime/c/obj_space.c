/* SPDX-License-Identifier: MIT */
/* A program without static calls opens a library with the runtime in it in a namespace of its own, and closes it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t seen;

static void on_trap(int signal)
{
	seen += signal == SIGTRAP;
}

int main(int argc, char **argv)
{
	void *library, *found;
	int (*go)(void);

	signal(SIGTRAP, on_trap);
	library = argc == 2 ? dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW) : NULL;
	found = library ? dlsym(library, "obj_space") : NULL;
	if (!found)
		return 2;
	memcpy(&go, &found, sizeof(found));
	if (go() != 9 || dlclose(library))
		return 3;
	raise(SIGTRAP);
	printf("seen %d\n", (int)seen);
	return 0;
}
