/* SPDX-License-Identifier: MIT */
/*
 * With a shadow stack a thread that traps may not have its return address pushed: it makes the call in the site's stub.
 * The target sees it by its return address: behind a site, or in a stub, which then jumps behind a site. What traps
 * is this thread itself, between the steps of its own update.
 *
 * usage: host_stub [shadow|wait]    with a real one; waiting for a debugger once the sites have been patched
 * Prints how many calls were made in stubs and how many at sites.
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "fault_shim.h"
#include "host_sites.h"

#define MOST 64

static int old_target(long *seen, double x);
static int new_target(long *seen, double x);
DEFINE_STATIC_CALL(key, old_target);
DEFINE_CALLS(key, SITES3(key))

static unsigned long ends[MOST], count;
static unsigned long at_sites, in_stubs, elsewhere;

static int visit(const struct static_call_site_info *info, void *unused)
{
	(void)unused;
	if (count == MOST)
		return 1;
	ends[count++] = (unsigned long)info->address + (info->layout == STATIC_CALL_COMPACT ? 6 : 8);
	return 0;
}

static bool is_behind_a_site(unsigned long address)
{
	for (unsigned long i = 0; i < count; i++)
		if (ends[i] == address)
			return true;
	return false;
}

/* A stub: `call trampoline`, which returns here, and `jmp` behind the site. */
static bool is_in_a_stub(const unsigned char *address)
{
	int distance;

	memcpy(&distance, address + 1, sizeof(distance));
	return address[0] == 0xe9 && address[-5] == 0xe8 && is_behind_a_site((unsigned long)address + 5 + (unsigned long)distance);
}

static void look(const void *return_address)
{
	if (is_behind_a_site((unsigned long)return_address))
		at_sites++;
	else if (is_in_a_stub(return_address))
		in_stubs++;
	else
		elsewhere++;
}

static __attribute__((__noinline__)) int old_target(long *seen, double x)
{
	look(__builtin_return_address(0));
	*seen = x == 1.5 ? A : -1;
	return A;
}

static __attribute__((__noinline__)) int new_target(long *seen, double x)
{
	look(__builtin_return_address(0));
	*seen = x == 1.5 ? B : -1;
	return B;
}

static void call(void)
{
	if (calls_of_key(&states[A], &states[B]))
		exit(10);
}

/* ARCH_SHSTK_ENABLE, ARCH_SHSTK_SHSTK: from here on no caller may be returned to, so this is main's, and it exits. */
static __inline__ __attribute__((__always_inline__)) bool take_shadow_stack(void)
{
	long result = 158; /* arch_prctl */

	__asm__ volatile("syscall" : "+a"(result) : "D"(0x5001l), "S"(1l) : "rcx", "r11", "memory");
	return !result;
}

static bool is_traced(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	int tracer = 0;

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	if (status)
		fclose(status);
	return tracer != 0;
}

static void wait_for_debugger(void)
{
	if (static_call_update(key, new_target) || static_call_update(key, old_target))
		exit(6);
	puts("patched");
	fflush(stdout);
	while (!is_traced())
		usleep(10000);
}

int main(int argc, char **argv)
{
	struct static_call_statistics statistics;

	if (argc == 2 && !strcmp(argv[1], "shadow") && !take_shadow_stack())
		exit(5);
	if (static_call_each_site(NULL, visit, NULL))
		return 2;
	if (argc == 2 && !strcmp(argv[1], "wait"))
		wait_for_debugger();
	for (int i = 0; i < 4; i++) {
		fault_arm((struct fault){ .between = call });
		if (static_call_update(key, i % 2 ? old_target : new_target))
			return 3;
		fault_disarm();
		call();
	}
	static_call_statistics(&statistics);
	printf("traps %lu\nat_sites %lu\nin_stubs %lu\nelsewhere %lu\n", statistics.traps, at_sites, in_stubs, elsewhere);
	exit(elsewhere != 0);
}
