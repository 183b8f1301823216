/* SPDX-License-Identifier: MIT */
/*
 * What an update does to pages, its own and others'. Linked with SITES sites of one key, each PAGES pages from the next
 * (nb_sites.S).
 *
 * usage: nb_pages opened | few | mappings | full
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <static_call.h>
#include <static_call_runtime.h>

#include "obj_check.h"

int one(int x), two(int x);
int one(int x) { return x + 1; }
int two(int x) { return x + 2; }
DEFINE_STATIC_CALL(key, one);
extern int first_site(int), last_site(int);

static unsigned long protections(void)
{
	struct static_call_statistics statistics;

	static_call_statistics(&statistics);
	return statistics.protections;
}

/* How many mappings there are; and the rights of the one that has the address. */
static int mappings(const void *address, char *rights)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], found[8];
	int count = 0;

	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		count++;
		if (sscanf(line, "%lx-%lx %7s", &start, &end, found) == 3 && (uintptr_t)address >= start && (uintptr_t)address < end)
			strcpy(rights, found);
	}
	fclose(maps);
	return count;
}

static const void *code(int (*function)(int)) { return (const void *)(uintptr_t)function; }

static void follows(int (*target)(int))
{
	CHECK(!static_call_update(key, target) && first_site(1) == target(1) && last_site(1) == target(1));
}

/* A hooking library has opened a page of text, and one of the keys' gap; both stay as it wants them. */
static void opened(void)
{
	void *page = (void *)((uintptr_t)first_site & ~4095ul);
	char rights[8];

	CHECK(!mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
	follows(two);
	(void)mappings(code(first_site), rights);
	CHECK(!strcmp(rights, "rwxp"));
	follows(one);
	CHECK(!mprotect(page, 4096, PROT_READ | PROT_EXEC));
	follows(two);
	(void)mappings(code(first_site), rights);
	CHECK(!strcmp(rights, "r-xp"));
}

/* Small gaps are opened with the rest, and so is everything where there would be too many pieces. */
static void few(void)
{
	unsigned long before;

	follows(two);
	before = protections();
	follows(one);
	printf("calls %lu\n", protections() - before);
}

static void grows(void)
{
	char rights[8];
	int before = mappings(&before, rights), after;

	for (int i = 0; i < 4; i++)
		follows(i & 1 ? one : two);
	after = mappings(&after, rights);
	printf("grown %d\n", after - before);
}

/* Hardly a mapping is left. Whatever becomes of the update, keys are read-only, and there is as much room as before. */
static void full(void)
{
	enum { LEFT = 12 };
	static char *eaten[70000];
	char rights[8];
	int count = 0, error;

	/* As stdio needs it once. */
	(void)mappings(&count, rights);
	while (count < 70000 && (eaten[count] = mmap(NULL, 4096, count & 1 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
						     -1, 0)) != MAP_FAILED)
		count++;
	CHECK(count > 1000);
	for (int i = 1; i <= LEFT; i++)
		munmap(eaten[count - i], 4096);
	error = static_call_update(key, two);
	CHECK(error == 0 || error == -ENOMEM);
	CHECK(first_site(1) == (error ? 2 : 3) && last_site(1) == (error ? 2 : 3));
	for (int i = 0; i < LEFT / 3; i++)
		CHECK(mmap(NULL, 4096, i & 1 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	for (int i = LEFT + 1; i < count; i++)
		munmap(eaten[count - i], 4096);
	(void)mappings(&STATIC_CALL_KEY(key), rights);
	CHECK(rights[1] == '-');
	(void)mappings(code(last_site), rights);
	CHECK(!strcmp(rights, "r-xp"));
	printf("error %d\n", error);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "opened"))
		opened();
	else if (!strcmp(what, "few"))
		few();
	else if (!strcmp(what, "mappings"))
		grows();
	else if (!strcmp(what, "full"))
		full();
	else
		return 2;
	return 0;
}
