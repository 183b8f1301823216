# SPDX-License-Identifier: MIT
"""`instrument inspect`: what a binary records, and what it leaves on trampolines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_launcher import launched, project
from tests.toolchain import INCLUDE, attempt, run, runtime_object

__all__ = ["project"]

INSPECT = (sys.executable, "-m", "instrument", "inspect")
TAKES = """\
#include "keys.h"
int (*taken(void))(int, double) { return static_call(key); }
"""


def inspected(*names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run([*INSPECT, "--json", *names]))
    return found


@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
@pytest.mark.parametrize("strip", [False, True])
def test_every_call_is_a_site_or_on_a_trampoline(strip: bool, compiler: str, project: Path) -> None:
    counts = {}
    for mode in ("direct", "inline-asm", "trampoline"):
        runtime = runtime_object(compiler, "-O2")
        options = ("--mode", mode)
        launched(compiler, "-O1", INCLUDE, "main.c", "other.c", runtime, "-pthread", "-o", "prog", options=options)
        if strip:
            run(["strip", "prog"])
        (found,) = inspected("prog")
        assert found["keys"] == ["key", "variadic"]
        assert {site["key"] for site in found["sites"]} <= {"key", "variadic"}
        counts[mode] = (len(found["sites"]), found["on_trampolines"])
    calls = counts["direct"][0]
    assert counts["direct"] == (calls, {}) and calls >= 4
    assert counts["inline-asm"] == (calls - 1, {"variadic": 1})
    assert counts["trampoline"] == (0, {"key": calls - 1, "variadic": 1})
    assert attempt([*INSPECT, "--strict", "prog"]).returncode == 1


@pytest.mark.parametrize("mode", ["direct", "inline-asm", "trampoline"])
def test_objects_and_libraries(mode: str, project: Path) -> None:
    launched("gcc-12", "-O1", "-fPIC", INCLUDE, "-c", "other.c", options=("--mode", mode))
    run(["gcc-12", "-shared", "other.o", "-o", "other.so", "-Wl,--unresolved-symbols=ignore-all"])
    for name in ("other.o", "other.so"):
        (found,) = inspected(name)
        assert [site["key"] for site in found["sites"]] == ([] if mode == "trampoline" else ["key"]), name
    (found,) = inspected("other.o")
    assert found["on_trampolines"] == ({"key": 1} if mode == "trampoline" else {})


def test_how_many_bare_sites_the_rule_of_2018_leaves_out(project: Path) -> None:
    body = "".join(f"int f{n}(int x) {{ return called(x) * {n} + x / {n + 1}; }}\n" for n in range(300))
    Path("many.c").write_text('#include "keys.h"\n' + body)
    shares = {}
    for layout in ("aligned", "bare"):
        options = ("--mode", "direct", "--layout", layout)
        launched("gcc-12", "-O1", "-fPIC", INCLUDE, "-c", "many.c", options=options)
        run(["gcc-12", "-shared", "many.o", "-o", "many.so", "-Wl,--unresolved-symbols=ignore-all"])
        (found,) = inspected("many.so")
        assert len(found["sites"]) == 300
        shares[layout] = sum(site["crosses"] for site in found["sites"])
    # 3 of 64 offsets on average.
    assert shares["aligned"] == 0 < shares["bare"] < 45
    assert "which stay on their trampoline" in run([*INSPECT, "many.so"])


def test_what_is_no_binary(project: Path) -> None:
    done = attempt([*INSPECT, "main.c"])
    assert done.returncode == 2 and "[IN011]" in done.stderr and "main.c" in done.stderr
    assert attempt([*INSPECT]).returncode == 2
