# SPDX-License-Identifier: MIT
"""The header alone: no tool, no runtime, any architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain import INCLUDE, PROGRAMS, RUNTIME, attempt, instrument, run

PLAIN = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wpedantic", "-Wconversion", "-Wshadow")


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", ["gcc-12", "clang-14"])
def test_header_alone(compiler: str, level: str, tmp_path: Path) -> None:
    run(
        [compiler, *PLAIN, level, INCLUDE, PROGRAMS / "plain.c", PROGRAMS / "plain_other.c", "-o", tmp_path / "plain"]
    )
    assert run([tmp_path / "plain"]) == "plain: ok\n"


@pytest.mark.parametrize("runtime", [False, True])
def test_another_architecture(runtime: bool, tmp_path: Path) -> None:
    sources = [PROGRAMS / "plain.c", PROGRAMS / "plain_other.c", *(RUNTIME if runtime else ())]
    run(["aarch64-linux-gnu-gcc", *PLAIN, "-O2", "-static", INCLUDE, *sources, "-o", tmp_path / "plain"])
    assert run(["qemu-aarch64", tmp_path / "plain"]) == "plain: ok\n"


def test_instrumented_sources_say_no_to_another_architecture(tmp_path: Path) -> None:
    done = instrument(PROGRAMS / "plain.c", PROGRAMS / "plain_other.c", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    failed = attempt(["aarch64-linux-gnu-gcc", "-c", INCLUDE, tmp_path / "out" / "plain.c", "-o", tmp_path / "x.o"])
    assert failed.returncode != 0 and "were instrumented for x86-64" in failed.stderr
