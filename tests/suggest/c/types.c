// SPDX-License-Identifier: MIT
/* Pointers that start with functions of which compilers know more than of what the pointers hold later. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

static char held[64] __attribute__((aligned(64)));

__attribute__((returns_nonnull)) NOINLINE static void *some(size_t size) { return held + size % 2; }
NOINLINE static void *none(size_t size) { return size ? NULL : held; }
__attribute__((assume_aligned(32))) NOINLINE static void *even(void) { return held; }
NOINLINE static void *odd(void) { return held + 1; }
__attribute__((pure)) NOINLINE static int same(int x) { return x + held[0]; }
NOINLINE static int counting(int x) { return x + held[1]++; }
NOINLINE static char *careful(char *to, const char *from) { return from ? strcpy(to, from) : to; }
static void leave(int status) { printf("leaves %d\n", status); }

static char *(*copy)(char *, const char *) = strcpy;
static void *(*take)(size_t) = some;
static void *(*place)(void) = even;
static int (*count)(int) = same;
static void (*stop)(int) = exit;
struct table { void *(*take)(size_t); };
static struct table table = { some };

int main(int argc, char **argv)
{
	const char *text = argc > 1 ? argv[1] : NULL;

	copy(held, "abc");
	printf("%d %d %d\n", take(1) != NULL, table.take(2) != NULL, ((size_t)place() & 31) != 0);
	copy = careful;
	take = none;
	place = odd;
	count = counting;
	stop = leave;
	table.take = none;
	copy(held, text);
	if (!text)
		puts("no text");
	printf("%d %d %d\n", take(1) != NULL, table.take(2) != NULL, ((size_t)place() & 31) != 0);
	printf("%d\n", count(1) + count(1) + count(1));
	stop(3);
	return 0;
}
