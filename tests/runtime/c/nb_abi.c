/* SPDX-License-Identifier: MIT */
/* What the runtime fills in for a caller: all of the structure that the caller knows, and nothing behind it. */
#include <string.h>

#include <static_call.h>
#include <static_call_runtime.h>

#define GUARD 0x5a5a5a5a5a5a5a5aul

static int one(void) { return 1; }
DEFINE_STATIC_CALL(key, one);

static struct {
	struct static_call_statistics statistics;
	unsigned long guard[4];
} counters;
static struct {
	struct static_call_failure failure;
	unsigned long guard[4];
} last;

static int visit_key(const struct static_call_key_info *info, void *count)
{
	++*(int *)count;
	return info->key != &STATIC_CALL_KEY(key) || info->target != (static_call_fn)one || strcmp(info->name, "key") ||
	       info->lost;
}

int main(void)
{
	int keys = 0;

	memset(&counters, 0x5a, sizeof(counters));
	memset(&last, 0x5a, sizeof(last));
	static_call_statistics(&counters.statistics);
	static_call_last_failure(&last.failure);
	for (int i = 0; i < 4; i++)
		if (counters.guard[i] != GUARD || last.guard[i] != GUARD)
			return 1;
	if (counters.statistics.crossing_sites || !last.failure.what || last.failure.error)
		return 2;
	/* The last word, which an older runtime knows nothing of. */
	if (((const unsigned long *)&counters.guard)[-1])
		return 3;
	if (static_call_each_key(visit_key, &keys) || keys != 1)
		return 4;
	return 0;
}
