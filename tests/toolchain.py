# SPDX-License-Identifier: MIT
"""How the tests run the tool and the compilers. A compiler that is missing fails the test that needs it."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "tests" / "c"
RUNTIME_PROGRAMS = ROOT / "tests" / "runtime" / "c"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wpedantic", "-Wconversion", "-Wno-sign-conversion")
RUNTIME = (str(ROOT / "c_runtime" / "static_call_runtime.c"), "-pthread")
INCLUDE = f"-I{ROOT / 'c_runtime' / 'include'}"

COMPILERS = ("gcc-12", "clang-14")
LEVELS = ("-O0", "-O2", "-Os")
FORMS = (("inline-asm", "aligned"), ("inline-asm", "compact"), ("trampoline", "aligned"))

SOURCES = {
    "basic": ("basic.c", "basic_other.c", "basic.h"),
    "frames": ("frames.c",),
    "keys": ("keys.c", "keys_other.c", "keys.h"),
    "refused": ("refused.c",),
    "values": ("values.c",),
    "inside": ("inside.c",),
    "init": ("init.c",),
    "many": ("many.c",),
    "signals": ("signals.c",),
    "trap": ("trap.c",),
}


def program_sources(program: str) -> list[Path]:
    """The files of one of tests/c, or the one file of one of tests/runtime/c."""
    if program in SOURCES:
        return [PROGRAMS / name for name in SOURCES[program]]
    return [RUNTIME_PROGRAMS / f"{program}.c"]


def run(command: Sequence[str | Path], cwd: Path | None = None, timeout: float = 120, **env: str) -> str:
    """Run a command that must succeed; its standard output."""
    done = attempt(command, cwd, timeout, **env)
    assert done.returncode == 0, f"{list(map(str, command))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def attempt(
    command: Sequence[str | Path], cwd: Path | None = None, timeout: float = 120, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command and hand back whatever came of it."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )


def instrument(*arguments: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return attempt([sys.executable, "-m", "instrument", *arguments], cwd, **env)


def instrumented(
    program: str, out: Path, mode: str, layout: str, compiler: str = "gcc-12", *extra: str
) -> list[Path]:
    """Instrument one of tests/c or tests/runtime/c into `out`; the C files to build."""
    sources = program_sources(program)
    done = instrument(
        *sources, "-o", out, "--mode", mode, "--layout", layout, *extra, "-q", "--", "-std=gnu11", CC=compiler
    )
    assert done.returncode == 0, done.stderr
    return [out / source.name for source in sources if source.suffix == ".c"]


@cache
def _scratch() -> Path:
    folder = tempfile.mkdtemp(prefix="static_call-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def runtime_object(compiler: str, *flags: str) -> Path:
    """The runtime, compiled without a warning, once a process for each compiler and set of flags."""
    made = _scratch() / f"runtime-{runtime_object.cache_info().misses}.o"
    # The flags may be for the link as well, which clang says that it does not use.
    quiet = "-Wno-unused-command-line-argument"
    run([compiler, "-std=gnu11", *WARNINGS, *flags, quiet, INCLUDE, "-c", *RUNTIME, "-o", made])
    return made


def build(compiler: str, sources: Sequence[Path], binary: Path, *flags: str) -> Path:
    """Compile and link as the README says, without a warning."""
    runtime = (runtime_object(compiler, *flags), "-pthread")
    run([compiler, "-std=gnu11", *WARNINGS, *flags, INCLUDE, *sources, *runtime, "-o", binary])
    return binary
