/* SPDX-License-Identifier: MIT */
/* kernel-static-call.md section 10, shape 17: security hooks, a key's name by a macro call, unrolled. */
#include <static_call.h>

#include "check.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define UNROLL_0(macro, args...)
#define UNROLL_1(macro, args...) UNROLL_0(macro, args) macro(0, args)
#define UNROLL_2(macro, args...) UNROLL_1(macro, args) macro(1, args)
#define UNROLL(n, macro, args...) PASTE(UNROLL_, n)(macro, args)

#define LSM_STATIC_CALL(HOOK, NUM) lsm_static_call_##HOOK##_##NUM

#define DEFINE_LSM_STATIC_CALL(NUM, NAME, RET, ...) \
	DEFINE_STATIC_CALL_NULL(LSM_STATIC_CALL(NAME, NUM), *((RET(*)(__VA_ARGS__))NULL)); \
	static int PASTE(active_##NAME##_, NUM);
UNROLL(2, DEFINE_LSM_STATIC_CALL, file_open, int, const char *, long)
UNROLL(2, DEFINE_LSM_STATIC_CALL, file_free, void, long *)

#define active(HOOK, NUM) PASTE(active_##HOOK##_, NUM)

#define __CALL_STATIC_VOID(NUM, HOOK, ...) \
	do { \
		if (active(HOOK, NUM)) \
			static_call(LSM_STATIC_CALL(HOOK, NUM))(__VA_ARGS__); \
	} while (0);
#define call_void_hook(HOOK, ...) \
	do { \
		UNROLL(2, __CALL_STATIC_VOID, HOOK, __VA_ARGS__) \
	} while (0)

#define __CALL_STATIC_INT(NUM, R, HOOK, LABEL, ...) \
	do { \
		if (active(HOOK, NUM)) { \
			R = static_call(LSM_STATIC_CALL(HOOK, NUM))(__VA_ARGS__); \
			if (R != 0) \
				goto LABEL; \
		} \
	} while (0);
#define call_int_hook(HOOK, ...) \
	({ \
		__label__ OUT; \
		int RC = 0; \
\
		UNROLL(2, __CALL_STATIC_INT, RC, HOOK, OUT, __VA_ARGS__) \
OUT: \
		RC; \
	})

static int open_one(const char *name, long flags) { return name[0] == '/' ? 0 : (int)flags + 1; }
static int open_two(const char *name, long flags) { return name[0] == '/' ? 0 : (int)flags + 2; }
static int open_never(const char *name, long flags) { return name[1] == 'r' ? (int)flags : 0; }
static void free_one(long *count) { *count += 1; }
static void free_two(long *count) { *count += 2; }

static int security_file_open(const char *name, long flags)
{
	return call_int_hook(file_open, name, flags);
}

static void checks(void)
{
	long count = 0;
	int on = active(file_open, 0);

	call_void_hook(file_free, &count);
	check(__LINE__, count, on ? 1 + step : 0);
	check(__LINE__, security_file_open("here", 8), on ? 8 + step : 0);
	check(__LINE__, security_file_open("/etc", 8), 0);
	check(__LINE__, security_file_open("/root", 8), on ? 8 : 0);
}

static int update(int to)
{
	int error = static_call_update(LSM_STATIC_CALL(file_open, 0), to == 2 ? open_two : open_one);

	error |= static_call_update(LSM_STATIC_CALL(file_open, 1), open_never);
	error |= static_call_update(LSM_STATIC_CALL(file_free, 0), to == 2 ? free_two : free_one);
	error |= static_call_update(LSM_STATIC_CALL(file_free, 1), free_one);
	active(file_open, 0) = active(file_open, 1) = active(file_free, 0) = active(file_free, 1) = 1;
	return error;
}

int main(void)
{
	return run(checks, update);
}
