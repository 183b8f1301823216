/* SPDX-License-Identifier: MIT */
/* Every name of the API and every spelling of a call, checked against what plain C does. Exits with the line that failed. */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <static_call.h>

#include "basic.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

static int add(int a, int b)
{
	return a + b;
}

static int sub(int a, int b)
{
	return a - b;
}

static long six(char a, unsigned char b, short c, unsigned short d, long e, const char *f)
{
	return a + b + c + d + e + f[0];
}

static double floats(float a, double b, float c, double d, float e, double f, float g, double h)
{
	return (double)a + 2 * b + 3 * (double)c + 4 * d + 5 * (double)e + 6 * f + 7 * (double)g + 8 * h;
}

static float mixed(int a, float b, enum colour c, double d, _Bool e, void *f)
{
	return (float)(a + (int)c + (e ? 100 : 0) + (f == NULL ? 1000 : 0)) + b + (float)d;
}

static void store(int *out, int value)
{
	*out = value;
}

static _Bool is_odd(int x)
{
	return x & 1;
}

static signed char narrow(int x)
{
	return (signed char)x;
}

static const char *text(unsigned long n)
{
	return n > 3 ? "many" : "few";
}

static int no_arguments(void)
{
	return 42;
}

static int no_arguments_either(void)
{
	return 43;
}

DEFINE_STATIC_CALL(op, add);
DEFINE_STATIC_CALL(six, six);
DEFINE_STATIC_CALL(floats, floats);
DEFINE_STATIC_CALL(mixed, mixed);
DEFINE_STATIC_CALL_NULL(hook, *((struct ops *)0)->store);
DEFINE_STATIC_CALL_RET0(zero, add);
DEFINE_STATIC_CALL(is_odd, is_odd);
DEFINE_STATIC_CALL(narrow, narrow);
DEFINE_STATIC_CALL(text, text);
DEFINE_STATIC_CALL(ops_read, no_arguments);
DEFINE_STATIC_CALL(ops_write, no_arguments_either);
DEFINE_STATIC_CALL_NULL(typed, binary_t);
EXPORT_STATIC_CALL(op);
EXPORT_STATIC_CALL_GPL(six);

static void registers(void)
{
	static const char letter[] = "A";

	CHECK(static_call(six)(-1, 255, -300, 65535, 1L << 40, letter) == -1 + 255 - 300 + 65535 + (1L << 40) + 'A');
	CHECK(static_call(floats)(1, 2, 3, 4, 5, 6, 7, 8) == floats(1, 2, 3, 4, 5, 6, 7, 8));
	CHECK(static_call(mixed)(1, 2.5f, GREEN, 4.25, 1, NULL) == mixed(1, 2.5f, GREEN, 4.25, 1, NULL));
	CHECK(static_call(is_odd)(3) == 1 && static_call(is_odd)(256) == 0);
	CHECK(static_call(narrow)(0x1ff) == -1 && static_call(narrow)(0x7f) == 127);
	CHECK(!strcmp(static_call(text)(4), "many") && !strcmp(static_call(text)(0), "few"));
}

static int tail(int a, int b)
{
	return static_call(op)(a, b);
}

static void spellings(void)
{
	int x = 3;
	int array[] = { static_call(op)(1, 2), [1] = static_call(op, 3, 4) };

	CHECK(array[0] == 3 && array[1] == 7);
	CHECK(static_call(op)(static_call(op)(1, 2), static_call(op)(3, static_call(op, 4, 5))) == 15);
	CHECK((static_call(op))(1, 2) == 3);
	CHECK((*static_call(op))(1, 2) == 3);
	CHECK(sizeof(static_call(op)(1, 2)) == sizeof(int));
	CHECK(_Generic(static_call(text)(1), const char *: 1, default: 0));
	CHECK(static_call_mod(op)(1, 2) == 3);
	CHECK((x ? static_call(op)(x, 1) : static_call(op)(x, 2)) == 4);
	if (static_call(op)(0, 0))
		x = 0;
	else
		while (static_call(op)(x, -1) > 0)
			x--;
	CHECK(x == 1 && tail(5, 6) == 11);
	CHECK(static_call /* a comment */ (
		      op
	      )(1,
		2) == 3);
	CHECK(__extension__({ int y = static_call(op)(1, 1); y + static_call(op)(y, y); }) == 6);
	CHECK(macro_op(20, 22) == 42 && inline_op(20, 22) == 42);
	CHECK(ops_call(read)() == 42 && ops_call(write)() == 43);
	CHECK(static_call(KEY_NAME(op))(2, 2) == 4);
	assert(static_call(op)(2, 2) == 4);
	CHECK(!strcmp(SPELLED(static_call(op)(1, 2)), "static_call(op)(1, 2)"));
#if 0
	static_call(nothing)(here);
#endif
}

static void values(void)
{
	int (*pointer)(int, int) = static_call(op);
	int out = 7;

	CHECK(pointer(1, 2) == 3);
	CHECK(static_call_query(op) == add && static_call_query(hook) == NULL);
	CHECK(static_call(zero)(1, 2) == 0);
	static_call_cond(hook)(&out, out++);
	CHECK(out == 8); /* the arguments are evaluated, the call is not made */
	CHECK(!static_call_update(hook, &store));
	static_call_cond(hook)(&out, 9);
	CHECK(out == 9);
	CHECK(!static_call_update(hook, NULL));
	static_call_cond(hook)(&out, 10);
	CHECK(out == 9 && static_call_query(hook) == NULL);
	CHECK(!static_call_update(zero, sub) && static_call(zero)(5, 3) == 2);
	CHECK(!static_call_update(zero, (void *)&__static_call_return0) && static_call(zero)(5, 3) == 0);
	CHECK(!static_call_update(typed, add) && static_call(typed)(1, 2) == 3);
	CHECK(!static_call_update(op, sub));
	CHECK(tail(5, 3) == 2 && macro_op(5, 3) == 2 && inline_op(5, 3) == 2 && other_op(5, 3) == 2);
	CHECK(!static_call_update(op, add) && other_op(5, 3) == 8);
}

int main(void)
{
	registers();
	spellings();
	values();
	puts("basic: ok");
	return 0;
}
