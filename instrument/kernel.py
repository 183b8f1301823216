# SPDX-License-Identifier: MIT
"""What the kernel offers here of what the runtime asks it for. Each probe only asks; none changes the process."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from pathlib import Path

_MEMBARRIER, _ARCH_PRCTL = 324, 158
_MEMBARRIER_QUERY, _SYNC_CORE = 0, 1 << 5
_PR_GET_MDWE, _ARCH_SHSTK_STATUS = 66, 0x5005
# struct procmap_query: size, flags, address, then eleven fields that are given back or left 0.
_PROCMAP_SIZE = 104
_PROCMAP_QUERY = 3 << 30 | _PROCMAP_SIZE << 16 | ord("f") << 8 | 17
_COVERING_OR_NEXT = 0x10


class Refused(Exception):
    """The kernel's errno for a call, in words."""


def _called(name: str, *words: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    longs = [word if not isinstance(word, int) else ctypes.c_long(word) for word in words]
    result: int = getattr(libc, name)(*longs)
    if result < 0:
        raise Refused(errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno())))
    return result


def membarrier() -> bool:
    """Whether all cores that run our threads can be synchronised by one call. Raises Refused."""
    return bool(_called("syscall", _MEMBARRIER, _MEMBARRIER_QUERY, 0, 0) & _SYNC_CORE)


def mdwe() -> bool:
    """Whether text may not be made writable (PR_SET_MDWE). Raises Refused: the kernel has no such thing."""
    return bool(_called("prctl", _PR_GET_MDWE, 0, 0, 0, 0) & 1)


def shadow_stack() -> bool:
    """Whether this process has a shadow stack. Raises Refused: neither kernel nor processor have one to give."""
    state = ctypes.c_ulong(0)
    _called("syscall", _ARCH_PRCTL, _ARCH_SHSTK_STATUS, ctypes.byref(state))
    return bool(state.value & 1)


def procmap_query() -> bool:
    """Whether /proc/self/maps answers for one address, without its text being read. Raises Refused."""
    query = bytearray(struct.pack("QQQ", _PROCMAP_SIZE, _COVERING_OR_NEXT, 0).ljust(_PROCMAP_SIZE, b"\0"))
    try:
        with Path("/proc/self/maps").open("rb") as maps:
            fcntl.ioctl(maps, _PROCMAP_QUERY, query)
    except OSError as error:
        raise Refused(errno.errorcode.get(error.errno or 0, str(error))) from None
    return True


def proc_mem() -> bool:
    """Whether /proc/self/mem can be opened for writing. Raises Refused."""
    try:
        os.close(os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise Refused(errno.errorcode.get(error.errno or 0, str(error))) from None
    return True


def ptrace_scope() -> int | None:
    """Yama's restriction, 0 to 3; None without Yama."""
    try:
        return int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text())
    except (OSError, ValueError):
        return None


def seccomp() -> int | None:
    """0 none, 1 strict, 2 a filter; None if nobody tells."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("Seccomp:")), None)
