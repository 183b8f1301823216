/* SPDX-License-Identifier: MIT */
/* What `instrument doctor` compiles and runs: one update, and what the runtime says about it. */
#include <stdio.h>
#include <string.h>

#include <static_call.h>
#include <static_call_runtime.h>

static int one(void) { return 1; }
static int two(void) { return 2; }

DEFINE_STATIC_CALL(doctor, one);

int main(void)
{
	static const char *const writes[] = { "not at all", "mprotect", "/proc/self/mem", "slots in data" };
	struct static_call_statistics done;
	struct static_call_failure failure;
	int before = static_call(doctor)();
	int error = static_call_update(doctor, two);
	int after = static_call(doctor)();

	static_call_statistics(&done);
	static_call_last_failure(&failure);
	printf("%s\n%s\n", static_call_protocol_reason(), done.write < 4 ? writes[done.write] : "unknown");
	printf("%lu by signals\n%s\n", done.signalled, failure.what);
	if (error)
		fprintf(stderr, "the update failed: %s\n", strerror(-error));
	return error || before != 1 || after != 2;
}
