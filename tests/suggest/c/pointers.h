/* SPDX-License-Identifier: MIT */
#ifndef POINTERS_H
#define POINTERS_H
#include <stddef.h>

typedef void *(*alloc_fn)(size_t size);

extern int (*transform)(int value);
#define TRANSFORM(x) ((*transform)(x))

void set_alloc(alloc_fn alloc);
void *take(size_t size);
int other(int value);

#endif
