/* SPDX-License-Identifier: MIT */
/*
 * Core synchronisation: membarrier(PRIVATE_EXPEDITED_SYNC_CORE), the userspace form of the kernel's IPI with
 * sync_core (Linux 4.16; on x86-64 it rests on IRET and, for threads that are not running, on the switch: commit
 * 10bcc80e9dbc). PRIVATE_EXPEDITED alone orders memory but does not serialise instruction fetch.
 */
#include "runtime.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_error = -ENOSYS;

static int membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) < 0 ? -errno : 0;
}

static void sync_register(void)
{
	if (sync_error)
		sync_error = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
}

static int sync_ready(void)
{
	sync_register();
	return sync_error;
}

static int sync_cores(void)
{
	COUNT(synchronisations, 1);
	return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
}
