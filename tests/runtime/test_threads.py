# SPDX-License-Identifier: MIT
"""What threads and processes do while calls are changed: begin, end, fork, jump, are cancelled, update as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.linking import ALIGNED, COMPACT, TRAMPOLINE, Runtime, compiled, ran, rewritten, runtime

PROGRAMS = ("thr_init", "thr_updaters", "thr_churn", "thr_fork", "thr_spawn", "thr_jump")
HEADERS = ("thr_run.h", "obj_check.h")
BUILDS = {
    "aligned": (ALIGNED, "gcc-12"),
    "compact": (COMPACT, "gcc-12"),
    "trampoline": (TRAMPOLINE, "gcc-12"),
    "clang": (ALIGNED, "clang-14"),
}
INT3 = ("int3-push", "int3-resume", "int3-stub")
RUNS = [
    *((name, "aligned", protocol) for name in PROGRAMS for protocol in ("auto", *INT3)),
    *((name, "compact", protocol) for name in PROGRAMS for protocol in ("int3-push", "int3-resume")),
    *((name, "trampoline", "int3-push") for name in ("thr_init", "thr_updaters", "thr_jump")),
    *((name, "clang", "int3-push") for name in ("thr_init", "thr_jump")),
    *((name, "aligned", "atomic") for name in ("thr_init", "thr_updaters", "thr_jump")),
]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("threads")


@pytest.fixture(scope="module")
def rt(scratch: Path) -> Runtime:
    return runtime(scratch)


def program(scratch: Path, rt: Runtime, name: str, how: str) -> Path:
    """One of PROGRAMS, built once a module."""
    form, cc = BUILDS[how]
    out = scratch / how
    if not out.exists():
        rewritten(out, *(f"{each}.c" for each in PROGRAMS), *HEADERS, form=form, cc=cc)
    made = out / name
    return made if made.exists() else compiled(cc, out / f"{name}.c", rt.object, "-pthread", "-o", made)


@pytest.mark.parametrize(("name", "how", "protocol"), RUNS)
def test_threads(name: str, how: str, protocol: str, scratch: Path, rt: Runtime) -> None:
    ran(program(scratch, rt, name, how), STATIC_CALL_PROTOCOL=protocol)


@pytest.mark.parametrize("cc", ["gcc-12", "clang-14"])
@pytest.mark.parametrize("flags", ["", "-fexceptions"])
def test_cancellation_out_of_a_target(flags: str, cc: str, rt: Runtime, tmp_path: Path) -> None:
    """With -fexceptions the callers' cleanups run, since the tool leaves such calls to the trampoline."""
    out = rewritten(tmp_path / "out", "thr_cancel.c", *HEADERS, cc=cc, flags=flags)
    rewritten_call = "__SCW__thr_cancel(how)" in (out / "thr_cancel.c").read_text()
    assert rewritten_call == (not flags)
    built = compiled(cc, *flags.split(), out / "thr_cancel.c", rt.object, "-pthread", "-o", tmp_path / "cancel")
    for protocol in ("auto", "int3-push"):
        ran(built, STATIC_CALL_PROTOCOL=protocol)


@pytest.mark.parametrize("protocol", ["auto", "int3-push"])
def test_the_program_ends_while_threads_update(protocol: str, rt: Runtime, tmp_path: Path) -> None:
    out = rewritten(tmp_path / "out", "thr_exit.c", "thr_exit_lib.c", *HEADERS)
    library = compiled("gcc-12", "-shared", "-fPIC", out / "thr_exit_lib.c", "-o", tmp_path / "libslow.so")
    link = (rt.object, "-pthread", "-Wl,--no-as-needed", library, f"-Wl,-rpath,{tmp_path}")
    built = compiled("gcc-12", out / "thr_exit.c", *link, "-o", tmp_path / "exit")
    for _ in range(5):
        assert ran(built, STATIC_CALL_PROTOCOL=protocol) == ("", "")
