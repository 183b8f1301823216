/* SPDX-License-Identifier: MIT */
/* Every place in which C lets an expression stand. */
#include <assert.h>
#include <static_call.h>
#include <stddef.h>

#include "check.h"

struct pair {
	int a;
	long b;
};

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static long add_one(long a, long b) { return a + b + 1; }
static long add_two(long a, long b) { return a + b + 2; }
static long count;
static void hit_one(void) { count += 1; }
static void hit_two(void) { count += 2; }
static int values[8] = { 10, 20, 30, 40, 50, 60, 70, 80 };
static int *at_one(int index) { return &values[index + 1]; }
static int *at_two(int index) { return &values[index + 2]; }
static double half_one(double x) { return x / 2 + 1; }
static double half_two(double x) { return x / 2 + 2; }
static struct pair pair_one(int a) { return (struct pair){ a, a + 1 }; }
static struct pair pair_two(int a) { return (struct pair){ a, a + 2 }; }

DEFINE_STATIC_CALL(k, one);
DEFINE_STATIC_CALL(add, add_one);
DEFINE_STATIC_CALL(hit, hit_one);
DEFINE_STATIC_CALL_NULL(maybe, hit_one);
DEFINE_STATIC_CALL(at, at_one);
DEFINE_STATIC_CALL(half, half_one);
DEFINE_STATIC_CALL(pair, pair_one);

/* Not evaluated, at file scope. */
static char sized[sizeof(static_call(k)(1))];
static __typeof__(static_call(add)(1, 2)) typed;
_Static_assert(sizeof(static_call(k)(1)) == sizeof(int), "");
_Static_assert(_Generic(static_call(add)(1, 2), long: 1, default: 0), "");
_Static_assert(_Alignof(__typeof__(static_call(half)(1))) == _Alignof(double), "");
struct holder {
	char room[sizeof static_call(add)(1, 2)];
	__typeof__(static_call(at)(1)) pointer;
};
enum { SIZE = sizeof(static_call(half)(0)) };
static int parameter(int n, char (*)[sizeof(static_call(k)(2))]);
static int parameter(int n, char (*array)[sizeof(static_call(k)(2))])
{
	return n + (int)sizeof(*array);
}

#define TWICE(x) ((x) + (x))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define SECOND(a, b, ...) b
#define DROP(x)
#define PASS(...) __VA_ARGS__
#define EMPTY
#define each(i) for (int i = 0; i < 3; i++)
#define STRINGED(x) ((x) + (int)sizeof(#x) * 0)
#define BEGIN {
#define END }

static inline int inline_one(int x)
{
	return static_call(k)(x);
}

static long old_style(a, b)
int a;
long b;
{
	return static_call(add)(a, b);
}

static void unevaluated(void)
{
	long before = count;
	int n = 0;

	check(__LINE__, sizeof(static_call(k)(n++)), sizeof(int));
	check(__LINE__, sizeof static_call(k)(n++), sizeof(int));
	check(__LINE__, sizeof(static_call(at)(0)[0]), sizeof(int));
	__typeof__(static_call(half)(n++)) d = 2.5;
	__typeof__(static_call(at)(n++)) p = &n;
	check(__LINE__, d == 2.5 && p == &n, 1);
	check(__LINE__, _Generic(static_call(k)(n++), int: 1, long: 2, default: 3), 1);
	check(__LINE__, _Generic(1, int: static_call(k)(5), long: static_call(k)(n++)), 5 + step);
	check(__LINE__, __builtin_choose_expr(1, static_call(k)(6), static_call(k)(n++)), 6 + step);
	check(__LINE__, __builtin_types_compatible_p(__typeof__(static_call(pair)(n++)), struct pair), 1);
	check(__LINE__, n, 0);
	check(__LINE__, count, before);
	check(__LINE__, sizeof(sized) + sizeof(typed) + sizeof(struct holder) + SIZE, 4 + 8 + 16 + 8);
	check(__LINE__, parameter(1, &(char[4]){ 0 }), 5);
}

