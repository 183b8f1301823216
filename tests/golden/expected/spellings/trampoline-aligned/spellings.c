/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "spellings.h"

int read_one(int n) { return n + 1; }
static void count(int *n) { ++*n; }

DEFINE_STATIC_CALL(ops_read, read_one);
DEFINE_STATIC_CALL_NULL(ops_trace, count);
EXPORT_STATIC_CALL(ops_read);

int main(void)
{
	int n = 0, (*pointer)(int) = static_call(ops_read);

	assert(static_call(ops_read)(1) == 2);
	if (__SCT__ops_read(__SCT__ops_read(1)) != 3 || __SCT__ops_read( 4) != 5)
		return 1;
	if (__SCT__ops_read

(1) != 2)
		return 2;
	(void)__SCT__ops_trace(&n);
	static_call_update(ops_trace, &count);
	(void)__SCT__ops_trace(&n);
	__SCT__ops_trace(&n);
#if 0
	static_call(never)(compiled);
#endif
	return n != 2 || pointer(1) != 2 || read_twice(1) != 4 || sizeof(__SCT__ops_read(1)) != sizeof(int) ||
	       static_call_query(ops_trace) != count; /* static_call(in)(a comment) */
}
