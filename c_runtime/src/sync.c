/* SPDX-License-Identifier: MIT */
/*
 * Core synchronisation: membarrier(PRIVATE_EXPEDITED_SYNC_CORE), the userspace form of the kernel's IPI with
 * sync_core (Linux 4.16; on x86-64 it rests on IRET and, for threads that are not running, on the switch: commit
 * 10bcc80e9dbc). PRIVATE_EXPEDITED alone orders memory but does not serialise instruction fetch.
 *
 * Where the kernel lacks it or a filter refuses it: a signal to each thread, whose return is an IRET as well. It wakes
 * threads that sleep in system calls (EINTR where SA_RESTART does not help), so it is never chosen otherwise.
 */
#include "runtime.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool sync_registered;
/*
 * Refused after it has worked (a filter that came late): the next update goes by signals. Not the one that is being
 * made, which has not looked whether the threads take one.
 */
static bool sync_refused;

static int membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) < 0 ? -errno : 0;
}

static void sync_register(void)
{
	if (!sync_registered)
		sync_registered = !membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
}

static void sync_choose(void)
{
	sync_register();
	sync_by_signal = !sync_registered || sync_refused;
}

static int by_signal(void)
{
	int error = interrupt_threads();

	COUNT(signalled, 1);
	if (error == -EBUSY)
		return fail(error, "a thread blocks SIGTRAP, which was to synchronise it", 0, NULL);
	return error ? fail(error, "a thread could not be sent the signal that was to synchronise it", 0, NULL) : 0;
}

static int sync_cores(void)
{
	int error;

	COUNT(synchronisations, 1);
	if (sync_by_signal)
		return by_signal();
	error = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
	/* Not registered: as in a process that was restored from a checkpoint. */
	if (error == -EPERM && !membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE))
		error = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
	sync_refused |= error;
	return error ? fail(error, "membarrier, which synchronises the other cores, was refused", 0, NULL) : 0;
}

static int sync_cores_somehow(void)
{
	int error = sync_cores();

	if (!error || sync_by_signal)
		return error;
	error = trap_install();
	return error ? fail(error, "sigaction was refused", 0, NULL) : by_signal();
}
