/* SPDX-License-Identifier: MIT */
/* Keys whose names mean something else too, and other names for the API. */
#include <static_call.h>

#include "check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }

/* Named like a function, a type, a tag, a member, a label, an enumerator, a macro, a library function. */
DEFINE_STATIC_CALL(one, one);
typedef int type;
DEFINE_STATIC_CALL(type, one);
struct tag {
	int member;
	int static_call;
};
DEFINE_STATIC_CALL(tag, one);
DEFINE_STATIC_CALL(member, one);
DEFINE_STATIC_CALL(label, one);
enum { enumerator = 1 };
DEFINE_STATIC_CALL(enumerator, one);
DEFINE_STATIC_CALL(printf, one);
DEFINE_STATIC_CALL(key, one);
DEFINE_STATIC_CALL(name, one);
DEFINE_STATIC_CALL(func, one);
DEFINE_STATIC_CALL(int, one);
DEFINE_STATIC_CALL(_, one);
DEFINE_STATIC_CALL(L, one);
DEFINE_STATIC_CALL(a$b, one);
#ifndef __clang__ /* its assembler takes ASCII alone */
DEFINE_STATIC_CALL(grün, one);
DEFINE_STATIC_CALL(\u00e9t\u00e9, one);
#endif
DEFINE_STATIC_CALL(a_name_that_is_as_long_as_some_generated_names_are_and_then_a_little_longer_than_they_are_so_that_nobody_cuts_it, one);
#define function_like(x) nothing
DEFINE_STATIC_CALL(function_like, one);
#define object_like real_key
DEFINE_STATIC_CALL(object_like, one);
#define chained object_like

/* Names that only look like the API's. */
#define my_static_call(k) 1000
#define static_call_count 2000
#define STATIC_CALLS 3000
struct static_calls {
	int static_call_;
};

/* Other names for it. */
#define alias static_call
#define call_of(k, ...) static_call(k)(__VA_ARGS__)
#define call_by(how, k) how(k)
#define DEFINE_HOOK DEFINE_STATIC_CALL
#define UPDATE_HOOK static_call_update
#define joined(a, b) a##b
#define key_of(n) joined(k, n)
DEFINE_HOOK(hook, one);
DEFINE_STATIC_CALL(key_of(1), one);

static int parameter(int static_call)
{
	return static_call;
}

static void checks(void)
{
	struct tag tag = { .static_call = 7, .member = 8 };
	struct static_calls calls = { 9 };
	int one_ = static_call(one)(1);

label:
	check(__LINE__, one_, 1 + step);
	check(__LINE__, static_call(type)(1) + static_call(tag)(1) + static_call(member)(1), 3 + 3 * step);
	check(__LINE__, static_call(label)(1) + static_call(enumerator)(enumerator), 2 + 2 * step);
	check(__LINE__, static_call(printf)(1) + static_call(key)(1) + static_call(name)(1), 3 + 3 * step);
	check(__LINE__, static_call(func)(1) + static_call(int)(1) + static_call(_)(1) + static_call(L)(1), 4 + 4 * step);
	check(__LINE__, static_call(a$b)(1), 1 + step);
#ifndef __clang__
	check(__LINE__, static_call(\u00e9t\u00e9)(1) + static_call(gr\u00fcn)(1) + static_call(été)(1) + static_call(grün)(1), 4 + 4 * step);
#endif
	check(__LINE__, static_call(a_name_that_is_as_long_as_some_generated_names_are_and_then_a_little_longer_than_they_are_so_that_nobody_cuts_it)(1), 1 + step);
	check(__LINE__, static_call(function_like)(1), 1 + step);
	check(__LINE__, static_call(object_like)(1) + static_call(real_key)(1) + static_call(chained)(1), 3 + 3 * step);
	check(__LINE__, my_static_call(one) + static_call_count + STATIC_CALLS, 6000);
	check(__LINE__, tag.static_call + (&tag)->static_call + calls.static_call_ + parameter(1), 24);
	check(__LINE__, alias(one)(1) + call_of(one, 1) + call_by(static_call, one)(1), 3 + 3 * step);
	check(__LINE__, joined(static_, call)(one)(1) + joined(static_call, _mod)(one)(1), 2 + 2 * step);
	check(__LINE__, static_call(hook)(1) + static_call(joined(ho, ok))(1), 2 + 2 * step);
	check(__LINE__, static_call(key_of(1))(1) + static_call(k1)(1), 2 + 2 * step);
	if (failed < 0)
		goto label;
}

static int update(int to)
{
	int (*target)(int) = to == 2 ? two : one;
	int error = static_call_update(one, target);

	error |= static_call_update(type, target) | static_call_update(tag, target);
	error |= static_call_update(member, target) | static_call_update(label, target);
	error |= static_call_update(enumerator, target) | static_call_update(printf, target);
	error |= static_call_update(key, target) | static_call_update(name, target);
	error |= static_call_update(func, target) | static_call_update(int, target);
	error |= static_call_update(_, target) | static_call_update(L, target);
	error |= static_call_update(a$b, target);
#ifndef __clang__
	error |= static_call_update(grün, target) | static_call_update(été, target);
#endif
	error |= static_call_update(a_name_that_is_as_long_as_some_generated_names_are_and_then_a_little_longer_than_they_are_so_that_nobody_cuts_it, target);
	error |= static_call_update(function_like, target) | static_call_update(object_like, target);
	error |= UPDATE_HOOK(hook, target) | static_call_update(key_of(1), target);
	return error;
}

int main(void)
{
	return run(checks, update);
}
