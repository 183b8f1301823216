# SPDX-License-Identifier: MIT
"""The programs host_*.c and fault_*.c: built once a session, run, and what they print."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from tests.runtime.linking import ALIGNED, COMPACT, HERE, PATIENCE, TRAMPOLINE, compiled, rewritten, runtime
from tests.toolchain import RUNTIME, attempt

FORMS = (ALIGNED, COMPACT, TRAMPOLINE)
SHIMMED = "syscall mprotect mmap munmap mincore sigaction open read pwrite lseek close ioctl nanosleep sched_yield"
SHIM = (str(HERE / "fault_shim.c"), *(f"-Wl,--wrap={name}" for name in SHIMMED.split()))
BESIDE = {"host_update": (str(HERE / "host_confine.c"),), "host_stub": SHIM}
"""What is linked to a program besides the runtime; to all of fault_*.c the shim."""
OWN = ("-DSTATIC_CALL_SLOTS", "-DFEW_SITES")
"""What concerns the program alone."""
INTEL = "AuthenticAMD" not in (cpuinfo := Path("/proc/cpuinfo").read_text()) and "HygonGenuine" not in cpuinfo
"""Whether the processor's manual promises nothing for a store over an instruction."""


@cache
def made(folder: Path, program: str, form: tuple[str, str] = ALIGNED, cc: str = "gcc-12", *flags: str) -> Path:
    """A program in `folder`; with flags but -D of its own the runtime is compiled with them as well."""
    out = folder / "-".join((program, *form, cc, *re.findall(r"\w+", " ".join(flags))))
    shim = program.startswith("fault") or program == "host_stub"
    names = (f"{program}.c", "host_sites.h", *(("fault_shim.h",) if shim else ()))
    rewritten(out, *names, form=form, cc=cc)
    beside = SHIM if shim else BESIDE.get(program, ())
    library = RUNTIME if any(flag not in OWN for flag in flags) else (str(runtime(folder).object), "-pthread")
    return compiled(cc, "-g", *flags, out / f"{program}.c", *beside, *library, "-o", out / program)


@cache
def launcher(folder: Path) -> Path:
    """Refuses system calls of the program that it becomes."""
    return compiled("gcc-12", "-DLAUNCHER", HERE / "host_confine.c", "-o", folder / "confine")


def tried(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return attempt(command, None, PATIENCE, **env)


def facts(*command: str | Path, **env: str) -> dict[str, str]:
    """Run a program that must succeed: its lines "name value", and of "to STATE ERROR" all errors."""
    done = tried(*command, **env)
    assert done.returncode == 0, f"{list(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    found = dict(re.findall(r"^(\w+) (.*)$", done.stdout, re.M))
    found["to"] = " ".join(re.findall(r"^to \w+ (-?\d+)$", done.stdout, re.M))
    return found
