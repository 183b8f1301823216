/* SPDX-License-Identifier: MIT */
/* Every kind of pointer that suggest turns into a static call, and some that it must leave alone. */
#include <stdio.h>
#include <stdlib.h>

#include "pointers.h"

struct pair {
	long a, b;
};

static int twice(int value) { return 2 * value; }
static int thrice(int value) { return 3 * value; }
static struct pair swapped(struct pair p) { return (struct pair){ p.b, p.a }; }
static struct pair same(struct pair p) { return p; }
static double half(double x, int n) { return n ? half(x / 2, n - 1) : x; }
static void say(const char *what, int value) { printf("%s %d\n", what, value); }
static void shout(const char *what, int value) { printf("%s! %d\n", what, value); }

int (*transform)(int value) = twice;
static alloc_fn alloc = malloc;
static struct pair (*turn)(struct pair) = swapped;
static double (*scale)(double, int);
static void (*trace)(const char *what, int value);
static int first_time(int value);
static int (*lazy)(int) = first_time;
static int (*leaked)(int) = twice;

/* The usual dispatcher: it replaces itself from inside its own call. */
static int first_time(int value)
{
	lazy = value > 10 ? thrice : twice;
	return lazy(value);
}

static void leak(int (**to)(int)) { *to = thrice; }

void set_alloc(alloc_fn to) { alloc = to; }

void *take(size_t size)
{
	void *p = alloc(size);

	if (trace)
		trace("took", p != NULL);
	return p;
}

static int apply(int (*function)(int), int value) { return function(value); }

static void *none(size_t size)
{
	(void)size;
	return NULL;
}

int main(void)
{
	int (*saved)(int) = transform;
	struct pair p = { 1, 2 };
	int sum = 0;

	free(take(8));
	trace = say;
	free(take(8));
	for (int i = 0; i < 5; i++) {
		sum += transform(i) + TRANSFORM(i) + other(i);
		transform = transform == twice ? thrice : twice;
	}
	if (trace != NULL) {
		trace("sum", sum);
	}
	trace = shout;
	trace("applied", apply(transform, 7));
	transform = saved;
	p = turn(p);
	printf("%ld %ld\n", p.a, p.b);
	turn = same;
	p = (*turn)(p);
	printf("%ld %ld\n", p.a, p.b);
	if (!scale)
		scale = half;
	printf("%g\n", scale(8, 2));
	printf("%d\n", lazy(20));
	printf("%d\n", lazy(2));
	leak(&leaked);
	printf("%d\n", leaked(5));
	set_alloc(none);
	printf("%d\n", take(8) == NULL);
	trace = NULL;
	return take(8) != NULL || other(1) != 2;
}
