/* SPDX-License-Identifier: MIT */
#ifndef KEYS_H
#define KEYS_H
#include <static_call.h>

struct ops { long (*read)(int, long); void (*close)(int *); };
struct source { struct ops *ops; };
typedef long read_t(int, long);

extern struct ops ops;
extern struct source sources[];
long first(int a, long b);
long second(int a, long b);

/* The second argument is whatever __typeof__ takes. */
#define READER first
#define PASTE(a, b) a##b
#define PROTOTYPE(RET, ...) *((RET (*)(__VA_ARGS__))0)
#define KEYS(X) \
	X(name, first) \
	X(macro, READER) \
	X(pasted, PASTE(fir, st)) \
	X(type, read_t) \
	X(typeof, __typeof__(first)) \
	X(member, *ops.read) \
	X(null, *((struct ops *)0)->read) \
	X(table, *sources[0].ops->read) \
	X(cast, *((long (*)(int, long))0)) \
	X(prototype, PROTOTYPE(long, int, long)) \
	X(literal, long (int, long))
#define DECLARE(name, type) DECLARE_STATIC_CALL(PASTE(key_, name), type);
KEYS(DECLARE)
/* Twice, and here in other words. */
DECLARE_STATIC_CALL(key_member, long (int, long));
DECLARE_STATIC_CALL(first, first);

int call_all(long expected);
int call_from_block(int *p);
#endif
