/* SPDX-License-Identifier: MIT */
#ifndef PLAIN_H
#define PLAIN_H

#include <static_call.h>

int other(int a, int b);
int other_update(void);

DECLARE_STATIC_CALL(op, other);
DECLARE_STATIC_CALL(zero, other);

#endif
