/* SPDX-License-Identifier: MIT */
/*
 * Targets that return a constant, put into the sites as that constant: only where it is asked for, and only bodies
 * that do nothing else. Compiled with optimisation, as it is the compiler's code that is looked at.
 *
 * usage: inspect_fold BY    BY: "never", "environment" or "program" turns it on
 */
#include <stdlib.h>
#include <string.h>

#include <static_call.h>
#include <static_call_runtime.h>

static int counter;
#define TARGET __attribute__((__noinline__)) static
TARGET int none(int x) { return ++counter + x; }
TARGET int answer(int x) { (void)x; return 42; }
TARGET int zero(int x) { (void)x; return 0; }
TARGET int minus(int x) { (void)x; return -1; }
TARGET int same(int x) { return x; }
TARGET int larger(int x) { return x ? 42 : 43; }
TARGET void nothing(void) { }
TARGET void counts(void) { counter++; }
TARGET long narrow(void) { return 0x7fffffffL; }
TARGET long unsigned_narrow(void) { return 0xffffffffL; }
TARGET long negative(void) { return -1; }
TARGET long wide(void) { return 0x1122334455667788L; }
TARGET long computed(void) { return counter; }
TARGET double real(double x) { (void)x; return 1.5; }
TARGET double through(double x) { return x; }
DEFINE_STATIC_CALL(number, none);
DEFINE_STATIC_CALL(hook, counts);
DEFINE_STATIC_CALL(word, computed);
DEFINE_STATIC_CALL(floating, real);

static struct static_call_site_info site;
static int see(const struct static_call_site_info *info, void *unused)
{
	(void)unused;
	site = *info;
	return 0;
}

/* What stands at the key's only site. */
static enum static_call_form form(const struct static_call_key *key)
{
	memset(&site, 0, sizeof(site));
	return static_call_each_site(key, see, NULL) ? STATIC_CALL_UNKNOWN : site.form;
}

static int call_number(int x) { return static_call(number)(x); }
static void call_hook(void) { static_call(hook)(); }
static long call_word(void) { return static_call(word)(); }
static double call_floating(double x) { return static_call(floating)(x); }

static int on;

/* Whether the key's call does what `func` does, and has the form that it is to have. */
static int number_is(int (*func)(int), enum static_call_form wanted)
{
	if (static_call_update(number, func) || call_number(5) != func(5) || static_call_query(number) != func)
		return 0;
	return form(&STATIC_CALL_KEY(number)) == (on ? wanted : STATIC_CALL_CALL) &&
	       (site.form != STATIC_CALL_CONSTANT || site.constant == (unsigned)func(5));
}

static int word_is(long (*func)(void), enum static_call_form wanted)
{
	return !static_call_update(word, func) && call_word() == func() &&
	       form(&STATIC_CALL_KEY(word)) == (on ? wanted : STATIC_CALL_CALL);
}

static int test_numbers(void)
{
	int (*const constants[])(int) = { answer, zero, answer, minus }, (*const others[])(int) = { same, larger };
#ifdef __OPTIMIZE_SIZE__
	const int last = 3; /* -1 is `or $-1, %eax` there */
#else
	const int last = 4;
#endif

	for (int i = 0; i < last; i++)
		if (!number_is(constants[i], STATIC_CALL_CONSTANT))
			return 3 + i;
	for (int i = 0; i < 2; i++)
		if (!number_is(others[i], STATIC_CALL_CALL))
			return 7 + i;
	if (static_call_update(number, none) || form(&STATIC_CALL_KEY(number)) != STATIC_CALL_CALL)
		return 9;
	return call_number(5) != counter + 5 ? 10 : 0;
}

static int test_words(void)
{
	if (!word_is(narrow, STATIC_CALL_CONSTANT) || !word_is(unsigned_narrow, STATIC_CALL_CONSTANT))
		return 11;
	if (!word_is(wide, STATIC_CALL_CALL) || !word_is(negative, STATIC_CALL_CALL) || !word_is(computed, STATIC_CALL_CALL))
		return 12;
	return 0;
}

static int test_others(void)
{
	int before = counter;

	if (static_call_update(hook, nothing) || form(&STATIC_CALL_KEY(hook)) != (on ? STATIC_CALL_NOP : STATIC_CALL_CALL))
		return 13;
	call_hook();
	if (counter != before || static_call_update(hook, counts) || form(&STATIC_CALL_KEY(hook)) != STATIC_CALL_CALL)
		return 14;
	call_hook();
	if (counter != before + 1)
		return 15;
	if (static_call_update(floating, real) || call_floating(2.5) != 1.5 ||
	    form(&STATIC_CALL_KEY(floating)) != STATIC_CALL_CALL)
		return 16;
	/* Its whole body is a return: the result is the argument, where it stands. */
	return static_call_update(floating, through) || call_floating(2.5) != 2.5 ? 17 : 0;
}

static int test_all(void)
{
	int failed = test_numbers();

	if (!failed)
		failed = test_words();
	return failed ? failed : test_others();
}

int main(int argc, char **argv)
{
	int failed;

	if (argc != 2)
		return 2;
	on = strcmp(argv[1], "never");
	if (!strcmp(argv[1], "program") && static_call_set_folding(1))
		return 1;
	failed = test_all();
	if (failed || !on)
		return failed;
	/* What is folded stays so until it is updated. */
	if (!number_is(answer, STATIC_CALL_CONSTANT) || static_call_set_folding(0) || call_number(1) != 42)
		return 20;
	on = 0;
	failed = test_all();
	return failed ? 30 + failed : 0;
}
