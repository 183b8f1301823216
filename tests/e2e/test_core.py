# SPDX-License-Identifier: MIT
"""`instrument inspect` of cores that are not whole, of moments that are not quiet, of programs that are not there."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from instrument import binaries
from instrument.diagnostics import InstrumentError
from tests.e2e.obedient import build, running
from tests.e2e.test_inspect import INSPECT, inspected
from tests.toolchain import attempt, run

HEADER = struct.Struct("<IIQQQQQQ")
SYNCHRONISING = """\
break __static_call_rt_commit
run < in
catch syscall membarrier
continue
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("core"))


@pytest.fixture
def program(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(built, tmp_path))


def dumped(program: Path, kinds: int | None = None) -> Path:
    """A core of after an update; `kinds` of memory are in it as /proc/PID/coredump_filter counts them."""
    with running(program) as it:
        it.tell("fast")
        if kinds is not None:
            Path(f"/proc/{it.pid}/coredump_filter").write_text(f"{kinds:#x}")
        run(["gcore", "-o", program.parent / "core", str(it.pid)])
    return program.parent / f"core.{it.pid}"


def test_the_program_that_is_there_now_must_be_that_of_then(program: Path) -> None:
    core = dumped(program)
    (before,) = inspected(str(core))
    run(["strip", program])
    (stripped,) = inspected(str(core))
    assert [site["bytes"] for site in stripped["sites"]] == [site["bytes"] for site in before["sites"]]
    Path(shutil.copy(build(program.parent, "direct"), program.parent / "new")).rename(program)
    done = attempt([*INSPECT, core])
    assert done.returncode == 2 and f"{program} is another build than the core's" in done.stderr


def test_why_calls_were_left_is_in_the_file(program: Path) -> None:
    (found,) = inspected(str(dumped(program)))
    assert {key["name"]: key["reasons"] for key in found["keys"]}["variadic"] == ["IN022"]


def test_a_core_without_the_memory_says_so(program: Path) -> None:
    done = attempt([*INSPECT, dumped(program, kinds=0x10)])
    assert done.returncode == 2 and "coredump_filter" in done.stderr


def by_kernel(core: Path) -> Path:
    """The same with the notes before the memory, as the kernel writes them; gdb writes them behind it."""
    data = core.read_bytes()
    headers = [
        list(fields) for fields in HEADER.iter_unpack(data[64 : 64 + 56 * int.from_bytes(data[56:58], "little")])
    ]
    at = end = 64 + 56 * len(headers)
    body = bytearray(data[:at])
    for header in sorted(headers, key=lambda header: header[0] == 1):
        _, _, offset, _, _, size, *_ = header
        header[2], end = end, end + size
        body += data[offset : offset + size]
    body[64:at] = b"".join(HEADER.pack(*header) for header in headers)
    core.write_bytes(body)
    return core


def test_a_core_that_is_cut_off_shows_what_it_has(program: Path) -> None:
    cut = dumped(program)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert "it is truncated" in attempt([*INSPECT, cut]).stderr
    core = by_kernel(dumped(program))
    (whole,) = binaries.read(str(core))
    data, seen = core.read_bytes(), set()
    for part in range(1, 16):
        core.write_bytes(data[: len(data) * part // 16])
        try:
            (found,) = binaries.read(str(core))
        except InstrumentError as error:
            assert error.status == 2 and "truncated" in str(error)
            continue
        assert any("truncated" in note for note in found.notes) and not found.wrong
        assert set(found.sites) <= set(whole.sites)
        seen.add(len(found.sites))
    assert len(whole.sites) in seen


@pytest.mark.parametrize("stop", range(1, 4))
def test_a_core_of_the_middle_of_an_update(stop: int, program: Path) -> None:
    """At each of its synchronisations: int3s are there, the rest of the bytes, all bytes but not the key."""
    (program.parent / "in").write_text("fast\n")
    # Each is two stops, at its beginning and its end.
    script = SYNCHRONISING + "continue\n" * (2 * (stop - 1)) + "gcore core\nkill\n"
    (program.parent / "script").write_text(script)
    run(["gdb", "-nx", "-batch", "-x", "script", program], program.parent, STATIC_CALL_PROTOCOL="int3-push")
    done = attempt([*INSPECT, "--strict", program.parent / "core"])
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "note: an update was under way, of step" in done.stdout
    assert ("int3" in done.stdout) == (stop < 3)
