/* SPDX-License-Identifier: MIT */
/*
 *     xray SITES ROUNDS    "SITES|THREADS|CHANGE|PROTOCOL|ROUND|NS|0" for each patching, as update.c
 *
 * XRay's sites are the entry and the exit of a function: two nops that become calls of a handler's trampoline. All that
 * a program has are patched at once, so each number of them is a program, linked with so much of xray_sites.S.
 */
#include "busy.h"

#include <stdio.h>

int __xray_set_handler(void (*entry)(int, int));
int __xray_patch(void);
int __xray_unpatch(void);

extern void (*const __start_bench_chunks[])(void), (*const __stop_bench_chunks[])(void);
static void run_all(void)
{
	for (void (*const *chunk)(void) = __start_bench_chunks; chunk < __stop_bench_chunks; chunk++)
		(*chunk)();
}

static void handler(int function, int kind) { (void)function, (void)kind; }

int main(int argc, char **argv)
{
	static const int threads[] = { 0, 1, 2, 8 };

	if (argc < 3 || __xray_set_handler(handler) != 1)
		return 2;
	for (int i = 0; i < 4; i++) {
		busy_start(threads[i], run_all);
		for (int round = -1; round < atoi(argv[2]); round++) {
			double began = now(), took;

			if (__xray_patch() != 1)
				return 1;
			took = now() - began;
			if (__xray_unpatch() != 1)
				return 1;
			if (round >= 0)
				printf("%s|%d|target|XRay|%d|%.0f|0\n", argv[1], threads[i], round, took);
		}
		busy_end();
	}
	return 0;
}
