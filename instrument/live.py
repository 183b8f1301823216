# SPDX-License-Identifier: MIT
"""A live process -> its memory, read only: /proc/PID/maps, process_vm_readv(), else /proc/PID/mem.

Nothing is stopped, attached to or written, so what is read may be of two moments.
"""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path

from instrument.diagnostics import Finding, InstrumentError
from instrument.image import check
from instrument.memory import Cached, Unreadable
from instrument.space import Mapping

_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


class Process:
    """Raises InstrumentError, status 2, with the reason, where the process cannot be looked into."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._proc = _entry(pid)
        try:
            self.program = str((self._proc / "exe").readlink())
            with (self._proc / "exe").open("rb") as file:
                check(self.program, file.read(64))
            self._mappings = self._read_maps()
        except OSError as error:
            raise self._refusal(error) from None
        self.name = f"{pid} {self.program}"
        self._vm = _vm_reader(int(self._proc.name))
        self._mem: int | None = None
        if not self._mappings:
            raise self._refuse("it has no memory any more: it is ending")
        self._probe()

    def mappings(self) -> Sequence[Mapping]:
        return self._mappings

    def refresh(self) -> bool:
        """Look anew at what is mapped; whether that has changed. Raises InstrumentError when the process is gone."""
        before = self._mappings
        try:
            self._mappings = self._read_maps()
        except OSError as error:
            raise self._refusal(error) from None
        if not self._mappings:
            raise self._refuse("it has ended")
        return self._mappings != before

    def alive(self) -> bool:
        """Whether it still runs, be it something else, and by another thread."""
        try:
            return bool((_entry(self.pid) / "maps").read_bytes())
        except OSError:
            return False

    def memory(self) -> Cached:
        return Cached(self._fetch)

    def file(self, mapping: Mapping) -> bytes | None:
        # By the mapping itself, so also what was deleted or replaced; that needs a capability which few have.
        ways = [self._proc / "map_files" / f"{mapping.start:x}-{mapping.end:x}"]
        if mapping.path == self.program:
            ways.append(self._proc / "exe")
        if not mapping.path.endswith(" (deleted)"):
            ways.append(self._proc / "root" / mapping.path.lstrip("/"))
        for way in ways:
            try:
                return way.read_bytes()
            except OSError:
                continue
        return None

    def _read_maps(self) -> list[Mapping]:
        found = []
        for line in (self._proc / "maps").read_text(errors="surrogateescape").splitlines():
            place, rights, offset, _, inode, *path = line.split(None, 5)
            start, end = (int(number, 16) for number in place.split("-"))
            name = path[0] if path and inode != "0" else ""
            found.append(Mapping(start, end, int(offset, 16), name, "x" in rights))
        return found

    def _probe(self) -> None:
        """One byte that must be there, to hear of a refusal now."""
        where = next((mapping.start for mapping in self._mappings if mapping.path), self._mappings[0].start)
        try:
            self._fetch(where, 1)
        except Unreadable:
            raise self._refuse("its memory cannot be read") from None

    def _fetch(self, address: int, length: int) -> bytes:
        try:
            return self._vm(address, length)
        except OSError as error:
            if error.errno == errno.EFAULT:
                raise Unreadable(address) from None
            if error.errno not in (errno.ENOSYS, errno.EPERM):
                raise self._refusal(error) from None
        return self._by_file(address, length)

    def _by_file(self, address: int, length: int) -> bytes:
        """Without process_vm_readv(), which a kernel may not have and a sandbox may forbid."""
        try:
            if self._mem is None:
                self._mem = os.open(self._proc / "mem", os.O_RDONLY | os.O_CLOEXEC)
            found = os.pread(self._mem, length, address)
        except OSError as error:
            if error.errno == errno.EIO:
                raise Unreadable(address) from None
            raise self._refusal(error) from None
        if len(found) < length:
            raise Unreadable(address)
        return found

    # ---- why not ------------------------------------------------------------------------------------

    def _refuse(self, why: str, *notes: str) -> InstrumentError:
        return InstrumentError(Finding("IN050", f"cannot look into process {self.pid}: {why}", notes=notes), status=2)

    def _refusal(self, error: OSError) -> InstrumentError:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            if not self._proc.exists():
                return self._refuse("there is no such process")
            return self._refuse("it is the kernel's own, or has ended and nobody has waited for it")
        if error.errno not in (errno.EPERM, errno.EACCES):
            return self._refuse(error.strerror or str(error))
        owner = self._proc.stat().st_uid
        if os.geteuid() and owner != os.geteuid():
            return self._refuse(
                f"it belongs to {_user(owner)}, and you are {_user(os.geteuid())}", "as root it can be"
            )
        scope = _YAMA.read_text().strip() if _YAMA.exists() else "0"
        if scope != "0" and (os.geteuid() or scope == "3"):
            return self._refuse(
                f"kernel.yama.ptrace_scope is {scope}, so that only {_ALLOWED.get(scope, 'nobody')} may",
                *(
                    ()
                    if scope == "3"
                    else ("run it as root, or the program may allow it: prctl(PR_SET_PTRACER, ...)",)
                ),
            )
        return self._refuse(
            "the kernel refuses it",
            "the program may be set-user-id or have said so (PR_SET_DUMPABLE), or this is a container or sandbox "
            "without CAP_SYS_PTRACE",
        )


def _entry(pid: int) -> Path:
    """Where /proc tells of the process: at its first thread, or at another where that has ended before the rest."""
    leader = Path("/proc") / str(pid)
    if os.access(leader / "exe", os.F_OK):
        return leader
    try:
        threads = sorted((leader / "task").iterdir())
    except OSError:
        return leader
    return next((thread for thread in threads if os.access(thread / "exe", os.F_OK)), leader)


_ALLOWED = {"1": "its parents", "2": "who has CAP_SYS_PTRACE"}


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _vm_reader(pid: int) -> Callable[[int, int], bytes]:
    """process_vm_readv() of one process: address, length -> bytes. Raises OSError."""
    import ctypes

    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    call = getattr(ctypes.CDLL(None, use_errno=True), "process_vm_readv", None)
    if call is not None:
        vectors = (ctypes.POINTER(Vector), ctypes.c_ulong)
        call.argtypes = (ctypes.c_int, *vectors, *vectors, ctypes.c_ulong)
        call.restype = ctypes.c_ssize_t

    def read(address: int, length: int) -> bytes:
        if call is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        buffer = ctypes.create_string_buffer(length)
        here = Vector(ctypes.cast(buffer, ctypes.c_void_p), length)
        got = call(pid, ctypes.byref(here), 1, ctypes.byref(Vector(address, length)), 1, 0)
        if got < length:
            number = ctypes.get_errno() if got < 0 else errno.EFAULT
            raise OSError(number, os.strerror(number))
        return buffer.raw

    return read
