# SPDX-License-Identifier: MIT
"""Every way to write a call: instrumented in both modes by both compilers, run, and told in the census."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import census
from tests.layouts import LAYOUTS
from tests.toolchain import COMPILERS, INCLUDE, ROOT, RUNTIME, instrument, run

HERE = ROOT / "tests" / "spellings"
MODES = ("inline-asm", "trampoline")
LEVELS = ("-O0", "-O2")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-function")


class Program(NamedTuple):
    """Its files, and the flags that they need because they are odd, not because of the tool."""

    sources: tuple[str, ...]
    flags: tuple[str, ...] = ()


PROGRAMS = {
    "hooks": Program(("hooks.c", "hooks_last.c", "hooks.h")),
    "vcpu": Program(("vcpu.c", "vcpu.h", "vcpu_ops.h")),
    "trace": Program(("trace.c",)),
    "security": Program(("security.c",)),
    "resched": Program(("resched.c",)),
    "newer": Program(("newer.c",)),
    "places": Program(("places.c",), ("-Wno-old-style-definition", "-Wno-unused-value")),
    "values": Program(("values.c",), ("-Wno-unused-value", "-Wno-address")),
    "effects": Program(("effects.c",)),
    "branches": Program(("branches.c",)),
    "old": Program(("old.c",), ("-Wno-unused-value",)),
    "old_only": Program(("old_only.c",)),
    "names": Program(("names.c",)),
    "lexis": Program(("lexis.c",), ("-w",)),
    "trigraphs": Program(("trigraphs.c",), ("-std=c11", "-w")),
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime, compiled once for all."""
    binary = tmp_path_factory.mktemp("runtime") / "runtime.o"
    run(["gcc-12", "-O2", "-c", RUNTIME[0], "-o", binary])
    return binary


def runs(
    tree: Path, program: Program, compiler: str, runtime: Path, place: Path, levels: tuple[str, ...] = LEVELS
) -> None:
    """The program, compiled at each level without a warning, finds nothing wrong."""
    sources = [tree / name for name in program.sources if name.endswith(".c")]
    for level in levels:
        binary = place / f"prog{level}"
        flags = ("-std=gnu11", *WARNINGS, level, *program.flags)
        run([compiler, *flags, INCLUDE, *sources, runtime, "-pthread", "-o", binary])
        run([binary])


LAID_OUT = ("places", "old", "security")
LAID_OUT_PROGRAM = Program(tuple(f"{name}.c" for name in LAID_OUT))


def told(tree: Path, out: Path, mode: str, compiler: str, program: Program) -> Mapping[str, Any]:
    sources = [tree / name for name in program.sources]
    done = instrument(*sources, "-o", out, "--mode", mode, "--json", "--", "-std=gnu11", *program.flags, CC=compiler)
    assert done.returncode == 0, done.stderr
    value: Mapping[str, Any] = json.loads(done.stdout)
    return value


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_instrumented(name: str, mode: str, compiler: str, runtime: Path, tmp_path: Path) -> None:
    program = PROGRAMS[name]
    report = told(HERE, tmp_path / "out", mode, compiler, program)
    census.check(report, {path: (HERE / path).read_bytes() for path in program.sources}, tmp_path / "out")
    runs(tmp_path / "out", program, compiler, runtime, tmp_path)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_without_the_tool(name: str, compiler: str, runtime: Path, tmp_path: Path) -> None:
    runs(HERE, PROGRAMS[name], compiler, runtime, tmp_path)


class Reports(dict[tuple[str, str], Mapping[str, Any]]):
    """What is said of the programs as they are, by mode and compiler, each asked for once."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.place = place

    def __missing__(self, how: tuple[str, str]) -> Mapping[str, Any]:
        self[how] = told(HERE, self.place / "-".join(how), *how, LAID_OUT_PROGRAM)
        return self[how]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    return Reports(tmp_path_factory.mktemp("plain"))


def outline(report: Mapping[str, Any]) -> list[list[Any]]:
    same = ("api", "kind", "fate", "keys", "code")
    return [[*(token[name] for name in same), token["key"].replace(" ", "")] for token in report["tokens"]]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("mode", "level"), [("inline-asm", "-O2"), ("trampoline", "-O0")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(
    layout: str, mode: str, level: str, compiler: str, runtime: Path, plain: Reports, tmp_path: Path
) -> None:
    """The same programs in other bytes do the same, and what the census says of them is the same."""
    tree, out = tmp_path / "src", tmp_path / "out"
    tree.mkdir()
    (tree / "check.h").write_bytes((HERE / "check.h").read_bytes())
    for name in LAID_OUT:
        (tree / f"{name}.c").write_bytes(LAYOUTS[layout]((HERE / f"{name}.c").read_bytes()))
    report = told(tree, out, mode, compiler, LAID_OUT_PROGRAM)
    census.check(report, {path: (tree / path).read_bytes() for path in LAID_OUT_PROGRAM.sources}, out)
    assert outline(report) == outline(plain[mode, compiler])
    for name in LAID_OUT:
        runs(out, Program((f"{name}.c",), ("-w",)), compiler, runtime, tmp_path, (level,))


def test_a_call_that_no_token_shows_in_a_function_with_other_registers(tmp_path: Path) -> None:
    """An alias hides where the calls are, so its key takes the trampoline wherever one could be compiled wrongly."""
    (tmp_path / "a.c").write_text(
        "#include <static_call.h>\nstatic int one(int x) { return x + 1; }\n"
        "DEFINE_STATIC_CALL(k, one);\nDEFINE_STATIC_CALL(other, one);\n#define alias static_call\n"
        '__attribute__((target("avx512f"))) int wide(int x) { return alias(k)(x); }\n'
        "int main(void) { return wide(1) + static_call(other)(1) + static_call(k)(1) != 6; }\n"
    )
    report = told(tmp_path, tmp_path / "out", "inline-asm", "gcc-12", Program(("a.c",)))
    assert {key["name"]: key["form"] for key in report["keys"]} == {"k": "trampoline", "other": "inline-asm"}
