/* SPDX-License-Identifier: MIT */
#include "greet.h"

#include <stdio.h>

#include "words.h"

int greet_politely(const char *name)
{
	return printf("%s, %s\n", word_for(GREETING), name);
}
DEFINE_STATIC_CALL(greet, greet_politely);
