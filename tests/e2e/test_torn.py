# SPDX-License-Identifier: MIT
"""Torn updates: four threads call while one updates as fast as it can; each protocol, transition and layout."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.toolchain import FORMS, INCLUDE, ROOT, attempt, build, instrumented, run

MILLISECONDS = str(int(float(os.environ.get("STRESS_SECONDS", "0.15")) * 1000))
PROTOCOLS = ("auto", "int3-push", "int3-resume", "atomic")
TRANSITIONS = [
    ("a", "b"),
    ("a", "null"),
    ("a", "ret0"),
    ("a", "far"),
    ("null", "ret0"),
    ("far", "null"),
    ("far", "ret0"),
    ("far", "far2"),
]


@pytest.fixture(scope="session")
def torn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    mode, layout = request.param
    folder = tmp_path_factory.mktemp("torn")
    return build(
        "gcc-12", instrumented("torn", folder / "out", mode, layout), folder / f"torn-{mode}-{layout}", "-O2"
    )


def documented_by_processor() -> bool:
    vendor = re.search(r"vendor_id\s*:\s*(\S+)", Path("/proc/cpuinfo").read_text())
    return vendor is not None and vendor[1] in ("AuthenticAMD", "HygonGenuine")


def refused(binary: Path, protocol: str, transition: tuple[str, str]) -> bool:
    """Whether `atomic` must say no: compact sites always, changes of form where the manual promises nothing."""
    if protocol != "atomic":
        return False
    if "inline-asm-compact" in binary.name:
        return True
    return not documented_by_processor() and transition not in (("a", "b"), ("a", "ret0"))


@pytest.mark.parametrize("transition", TRANSITIONS, ids="-".join)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("torn", FORMS, indirect=True, ids="-".join)
def test_every_call_is_whole(torn: Path, protocol: str, transition: tuple[str, str]) -> None:
    done = attempt([torn, *transition, MILLISECONDS], STATIC_CALL_PROTOCOL=protocol)
    if refused(torn, protocol, transition):
        assert done.returncode == 3, done.stdout + done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    counted = dict(re.findall(r"(\w+) (\d+)", done.stdout))
    assert counted["wrong"] == "0" and int(counted["updates"]) > 10 and int(counted["calls"]) > 1000
    # Three synchronisations an update at the most, however many sites it changes.
    assert int(counted["syncs"]) <= 3 * int(counted["updates"])
    assert counted["sites"] == ("0" if "trampoline" in torn.name else "65")
    if protocol == "atomic":
        assert counted["int3"] == "0"
    if protocol.startswith("int3"):
        assert counted["atomic"] == "0"


def test_a_thread_that_is_late_in_its_trap(tmp_path: Path) -> None:
    """A thread that traps may look only when the next update has put its int3 at the same place: still ours."""
    (late,) = instrumented("torn", tmp_path / "out", "inline-asm", "aligned")
    shutil.copytree(ROOT / "c_runtime", tmp_path / "late")
    handler = tmp_path / "late" / "src" / "trap.c"
    look = "\t\tif (*(const volatile uint8_t *)address != INT3) {\n"
    text = handler.read_text()
    assert text.count(look) == 1
    nap = "\t\tclock_nanosleep(0, 0, &(struct timespec){ 0, 300000 }, NULL);\n"
    handler.write_text("#define _GNU_SOURCE\n#include <time.h>\n" + text.replace(look, nap + look))
    runtime = tmp_path / "late" / "static_call_runtime.c"
    run(["gcc-12", "-O2", "-w", INCLUDE, late, runtime, "-pthread", "-o", tmp_path / "torn"])
    said = run([tmp_path / "torn", "a", "null", "2000"], STATIC_CALL_PROTOCOL="int3-push")
    assert re.search(r"wrong 0 .* stale [1-9]", said), said


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_init_directs_every_call(mode: str, layout: str, tmp_path: Path) -> None:
    sources = instrumented("init", tmp_path / "out", mode, layout)
    prog = build("gcc-12", sources, tmp_path / "prog", "-O2", "-fno-builtin")
    # The hook's site; then the other sites but that of libc's function, which is out of reach: its trampoline,
    # which went by the PLT, now goes through the slot.
    assert run([prog]) == ("init: 1 then 4\n" if mode == "inline-asm" else "init: 0 then 1\n")


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_updates_from_handlers_and_forked_children(mode: str, layout: str, tmp_path: Path) -> None:
    prog = build("gcc-12", instrumented("signals", tmp_path / "out", mode, layout), tmp_path / "prog", "-O2")
    for protocol in ("auto", "int3-push"):
        run([prog], STATIC_CALL_PROTOCOL=protocol)
