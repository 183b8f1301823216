# SPDX-License-Identifier: MIT
"""Transactions, the seal, a million sites, and pages that are never left writable and executable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.toolchain import (
    FORMS,
    INCLUDE,
    RUNTIME,
    RUNTIME_PROGRAMS,
    WARNINGS,
    build,
    instrument,
    instrumented,
    program_sources,
    run,
)

PATCHED = "-DPATCHED"
SEAL_SOURCES = [RUNTIME_PROGRAMS / name for name in ("tx_seal.c", "tx_seal.h", "tx_seal_library.c")]


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_all_or_nothing(mode: str, layout: str, tmp_path: Path) -> None:
    flags = ("-O1", PATCHED, "-Wl,--wrap=realloc")
    prog = build("gcc-12", instrumented("tx_many", tmp_path / "out", mode, layout), tmp_path / "prog", *flags)
    for protocol in ("auto", "int3-push", "int3-resume", "int3-stub"):
        run([prog], STATIC_CALL_PROTOCOL=protocol)
    if layout == "aligned":
        run([prog], STATIC_CALL_PROTOCOL="atomic")


def test_the_same_transactions_without_the_tool(tmp_path: Path) -> None:
    run([build("gcc-12", program_sources("tx_many"), tmp_path / "prog", "-O2", "-Wl,--wrap=realloc")])
    alone = tmp_path / "alone"
    run(["gcc-12", "-std=gnu11", *WARNINGS, INCLUDE, *program_sources("tx_many"), "-Wl,--wrap=realloc", "-o", alone])
    run([alone])


def test_a_million_sites_in_one_commit(tmp_path: Path) -> None:
    """Twice while a thread calls through them, and once alone, by stores and by int3."""
    sources = instrumented("tx_million", tmp_path / "out", "inline-asm", "aligned")
    sites = RUNTIME_PROGRAMS / "tx_million_sites.S"
    prog = build("gcc-12", [*sources, sites], tmp_path / "prog", "-O1")
    for protocol in ("auto", "int3-push"):
        run([prog], timeout=600, STATIC_CALL_PROTOCOL=protocol)


def build_seal(folder: Path, mode: str, layout: str, *flags: str) -> tuple[Path, Path]:
    """The program, and the library that it opens."""
    done = instrument(*SEAL_SOURCES, "-o", folder / "out", "--mode", mode, "--layout", layout, "-q")
    assert done.returncode == 0, done.stderr
    runtime, thread = RUNTIME
    library = folder / "library.so"
    run(["gcc-12", *WARNINGS, "-fPIC", "-shared", INCLUDE, folder / "out/tx_seal_library.c", "-o", library])
    prog = folder / "prog"
    source = folder / "out/tx_seal.c"
    run(["gcc-12", "-g", *WARNINGS, PATCHED, *flags, INCLUDE, source, runtime, thread, "-rdynamic", "-o", prog])
    return prog, library


def seal_address(prog: Path, base: int) -> str:
    """Where the runtime's own state is, with the flag in it, from the program's start."""
    symbols = re.findall(r"^([0-9a-f]+) [dD] __static_call_state$", run(["nm", prog]), re.M)
    assert len(symbols) == 1, "the runtime's state is called otherwise now"
    return f"{int(symbols[0], 16) - base:x}"


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_sealed(mode: str, layout: str, tmp_path: Path) -> None:
    prog, library = build_seal(tmp_path, mode, layout)
    address = seal_address(prog, 0)
    for protocol in ("auto", "int3-push"):
        run([prog, library, address], STATIC_CALL_PROTOCOL=protocol)


@pytest.mark.parametrize("flags", [("-no-pie", "-fno-pie"), ("-Wl,-z,now",), ("-fuse-ld=gold",)], ids="".join)
def test_sealed_however_it_is_linked(flags: tuple[str, ...], tmp_path: Path) -> None:
    prog, library = build_seal(tmp_path, "inline-asm", "aligned", *flags)
    start = re.search(r"^([0-9a-f]+) \S __executable_start$", run(["nm", prog]), re.M)
    assert start
    run([prog, library, seal_address(prog, int(start[1], 16))])


def test_sealed_and_static(tmp_path: Path) -> None:
    done = instrument(*SEAL_SOURCES[:2], "-o", tmp_path / "out", "--mode", "inline-asm", "-q")
    assert done.returncode == 0, done.stderr
    for flag in ("-static", "-static-pie"):
        sources = (tmp_path / "out/tx_seal.c", RUNTIME[0])
        run(["gcc-12", "-w", PATCHED, flag, INCLUDE, *sources, "-pthread", "-o", tmp_path / "prog"])
        run([tmp_path / "prog"])


def test_sealed_without_the_tool(tmp_path: Path) -> None:
    """With the runtime and without; and a plain library in a plain program."""
    program, _, library = SEAL_SOURCES
    run(["gcc-12", *WARNINGS, "-fPIC", "-shared", INCLUDE, library, "-o", tmp_path / "library.so"])
    for name, runtime in (("with", RUNTIME), ("without", ())):
        prog = tmp_path / name
        run(["gcc-12", *WARNINGS, INCLUDE, program, *runtime, "-rdynamic", "-o", prog])
        run([prog, tmp_path / "library.so"])


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_no_page_is_left_writable_and_executable(mode: str, layout: str, tmp_path: Path) -> None:
    prog = build("gcc-12", instrumented("tx_maps", tmp_path / "out", mode, layout), tmp_path / "prog", "-O1")
    for protocol in ("auto", "int3-push"):
        run([prog], STATIC_CALL_PROTOCOL=protocol)
        run([prog, "mem"], STATIC_CALL_PROTOCOL=protocol)


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_init_directs_every_call(mode: str, layout: str, tmp_path: Path) -> None:
    sources = instrumented("init", tmp_path / "out", mode, layout)
    prog = build("gcc-12", sources, tmp_path / "prog", "-O2", "-fno-builtin")
    # The hook's site; then the other sites. libc's function is out of reach: its trampoline, which went by the PLT,
    # now goes through the slot, and so does its site, by the trampoline's second jump.
    assert run([prog]) == ("init: 1 then 5\n" if mode == "inline-asm" else "init: 0 then 1\n")


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_updates_from_handlers_and_forked_children(mode: str, layout: str, tmp_path: Path) -> None:
    prog = build("gcc-12", instrumented("signals", tmp_path / "out", mode, layout), tmp_path / "prog", "-O2")
    for protocol in ("auto", "int3-push"):
        run([prog], STATIC_CALL_PROTOCOL=protocol)
