# SPDX-License-Identifier: MIT
"""Failing closed (issue 4, point 5): whatever fails in an update, and wherever its thread ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.hosts import FORMS, facts, made, tried
from tests.runtime.linking import ALIGNED, COMPACT, HERE, TRAMPOLINE, compiled, rewritten

INT3 = ("int3-push", "int3-resume", "int3-stub")
RUNS = (
    *((form, protocol) for form in (ALIGNED, COMPACT) for protocol in ("auto", *INT3)),
    (ALIGNED, "atomic"),
    (TRAMPOLINE, "auto"),
    (TRAMPOLINE, "int3-push"),
)
WRITES = {"mprotect": "1", "memory": "2"}
SAME = (*((form, "int3-resume", "memory") for form in (ALIGNED, COMPACT)), (TRAMPOLINE, "int3-push", "memory"))
CASES = [
    (*run, write) for run in RUNS for write in WRITES if (*run, write) not in ((ALIGNED, "atomic", "memory"), *SAME)
]
cases = pytest.mark.parametrize(("form", "protocol", "write"), CASES, ids=["-".join((*f, p, w)) for f, p, w in CASES])
"""Without mprotect all writing is by int3: `atomic` is refused, and others do what `int3-push` or `auto` does."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


def run(folder: Path, mode: str, form: tuple[str, str], protocol: str, write: str) -> dict[str, str]:
    """What is checked at each step is in fault_update.c."""
    return facts(made(folder, "fault_update", form), mode, write, STATIC_CALL_PROTOCOL=protocol)


@cases
def test_each_call_fails_once(folder: Path, form: tuple[str, str], protocol: str, write: str) -> None:
    """Old target, whole, everywhere; the errno; a reason; no open page; and the next update works."""
    said = run(folder, "once", form, protocol, write)
    assert int(said["failed"]) >= 6 and said["write"] == WRITES[write] and int(said["calls"]) > 0


@cases
def test_each_kind_of_call_goes_on_failing(folder: Path, form: tuple[str, str], protocol: str, write: str) -> None:
    """No crash and no torn call; once it works again, so do updates."""
    assert int(run(folder, "persistent", form, protocol, write)["failed"]) >= 6


@cases
def test_the_updater_ends_between_two_steps(folder: Path, form: tuple[str, str], protocol: str, write: str) -> None:
    """The next update, another thread's, repairs what is left."""
    said = run(folder, "killed", form, protocol, write)
    assert int(said["repairs"]) >= 6 and int(said["calls"]) > 0


@cases
def test_a_fault_of_the_update_itself(folder: Path, form: tuple[str, str], protocol: str, write: str) -> None:
    """SIGFPE and SIGSEGV at each system call: their handler calls through every key; its updates are -EDEADLK."""
    said = run(folder, "signal", form, protocol, write)
    assert int(said["failed"]) >= 24
    if protocol.startswith("int3") or write == "memory":
        assert int(said["traps"]) > 0


def test_the_updater_ends_between_two_instructions(folder: Path) -> None:
    """Where no system call is: stepped by ptrace through what changes the state that the next update goes by."""
    out = rewritten(folder / "steps", "step_kills.c", "obj_space_lib.c", "host_sites.h", "step_kills.h")
    library = compiled("gcc-12", "-fPIC", "-shared", out / "obj_space_lib.c", "-o", out / "library.so")
    flags = ("-O1", "-fno-inline", "-rdynamic", "-pthread")
    program = compiled("gcc-12", *flags, out / "step_kills.c", HERE / "step_points.c", "-o", out / "step_kills")
    done = tried(program, library, "8", STATIC_CALL_PROTOCOL="int3-push")
    assert done.returncode != 77, "no ptrace here"
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 20


FIRST = [case for case in CASES if case[1] in ("auto", "int3-push")]


@pytest.mark.parametrize("mode", ["first", "first-killed"])
@pytest.mark.parametrize(("form", "protocol", "write"), FIRST, ids=["-".join((*f, p, w)) for f, p, w in FIRST])
def test_the_first_update(folder: Path, form: tuple[str, str], protocol: str, write: str, mode: str) -> None:
    """It also finds the sites, takes memory, the signal and what else the runtime keeps."""
    assert int(run(folder, mode, form, protocol, write)["reached"]) > 10


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_unexpected_bytes(folder: Path, form: tuple[str, str], when: str) -> None:
    """At each site and each trampoline in turn: -EINVAL that names it and its key, no other byte changed."""
    said = facts(made(folder, "fault_bytes", form), when)
    assert said["places"] == ("2" if form == TRAMPOLINE else "8")


@pytest.mark.parametrize("kernel", ["asked", "text", "none"])
def test_targets_that_are_no_code(folder: Path, kernel: str, tmp_path: Path) -> None:
    """-EFAULT, by PROCMAP_QUERY and by the text of /proc/self/maps; without /proc only what is not mapped at all."""
    program = made(folder, "fault_target")
    assert facts("sh", "-c", f'cd {tmp_path} && exec "$0" "$1"', program, kernel)["refused"] == "11"
