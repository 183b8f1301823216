/* SPDX-License-Identifier: MIT */
/* A check that fails ends the program with its line's number. The programs are shorter than 256 lines. */
#ifndef OBJ_CHECK_H
#define OBJ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

static inline void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	_Exit(line);
}
#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

#define API __attribute__((__visibility__("default"))) /* the programs are also built with -fvisibility=hidden */

#endif
