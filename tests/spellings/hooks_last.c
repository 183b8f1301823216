/* SPDX-License-Identifier: MIT */
/* Shape 28: a definition is the last line of a file, and here no line end follows it. */
#include "hooks.h"

static int last_one(struct event *event) { return (int)event->count + 1; }
int first_call(struct event *event);
int first_call(struct event *event) { return static_call(last_line)(event); }
DEFINE_STATIC_CALL(last_line, last_one);