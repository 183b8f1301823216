/* SPDX-License-Identifier: MIT */
/* Whom we greet, and how: that changes rarely. */
#ifndef GREET_H
#define GREET_H

#include <static_call.h>

int greet_politely(const char *name);

DECLARE_STATIC_CALL(greet, greet_politely);

/* A call in a header is made direct in each file that includes it. */
static inline int greet_both(const char *first, const char *second)
{
	return static_call(greet)(first) + static_call(greet)(second);
}

#endif
