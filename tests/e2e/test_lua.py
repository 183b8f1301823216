# SPDX-License-Identifier: MIT
"""Lua with its allocator hook as a static call, by bench/real's recorded edit and `instrument cc`."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.real.lua import Lua
from tests.toolchain import INCLUDE, PROGRAMS, run, runtime_object


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lua") / "src"
    Lua().write("direct", out)
    return out


@pytest.fixture(scope="module")
def common(sources: Path) -> list[Path]:
    """What has no static calls, compiled once."""

    def compiled(name: str) -> Path:
        out = (sources / name).with_suffix(".o")
        run(["gcc-12", "-O0", "-DLUA_USE_POSIX", "-c", sources / name, "-o", out])
        return out

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compiled, Lua.common))


@pytest.mark.parametrize("mode", ["inline-asm", "trampoline", "direct"])
def test_a_swapped_allocator_is_the_one_that_is_called(
    mode: str, sources: Path, common: list[Path], tmp_path: Path
) -> None:
    """Between scripts, in one, and from inside a call of the allocator."""
    launch = [sys.executable, "-m", "instrument", "cc", "--strict", "--mode", mode, "--", "gcc-12"]
    objects = [tmp_path / f"{Path(name).stem}.o" for name in Lua.dispatching]
    for name, out in zip(Lua.dispatching, objects, strict=True):
        run([*launch, "-O2", INCLUDE, "-c", sources / name, "-o", out])
    host = tmp_path / "host"
    runtime = (runtime_object("gcc-12"), "-pthread", "-lm")
    run(["gcc-12", f"-I{sources}", PROGRAMS / "lua_swap.c", *objects, *common, *runtime, "-o", host])
    first, second = run([host]).split()
    assert min(int(first), int(second)) > 10000
