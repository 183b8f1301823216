/* SPDX-License-Identifier: MIT */
/* The functions that instrumented objects refer to by name and that are nobody's target but RET0's. */
#include "runtime.h"

#include <stdlib.h>

/* Not static and not folded: programs compare its address (kernel commit 8fd4ddda2f49). */
long __static_call_return0(void)
{
	return 0;
}

/* Link-time optimisation must not see that it does not return (static_call_object.h). */
#if defined __has_attribute && __has_attribute(__noipa__)
__attribute__((__noipa__))
#endif
void __static_call_cold(void)
{
	abort();
}
