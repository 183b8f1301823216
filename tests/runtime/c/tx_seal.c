/* SPDX-License-Identifier: MIT */
/*
 * static_call_seal(): no update any more, keys that cannot be written, and a library that comes later works all the
 * same. With and without the tool (PATCHED says which).
 *
 * usage: tx_seal [LIBRARY [ADDRESS]]    ADDRESS: where the runtime remembers that it is sealed, less the program's start
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <static_call.h>
#ifdef PATCHED
#include <static_call_runtime.h>
#endif
#include "tx_seal.h"

int tx_one(void) { return 1; }
static int two(void) { return 2; }
static void nothing(void) { }
DEFINE_STATIC_CALL(tx_shared, tx_one);
DEFINE_STATIC_CALL(key, tx_one);
DEFINE_STATIC_CALL_NULL(hook, nothing);
DEFINE_STATIC_CALL_RET0(zero, tx_one);
EXPORT_STATIC_CALL(tx_shared);

static int calls_are(int first)
{
	static_call_cond(hook)();
	return static_call(key)() == first && static_call(tx_shared)() == 2 && static_call(zero)() == 0;
}

static int refused(void)
{
	struct static_call_transaction t;

	if (static_call_update(key, tx_one) != -EPERM || static_call_update(key, two) != -EPERM ||
	    static_call_update(hook, nothing) != -EPERM || static_call_update(zero, tx_one) != -EPERM)
		return 1;
	static_call_begin(&t);
	if (static_call_queue(key, tx_one, &t) || static_call_queue(zero, tx_one, &t) || static_call_commit(&t) != -EPERM)
		return 2;
	return !calls_are(2) || static_call_query(key) != two || static_call_query(hook) ? 3 : 0;
}

#ifndef PATCHED
static int test_patched(const char *address)
{
	return address != NULL;
}
#else
/* Whether a store to the byte, of the value that it has, is a fault. */
static int store_faults(volatile char *byte)
{
	pid_t child = fork();
	int status;

	if (!child) {
		*byte = *byte;
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static int test_patched(const char *address)
{
	extern char __executable_start[];
	struct static_call_failure failure;

	static_call_last_failure(&failure);
	if (failure.error != -EPERM || !*failure.what)
		return 10;
	if (!store_faults((volatile char *)&STATIC_CALL_KEY(key)) || !store_faults((volatile char *)&STATIC_CALL_KEY(hook)) ||
	    !store_faults((volatile char *)&STATIC_CALL_KEY(zero).object))
		return 11;
	if (address && !store_faults(__executable_start + strtoul(address, NULL, 16)))
		return 12;
	/* What programs without the runtime go by can be written, and changes nothing here. */
	__static_call_sealed = 0;
	if (refused())
		return 13;
	return static_call_init() != -EPERM ? 14 : 0;
}
#endif

/* Calls and keys of its own, and the program's key, which was updated before the seal. */
static int test_library(const char *path)
{
	void *library = dlopen(path, RTLD_NOW);
	int (*check)(void);

	if (!library)
		return 20;
	*(void **)&check = dlsym(library, "tx_seal_library");
	if (!check || check())
		return 21;
	return refused() ? 22 : dlclose(library) ? 23 : 0;
}

int main(int argc, char **argv)
{
	int failed;

	if (static_call_update(tx_shared, two) || static_call_update(key, two) || !calls_are(2))
		return 4;
	if (static_call_seal())
		return 5;
	failed = refused();
	if (failed)
		return failed;
	if (static_call_seal() || refused())
		return 6;
	failed = test_patched(argc > 2 ? argv[2] : NULL);
	if (!failed && argc > 1)
		failed = test_library(argv[1]);
	return failed;
}