static void initialisers(void)
{
	int a = static_call(k)(1), b = static_call(k)(a), array[] = { static_call(k)(b), [3] = static_call(k)(9) };
	struct pair pair = { .b = static_call(add)(1, 2), .a = static_call(k)(3) };
	struct pair *literal = &(struct pair){ static_call(k)(4), static_call(add)(5, 6) };
	struct {
		struct pair p[2];
		int tail;
	} nested = { { { static_call(k)(1), 2 }, [1].b = static_call(add)(3, 4) }, static_call(k)(5) };

	check(__LINE__, a, 1 + step);
	check(__LINE__, b, 1 + 2 * step);
	check(__LINE__, array[0], 1 + 3 * step);
	check(__LINE__, array[3], 9 + step);
	check(__LINE__, (long)(sizeof(array) / sizeof(*array)), 4);
	check(__LINE__, pair.a + 100 * pair.b, 3 + step + 100 * (3 + step));
	check(__LINE__, literal->a + 100 * literal->b, 4 + step + 100 * (11 + step));
	check(__LINE__, nested.p[0].a + nested.p[1].b * 10 + nested.tail * 1000, 1 + step + (7 + step) * 10 + (5 + step) * 1000);
	check(__LINE__, static_call(pair)(4).b, 4 + step);
	check(__LINE__, static_call(pair)(static_call(pair)(4).a).a, 4);
}

static void operators(void)
{
	int n = 3;

	check(__LINE__, -static_call(k)(1) + ~static_call(k)(1) + !static_call(k)(1), -(1 + step) + ~(1 + step));
	check(__LINE__, static_call(k)(1) * static_call(k)(2) % 100, (1 + step) * (2 + step));
	check(__LINE__, n ? static_call(k)(n) : static_call(k)(0), 3 + step);
	check(__LINE__, static_call(k)(n) ?: 5, 3 + step);
	check(__LINE__, (n = 7, static_call(hit)(), static_call(k)(n)), 7 + step);
	check(__LINE__, static_call(k)(-1) == 0 || static_call(k)(-2) == 0, 1);
	check(__LINE__, static_call(k)(-1) && static_call(k)(-2), 0);
	check(__LINE__, *static_call(at)(0) + static_call(at)(0)[1], 10 * (step + 1) + 10 * (step + 2));
	check(__LINE__, values[static_call(k)(0)], 10 * (step + 1));
	check(__LINE__, static_call(k)(0)[values], 10 * (step + 1));
	check(__LINE__, (long)static_call(half)(3), step == 1 ? 2 : 3);
	check(__LINE__, (char)static_call(k)(256), step);
	n += static_call(k)(1);
	check(__LINE__, n, 8 + step);
	n <<= static_call(k)(0);
	check(__LINE__, n, (8 + step) << step);
	*static_call(at)(5) = 71;
	check(__LINE__, values[5 + step], 71);
	++*static_call(at)(5);
	check(__LINE__, (*static_call(at)(5))--, 72);
	values[6] = 70;
	values[7] = 80;
}

static void nested(void)
{
	check(__LINE__, static_call(k)(static_call(k)(static_call(k)(1))), 1 + 3 * step);
	check(__LINE__, static_call(add)(static_call(k)(1), static_call(add)(static_call(k)(2), 3)), 6 + 4 * step);
	check(__LINE__, static_call(add)((static_call(hit)(), 1), (static_call(k)(1))), 2 + 2 * step);
	check(__LINE__, static_call(add)(({ int t = static_call(k)(1); t; }), ({ static_call(hit)(); 2; })), 3 + 2 * step);
	check(__LINE__, inline_one(static_call(k)(1)), 1 + 2 * step);
	check(__LINE__, old_style(static_call(k)(1), 2), 3 + 2 * step);
	check(__LINE__, (int[]){ 1, static_call(k)(2) }[static_call(k)(0) > 0], 2 + step);
}

