# SPDX-License-Identifier: MIT
"""The oracle's short run: each source by both compilers once, with flags and modes taken in turn."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.oracle.compare import COMPILERS, FLAGS, MODES, Case, differences, some_cases
from tests.oracle.packages import PACKAGES, Package, sources


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_what_has_no_static_call_is_the_compiler_s_own(package: Package, tmp_path: Path) -> None:
    found = {str(case): differences(case, tmp_path / "build") for case in some_cases(package)}
    assert {case: told for case, told in found.items() if told} == {}


def test_every_set_of_flags_and_every_mode_has_its_turn() -> None:
    taken = [case for package in PACKAGES for case in some_cases(package)]
    for compiler in COMPILERS:
        mine = [case for case in taken if case.compiler == compiler]
        assert {case.flags for case in mine} == set(FLAGS)
        assert {(case.modes, case.mentions) for case in mine} == {
            ((mode,), said) for mode in MODES for said in (False, True)
        }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ('exec "$@" -g', "objects/alloc.o differs"),
        ('"$@" && echo " more" >>deps/alloc.d', "deps/alloc.d differs"),
        ('"$@" && rm deps/alloc.d', "deps/alloc.d is missing"),
        ('"$@" && touch left', "src/left is one too many"),
        ('echo hello; exec "$@"', "says 'hello"),
        ('"$@"; exit 3', "exit status 3 in place of 0"),
    ],
)
def test_the_oracle_sees_what_a_launcher_does(change: str, told: str, tmp_path: Path) -> None:
    launcher = tmp_path / "launcher"
    launcher.write_text(f"#!/bin/sh\nshift 3\n{change}\n")
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    package = PACKAGES[0]
    (source,) = (path for path in sources(package) if path.name == "alloc.c")
    case = Case(package, source, "gcc-12", "-O0 -MD -MF deps/{name}.d", ("inline-asm",))
    assert any(told in line for line in differences(case, tmp_path / "build", [str(launcher)]))
