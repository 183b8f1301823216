/* SPDX-License-Identifier: MIT */
/* The spelling of 2018 (lkml-2018-11-29): the arguments follow the key. */
#include <static_call.h>

#include "check.h"

typedef int (*fn)(int);

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static long add_one(long a, long b) { return a + b + 1; }
static long add_two(long a, long b) { return a + b + 2; }
static fn pick_one(int which) { return which ? one : two; }
static fn pick_two(int which) { return which ? two : one; }
static long count;
static void hit_one(void) { count += 1; }
static void hit_two(void) { count += 2; }
static void take_one(const char *text, int (*array)[2]) { count += text[0] + (*array)[1] + 1; }
static void take_two(const char *text, int (*array)[2]) { count += text[0] + (*array)[1] + 2; }

DEFINE_STATIC_CALL(k, one);
DEFINE_STATIC_CALL(add, add_one);
DEFINE_STATIC_CALL(pick, pick_one);
DEFINE_STATIC_CALL(hit, hit_one);
DEFINE_STATIC_CALL(take, take_one);

#define PAIR 1, 2
#define ops_call(name, ...) static_call(name, __VA_ARGS__)
#define tp(name, args) static_call(name, args)
#define ARGS(args...) args

static void checks(void)
{
	check(__LINE__, static_call(k, 1), 1 + step);
	check(__LINE__, static_call(k,1), 1 + step);
	check(__LINE__, static_call ( k , 1 ), 1 + step);
	check(__LINE__, static_call(k, static_call(k, 1)), 1 + 2 * step);
	check(__LINE__, static_call(k, static_call(k)(1)), 1 + 2 * step);
	check(__LINE__, static_call(k)(static_call(k, 1)), 1 + 2 * step);
	check(__LINE__, static_call(add, static_call(k, 1), static_call(add, 2, static_call(k, 3))), 6 + 4 * step);
	check(__LINE__, static_call(add, 1,
				    2), 3 + step);
	check(__LINE__, static_call(
			add,
			1, 2), 3 + step);
	check(__LINE__, static_call(add, PAIR), 3 + step);
	check(__LINE__, static_call(add, (1, 2), (3)), 5 + step);
	check(__LINE__, static_call(add, ({ 1; }), ((long[]){ 1, 2 })[1]), 3 + step);
	check(__LINE__, static_call(pick, 1)(5), 5 + step);
	check(__LINE__, static_call(pick, static_call(k, 0))(static_call(k, 5)), 5 + 2 * step);
	check(__LINE__, (static_call(pick, 1))(5), 5 + step);
	check(__LINE__, (static_call(k, 1)), 1 + step);
	check(__LINE__, ops_call(add, 1, 2), 3 + step);
	check(__LINE__, tp(add, ARGS(1, 2)), 3 + step);
	check(__LINE__, (long)sizeof(static_call(add, 1, 2)), (long)sizeof(long));
	check(__LINE__, _Generic(static_call(pick, 1), fn: 1, default: 0), 1);
	count = 0;
	static_call(hit, );
	check(__LINE__, count, step);
	static_call(take, "a,(", &(int[2]){ 0, ',' });
	check(__LINE__, count, step + 'a' + ',' + step);
	if (count)
		static_call(take, "b", &(int[2]){ 0, 1 });
	else
		static_call(hit)();
	check(__LINE__, count, 2 * step + 'a' + ',' + 'b' + 1 + step);
}

static int update(int to)
{
	int error = static_call_update(k, to == 2 ? two : one);

	error |= static_call_update(add, to == 2 ? add_two : add_one);
	error |= static_call_update(pick, to == 2 ? pick_two : pick_one);
	error |= static_call_update(hit, to == 2 ? hit_two : hit_one);
	error |= static_call_update(take, to == 2 ? take_two : take_one);
	return error;
}

int main(void)
{
	return run(checks, update);
}
