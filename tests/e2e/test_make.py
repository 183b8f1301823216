# SPDX-License-Identifier: MIT
"""The Makefile hook, on the bundled example: builds in parallel, rebuilds what must be, then does nothing."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.toolchain import ROOT, run

TOOL_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def make(project: Path, *arguments: str) -> str:
    return run(
        ["make", "--no-print-directory", "-j2", *arguments], cwd=project, PATH=TOOL_PATH, MAKEFLAGS="", MAKELEVEL="0"
    )


def compiled(output: str) -> set[str]:
    """The objects that a run of make has compiled."""
    lines = [line for line in output.replace("\\\n", " ").splitlines() if " -c " in f" {line} "]
    return {word for line in lines for word in line.split() if word.endswith(".o")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples" / "dispatch", tmp_path / "dispatch")
    return tmp_path / "dispatch"


@pytest.mark.parametrize("mode", ["inline-asm", "trampoline"])
def test_incremental_builds(project: Path, mode: str) -> None:
    setting = f"STATIC_CALL_MODE={mode}"
    first = make(project, setting)
    assert {"main.o", "checksum.o", "static_call_runtime.o"} <= compiled(first)
    run([project / "dispatch", "0.3"])
    assert make(project, setting) == ""

    # Times of files have the grain of the kernel's clock tick.
    time.sleep(0.05)
    (project / "checksum.h").touch()
    assert compiled(make(project, setting)) == {"main.o", "checksum.o"}
    assert make(project, setting) == ""

    time.sleep(0.05)
    (project / "main.c").touch()
    assert compiled(make(project, setting)) == {"main.o"}
    run([project / "dispatch", "0.1"])


def test_another_mode_rebuilds(project: Path) -> None:
    make(project, "STATIC_CALL_MODE=inline-asm")
    assert {"main.o", "checksum.o"} <= compiled(make(project, "STATIC_CALL_MODE=trampoline"))
    run([project / "dispatch", "0.1"])
