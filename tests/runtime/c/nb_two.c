/* SPDX-License-Identifier: MIT */
/*
 * Two libraries with a runtime each. Not position-independent and without the tool, this program has copies of both
 * keys on one page (R_X86_64_COPY); both are updated at once. The key that both libraries define may be one, or two:
 * what the updates of it say must be so either way.
 */
#include <stdio.h>

#include "nb_two.h"
#include "thr_run.h"

static void *first(void *unused)
{
	for (int i = 0; i < 3000; i++)
		CHECK(!nb_first_set(i & 1) && nb_first_call(1) == (i & 1 ? 101 : 1));
	return unused;
}

static void *second(void *unused)
{
	for (int i = 0; i < 3000; i++)
		CHECK(!nb_second_set(i & 1) && nb_second_call(1) == (i & 1 ? 201 : 1));
	return unused;
}

int main(void)
{
	pthread_t threads[] = { started(first), started(second) };
	int one_key = nb_first_both_key() == nb_second_both_key();

	CHECK(static_call_query(nb_first) && static_call_query(nb_second));
	stop_all(threads, 2);
	CHECK(nb_first_both_call(1) == 1 && nb_second_both_call(1) == 1);
	CHECK(!nb_first_both_set() && nb_first_both_call(1) == 101 && nb_second_both_call(1) == (one_key ? 101 : 1));
	CHECK(!nb_second_both_set() && nb_first_both_call(1) == (one_key ? 201 : 101) && nb_second_both_call(1) == 201);
	printf("%s\n", one_key ? "one key" : "two keys");
	return 0;
}
