# SPDX-License-Identifier: MIT
"""What a program may ask of the runtime: keys, sites, counters, reasons; and targets folded into their sites."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain import FORMS, build, instrumented, run

PROTOCOLS = ("auto", "int3-push", "int3-resume", "int3-stub", "atomic")


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_keys_and_sites(mode: str, layout: str, tmp_path: Path) -> None:
    prog = build("gcc-12", instrumented("inspect_sites", tmp_path / "out", mode, layout), tmp_path / "prog", "-O1")
    compact = -1 if mode == "trampoline" else int(layout == "compact")
    for protocol in ("auto", "int3-push", "int3-stub"):
        run([prog, str(compact)], STATIC_CALL_PROTOCOL=protocol)


@pytest.fixture(scope="module")
def protocol_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("protocol")
    sources = instrumented("inspect_protocol", folder / "out", "inline-asm", "aligned")
    return build("gcc-12", sources, folder / "prog", "-O1")


@pytest.mark.parametrize("asked", [*PROTOCOLS, ""])
def test_each_protocol_has_its_reason(asked: str, protocol_program: Path) -> None:
    first, *rest = run([protocol_program], STATIC_CALL_PROTOCOL=asked).splitlines()
    begun = asked or "auto"
    assert first.startswith(f"{begun}: ") and ("asked for" in first) == (begun != "auto")
    # Set one after the other; then a value that is none changes nothing.
    assert [reason.partition(":")[0] for reason in rest] == [*PROTOCOLS, "atomic"]
    assert len(set(rest)) == len(PROTOCOLS) and first in rest


def test_an_unknown_protocol_is_named(protocol_program: Path) -> None:
    for wrong in ("int3", "AUTO", "atomic ", "0"):
        first = run([protocol_program], STATIC_CALL_PROTOCOL=wrong).splitlines()[0]
        assert first.startswith("auto: STATIC_CALL_PROTOCOL names no protocol")


@pytest.mark.parametrize(
    ("compiler", "layout", "flags"),
    [
        ("gcc-12", "aligned", ("-O2",)),
        ("gcc-12", "compact", ("-Os", "-fcf-protection")),
        ("clang-14", "aligned", ("-Os", "-fcf-protection")),
        ("clang-14", "compact", ("-O2", "-fno-pic", "-no-pie")),
    ],
)
def test_constants_are_folded_where_asked(compiler: str, layout: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    sources = instrumented("inspect_fold", tmp_path / "out", "inline-asm", layout, compiler)
    prog = build(compiler, sources, tmp_path / "prog", *flags)
    for protocol in ("auto", "int3-stub"):
        run([prog, "never"], STATIC_CALL_PROTOCOL=protocol)
        run([prog, "never"], STATIC_CALL_PROTOCOL=protocol, STATIC_CALL_FOLD="yes")
        run([prog, "environment"], STATIC_CALL_PROTOCOL=protocol, STATIC_CALL_FOLD="1")
        run([prog, "program"], STATIC_CALL_PROTOCOL=protocol)


@pytest.fixture(scope="module")
def counters_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counters")
    sources = instrumented("inspect_counters", folder / "out", "inline-asm", "aligned")
    return build("gcc-12", sources, folder / "prog", "-O1")


@pytest.mark.parametrize("what", ["updates", "traps", "fallbacks", "blocked", "membarrier", "mprotect", "killed"])
def test_counters_move(what: str, counters_program: Path) -> None:
    run([counters_program, what])
