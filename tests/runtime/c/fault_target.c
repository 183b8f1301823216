/* SPDX-License-Identifier: MIT */
/*
 * Targets that are not in executable memory are refused, those that are are taken, whatever the kernel can be asked:
 * PROCMAP_QUERY, or (query) the text of /proc/self/maps, or (proc) nothing but whether there is memory at all.
 *
 * usage: fault_target asked|text|none
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_shim.h"
#include "host_sites.h"

DEFINE_STATIC_CALL(key, target_a);
DEFINE_CALLS(key, SITES3(key))

static bool blind; /* /proc does not tell: data is taken for code, what is not mapped is not */

/* mov $3,(%rdi); mov $3,%eax; ret */
static const unsigned char code[] = { 0x48, 0xc7, 0x07, 3, 0, 0, 0, 0xb8, 3, 0, 0, 0, 0xc3 };

static void *map(int protection, int file)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | (file < 0 ? MAP_ANONYMOUS : 0), file, 0);

	if (page == MAP_FAILED)
		exit(90);
	memcpy(page, code, sizeof(code));
	if (mprotect(page, 4096, protection))
		exit(91);
	return page;
}

/* A mapping whose line in /proc/self/maps is longer than any buffer one would read it into, with an "x" or not. */
static void *map_long_name(int protection)
{
	char name[201];
	int file;
	void *page;

	memset(name, 'x', 200);
	name[200] = 0;
	for (int i = 0; i < 15; i++)
		if ((mkdirat(AT_FDCWD, name, 0700) && errno != EEXIST) || chdir(name))
			exit(92);
	file = open("file", O_RDWR | O_CREAT, 0600);
	if (file < 0 || ftruncate(file, 4096))
		exit(93);
	page = map(protection, file);
	close(file);
	return page;
}

static int update(const void *where)
{
	target_fn *target;

	memcpy(&target, &where, sizeof(target));
	return static_call_update(key, target);
}

static void refused(int exit_code, const void *where)
{
	struct static_call_failure failure;

	if (update(where) != -EFAULT)
		exit(exit_code);
	static_call_last_failure(&failure);
	if (failure.error != -EFAULT || failure.address != where || failure.key != &STATIC_CALL_KEY(key) || !*failure.what)
		exit(exit_code + 1);
	if (calls_of_key(&states[A], &states[A]) || static_call_query(key) != target_a)
		exit(exit_code + 2);
}

/* There is memory there, but no code. */
static void not_executable(int exit_code, const void *where)
{
	if (!blind)
		refused(exit_code, where);
}

static void executable(int exit_code, const void *where)
{
	if (update(where))
		exit(exit_code);
	if (calls_of_key(&states[FAR], &states[FAR]))
		exit(exit_code + 1);
	if (static_call_update(key, target_a) || calls_of_key(&states[A], &states[A]))
		exit(exit_code + 2);
}

int main(int argc, char **argv)
{
	static unsigned char data[16];
	unsigned char *heap = malloc(64), stack[16] = { 0xc3 };
	void *high = map(PROT_READ | PROT_EXEC, -1), *gone = map(PROT_READ | PROT_EXEC, -1), *long_code, *long_data, *low;

	if (argc != 2 || !heap)
		return 2;
	blind = fault_refuse_proc = !strcmp(argv[1], "none");
	fault_refuse_query = !strcmp(argv[1], "text");
	if (static_call_update(key, target_a)) /* what memory the runtime takes it takes now, not where a page is given back */
		return 3;
	long_code = map_long_name(PROT_READ | PROT_EXEC);
	long_data = map_long_name(PROT_READ | PROT_WRITE);
	low = map(PROT_READ | PROT_EXEC, -1);
	not_executable(10, data);
	not_executable(13, stack);
	not_executable(16, heap);
	not_executable(19, code);
	not_executable(22, map(PROT_NONE, -1));
	not_executable(25, long_data);
	munmap(gone, 4096);
	refused(28, gone);
	refused(31, (const void *)1ul);
	refused(34, (const void *)0xffffffff81000000ul);
	refused(37, (const void *)0x800000000000ul);
	refused(40, (const void *)0x1000000000000000ul);
	executable(50, high);
	executable(53, long_code);
	executable(56, low);
	free(heap);
	puts("refused 11");
	return 0;
}
