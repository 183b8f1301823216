# SPDX-License-Identifier: MIT
"""What compilers and analysers say of the runtime: nothing. Each analyser is shown to find a fault in a copy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain import ROOT, attempt, run

SOURCE = ROOT / "c_runtime" / "static_call_runtime.c"
WARNINGS = (
    "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-Wpedantic", "-Wshadow",
    "-Wstrict-prototypes",
)  # fmt: skip

CPPCHECK = (
    "cppcheck", "--quiet", "--enable=warning,performance,portability", "--error-exitcode=1", "--inline-suppr",
    "--std=c11", "--platform=unix64",
    # What the compiler would say by itself: without these it sees the runtime of other processors, a few lines.
    "-D__x86_64__", "-D__linux__", "-D__GNUC__=12", "-D__SIZEOF_POINTER__=8",
)  # fmt: skip
NOT_CHECKED = (
    # The files are one translation unit by design (runtime.h).
    "bugprone-suspicious-include",
    # The API's own names: __static_call_update() is the kernel's, and headers keep out of the program's names.
    "bugprone-reserved-identifier", "cert-dcl37-c", "cert-dcl51-cpp",
    # By types alone: it is against two integers beside each other, address and length.
    "bugprone-easily-swappable-parameters",
    # greg_t is long long, uintptr_t unsigned long: nothing is widened.
    "bugprone-misplaced-widening-cast",
)  # fmt: skip
Check = Callable[[Path], subprocess.CompletedProcess[str]]
CHECKS = "-*,bugprone-*,cert-*,concurrency-*" + "".join(f",-{name}" for name in NOT_CHECKED)


def cppcheck(source: Path) -> subprocess.CompletedProcess[str]:
    return attempt([*CPPCHECK, source])


def clang_tidy(source: Path) -> subprocess.CompletedProcess[str]:
    # The parts are headers to it.
    wanted = (f"--checks={CHECKS}", "--warnings-as-errors=*", "--header-filter=c_runtime/")
    return attempt(["clang-tidy-19", "--quiet", *wanted, source, "--", "-std=gnu11"], timeout=300)


@pytest.mark.parametrize("flags", [("-O0",), ("-O2", "-fPIC", "-fcf-protection")], ids="".join)
@pytest.mark.parametrize("compiler", ["gcc-11", "gcc-12", "clang-14", "clang-16", "clang-19"])
def test_no_warning(compiler: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    run([compiler, "-std=gnu11", *WARNINGS, *flags, "-c", SOURCE, "-o", tmp_path / "runtime.o"])


@pytest.mark.parametrize("check", [cppcheck, clang_tidy])
def test_nothing_is_found(check: Check) -> None:
    done = check(SOURCE)
    assert done.returncode == 0, done.stdout + done.stderr


FAULTS: dict[str, tuple[Check, str, str, str]] = {
    "zerodiv": (cppcheck, "journal.c", "kept++] = changes[i];", "kept++] = changes[i / (kept - kept)];"),
    "concurrency-mt-unsafe": (clang_tidy, "sync.c", "= !membarrier(", "= strerror(errno) && !membarrier("),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, tmp_path: Path) -> None:
    """In a part, so the analyser has really read it."""
    check, name, text, wrong = FAULTS[fault]
    copy = tmp_path / "c_runtime"
    shutil.copytree(SOURCE.parent, copy)
    part = copy / "src" / name
    assert part.read_text().count(text) == 1
    part.write_text(part.read_text().replace(text, wrong))
    done = check(copy / SOURCE.name)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and f"{name}:" in said and f"[{fault}" in said, said