static void macros(void)
{
	check(__LINE__, TWICE(static_call(k)(1)), 2 + 2 * step);
	check(__LINE__, MAX(static_call(k)(1), static_call(k)(2)), 2 + step);
	check(__LINE__, SECOND(static_call(k)(1), static_call(k)(2), static_call(k)(3)), 2 + step);
	check(__LINE__, PASS(PASS(static_call(add)(1, PASS(static_call(k)(2))))), 3 + 2 * step);
	check(__LINE__, PASS(static_call)(k)(1), 1 + step);
	check(__LINE__, PASS(static_call(k))(1), 1 + step);
	check(__LINE__, static_call(PASS(k))(1), 1 + step);
	check(__LINE__, static_call(k) EMPTY (1), 1 + step);
	check(__LINE__, static_call(k EMPTY)(1), 1 + step);
	DROP(static_call(k)(none))
	check(__LINE__, STRINGED(static_call(k)(1)), 1 + step);
	assert(static_call(k)(1) == 1 + step);
	each(i)
		static_call(hit)();
	BEGIN static_call(hit)(); END
}

static long statements(int n)
{
	long sum = 0;

	if (static_call(k)(-1))
		sum += 1;
	else
		static_call(hit)();
	if (n)
		static_call(hit)();
	else if (static_call(k)(n))
		static_call(hit)();
	else
		static_call(hit)();
	for (int i = static_call(k)(0); i < static_call(k)(3); i += static_call(k)(0))
		sum += 10;
	while (static_call(k)(-3) + n++ < 0)
		static_call(hit)();
	do
		static_call(hit)();
	while (static_call(k)(-3) + n++ < 0);
	switch (static_call(k)(n)) {
	case 0 ... 3:
		static_call(hit)();
		break;
	default:
		sum += static_call(k)(100);
		goto out;
	}
out:
	static_call(hit)();
	static_call_cond(maybe)();
	(void)static_call(k)(1);
	({ static_call(hit)(); });
	{ static_call(hit)(); }
	;static_call(hit)();;
	if (n) static_call_cond(maybe)(); else static_call_cond(maybe)();
	return static_call(add)(sum, 0);
}

static void asms(void)
{
	int n = 0;

	__asm__("add %1, %0" : "+r"(n) : "r"(static_call(k)(4)));
	__asm__("movl %1, %0" : "=m"(*static_call(at)(0)) : "r"(static_call(k)(4)));
	check(__LINE__, n, 4 + step);
	check(__LINE__, values[step], 4 + step);
	values[1] = 20;
	values[2] = 30;
}

#ifndef __clang__
static int in_a_nested_function(int n)
{
	int inner(int x) { return static_call(k)(x) + n; }

	return inner(1);
}
#endif

static int in_an_array_size(void)
{
	char array[static_call(k)(4)];

	return (int)sizeof(array);
}

__attribute__((__aligned__(sizeof(static_call(k)(1)) * 4))) static char aligned;

static void checks(void)
{
	long before = count;

	unevaluated();
	check(__LINE__, count, before);
	initialisers();
	operators();
	nested();
	macros();
	check(__LINE__, count, before + 7 * step);
	count = 0;
	check(__LINE__, statements(0), step == 1 ? 132 : 125);
	asms();
#ifndef __clang__
	check(__LINE__, in_a_nested_function(3), 4 + step);
#endif
	check(__LINE__, in_an_array_size(), 4 + step);
	check(__LINE__, (long)((unsigned long)&aligned % (4 * sizeof(int))), 0);
}

static int update(int to)
{
	int error = static_call_update(k, to == 2 ? two : one);

	error |= static_call_update(add, to == 2 ? add_two : add_one);
	error |= static_call_update(hit, to == 2 ? hit_two : hit_one);
	error |= static_call_update(maybe, to == 2 ? hit_two : NULL);
	error |= static_call_update(at, to == 2 ? at_two : at_one);
	error |= static_call_update(half, to == 2 ? half_two : half_one);
	error |= static_call_update(pair, to == 2 ? pair_two : pair_one);
	return error;
}

int main(void)
{
	return run(checks, update);
}
