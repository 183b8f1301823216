# SPDX-License-Identifier: MIT
# Written by instrument. Include it to build this tree:
#
#   include <tree>/static_call/static_call.mk
#   prog: $(STATIC_CALL_SRCS)
#           $(CC) $(CFLAGS) $(STATIC_CALL_CFLAGS) -o $@ $^ $(STATIC_CALL_LIBS)

static_call_here := $(dir $(lastword $(MAKEFILE_LIST)))
STATIC_CALL_CFLAGS := -I$(static_call_here)runtime/include
STATIC_CALL_LIBS := $(static_call_here)runtime/static_call_runtime.c -pthread
STATIC_CALL_SRCS := \
	$(static_call_here)../values.c \

