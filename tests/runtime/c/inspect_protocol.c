/* SPDX-License-Identifier: MIT */
/*
 * Which protocol, and why: prints the reason as the environment has it, then as each value set by the program has it;
 * and what static_call_last_failure() tells, before and after failures.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <static_call.h>
#include <static_call_runtime.h>

static int one(void) { return 1; }
static int two(void) { return 2; }
DEFINE_STATIC_CALL(key, one);

static int call(void) { return static_call(key)(); }

/* Whether that is the last failure. */
static int last_is(int error, const void *address, const struct static_call_key *key)
{
	struct static_call_failure last;

	static_call_last_failure(&last);
	return last.error == error && last.what && !*last.what == !error && last.address == address && last.key == key;
}

static int test_failures(void)
{
	static int data;
	int (*no_code)(void);
	void *address = &data;

	memcpy(&no_code, &address, sizeof(no_code));
	if (!last_is(0, NULL, NULL))
		return 1;
	if (static_call_update(key, two) || call() != 2 || !last_is(0, NULL, NULL))
		return 2;
	if (static_call_update(key, no_code) != -EFAULT || call() != 2 || !last_is(-EFAULT, &data, &STATIC_CALL_KEY(key)))
		return 3;
	/* A success leaves it as it is. */
	if (static_call_update(key, one) || call() != 1 || !last_is(-EFAULT, &data, &STATIC_CALL_KEY(key)))
		return 4;
	return 0;
}

int main(void)
{
	static const enum static_call_protocol all[] = { STATIC_CALL_AUTO, STATIC_CALL_INT3_PUSH, STATIC_CALL_INT3_RESUME,
							 STATIC_CALL_INT3_STUB, STATIC_CALL_ATOMIC };

	int failed;

	puts(static_call_protocol_reason());
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (static_call_set_protocol(all[i]))
			return 10;
		puts(static_call_protocol_reason());
	}
	if (static_call_set_protocol((enum static_call_protocol)5) != -EINVAL ||
	    static_call_set_protocol((enum static_call_protocol)-1) != -EINVAL)
		return 11;
	puts(static_call_protocol_reason());
	if (static_call_set_protocol(STATIC_CALL_INT3_PUSH))
		return 12;
	failed = test_failures();
	return failed;
}
