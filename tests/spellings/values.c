/* SPDX-License-Identifier: MIT */
/* The callee as a value. An update changes what a later call through such a value does, or it does not: which,
 * is not promised (without the tool the value is the target, with it, it is the call), so none outlives an update. */
#include <static_call.h>
#include <stddef.h>

#include "check.h"

typedef int (*fn)(int);

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static int apply(fn f, int x) { return f(x); }
static fn pick_one(int which) { return which ? one : two; }
static fn pick_two(int which) { return which ? two : one; }

DEFINE_STATIC_CALL(k, one);
DEFINE_STATIC_CALL(pick, pick_one);
DEFINE_STATIC_CALL(run_it, apply);
static int apply_two(fn f, int x) { return f(x) + 100; }

#define op_call(name) static_call(name)
#define CALLEE static_call(k)
#define callee() static_call(k)

struct ops {
	fn call;
};

static fn returned(void)
{
	return static_call(k);
}

static void checks(void)
{
	fn pointer = static_call(k), other;
	struct ops ops = { .call = static_call(k) };
	fn table[] = { static_call(k), [2] = (static_call(k)) };
	int yes = 1;

	check(__LINE__, (static_call(k))(1), 1 + step);
	check(__LINE__, ((static_call(k)))(1), 1 + step);
	check(__LINE__, (*static_call(k))(1), 1 + step);
	check(__LINE__, (**static_call(k))(1), 1 + step);
	check(__LINE__, (&*static_call(k))(1), 1 + step);
	check(__LINE__, (yes ? static_call(k) : two)(1), 1 + step);
	check(__LINE__, (yes, static_call(k))(1), 1 + step);
	check(__LINE__, ((fn)static_call(k))(1), 1 + step);
	check(__LINE__, (other = static_call(k))(1), 1 + step);
	check(__LINE__, ({ static_call(k); })(1), 1 + step);
	check(__LINE__, pointer(1), 1 + step);
	check(__LINE__, other(1), 1 + step);
	check(__LINE__, ops.call(1), 1 + step);
	check(__LINE__, table[0](1) + table[2](1), 2 + 2 * step);
	check(__LINE__, returned()(1), 1 + step);
	check(__LINE__, apply(static_call(k), 1), 1 + step);
	check(__LINE__, static_call(run_it)(static_call(k), 1), 1 + step + (step == 2 ? 100 : 0));
	check(__LINE__, static_call(pick)(1)(5), 5 + step);
	check(__LINE__, static_call(pick)(0)(static_call(k)(5)), 8);
	check(__LINE__, op_call(k)(1), 1 + step);
	check(__LINE__, (op_call(k))(1), 1 + step);
	check(__LINE__, CALLEE(1), 1 + step);
	check(__LINE__, callee()(1), 1 + step);
	check(__LINE__, _Generic(static_call(k), fn: 1, default: 0), 1);
	check(__LINE__, _Generic(&*static_call(k), fn: 1, default: 0), 1);
	check(__LINE__, (long)sizeof(static_call(k)), (long)sizeof(fn));
	__typeof__(static_call(k)) same = static_call(k);
	__typeof__(*static_call(k)) *again = static_call(k);
	__typeof__(static_call_mod(k)) mod = static_call_mod(k);
	check(__LINE__, same(1) + again(1) + mod(1), 3 + 3 * step);
	check(__LINE__, static_call(k) != NULL, 1);
	check(__LINE__, static_call_mod(k) == static_call(k), 1);
}

static int update(int to)
{
	int error = static_call_update(k, to == 2 ? two : one);

	error |= static_call_update(pick, to == 2 ? pick_two : pick_one);
	error |= static_call_update(run_it, to == 2 ? apply_two : apply);
	return error;
}

int main(void)
{
	return run(checks, update);
}
