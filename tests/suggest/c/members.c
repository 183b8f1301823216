/* SPDX-License-Identifier: MIT */
/* Members of one object, and of the objects that one pointer leads to. */
#include <stdio.h>

#include "members.h"

static int plain(int value) { return value; }
static int square(int value) { return value * value; }
static void end(const char *what) { printf("end of %s\n", what); }
static const char *loud_name(void) { return "loud"; }

struct ops ops = { 1, plain, NULL, .name = loud_name };
static const struct ops loud_ops = { .level = 2, .read = square, .name = loud_name };
static const struct ops *current = &quiet_ops;
static const struct ops *chosen = &loud_ops;
static struct ops leaked = { 1, plain, end, loud_name };

static void change(struct ops *which) { which->read = square; }

static void choose(int loud)
{
	if (loud)
		current = &loud_ops;
	else
		current = &quiet_ops;
	chosen = &quiet_ops;
}

int main(void)
{
	struct ops saved = ops;
	int sum = ops.read(3) + level(3) + leaked.read(3);

	printf("%s %d %s %d\n", current->name(), current->read(4), chosen->name(), chosen->read(4));
	if (ops.done)
		ops.done("nothing");
	ops.read = square;
	ops.done = end;
	sum += (*ops.read)(3) + level(3);
	if (ops.done)
		ops.done("squares");
	choose(1);
	printf("%s %d %s %d\n", current->name(), current->read(5), chosen->name(), chosen->read(5));
	choose(0);
	printf("%s %d\n", current->name(), current->read(5));
	change(&leaked);
	sum += leaked.read(5);
	ops = saved;
	printf("%d %d %s\n", sum, level(7) + saved.read(1), ops.name());
	return ops.done != NULL;
}
