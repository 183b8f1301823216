# SPDX-License-Identifier: MIT
"""What SECURITY.md promises against somebody who can write to data: nothing that steers the runtime lies there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.runtime.hosts import facts
from tests.runtime.linking import ALIGNED, COMPACT, TRAMPOLINE, compiled, rewritten
from tests.toolchain import run, runtime_object

DATA = re.compile(r"^([0-9a-f]+) ([0-9a-f]+) [bBdD] (\S+)$", re.M)


def variables(program: Path, runtime: Path) -> dict[str, str]:
    """The runtime's own in the program: name -> ADDRESS:SIZE."""
    own = {name for _, _, name in DATA.findall(run(["nm", "-S", runtime]))}
    return {name: f"{at}:{size}" for at, size, name in DATA.findall(run(["nm", "-S", program])) if name in own}


@pytest.mark.parametrize("when", ["open", "sealed"])
@pytest.mark.parametrize("form", [ALIGNED, COMPACT, TRAMPOLINE], ids="-".join)
def test_writes_to_data_steer_nothing(form: tuple[str, str], when: str, tmp_path: Path) -> None:
    out = rewritten(tmp_path / "out", "attack.c", form=form)
    runtime = runtime_object("gcc-12", "-O1")
    program = compiled(
        "gcc-12", "-O1", out / "attack.c", runtime, "-Wl,-z,now", "-pthread", "-o", tmp_path / "attack"
    )
    found = variables(program, runtime)
    assert {"__static_call_state", "statistics", "failure", "holder", "references"} <= found.keys()
    said = facts(program, when, *found.values())
    # The state, a page, is closed; what is left are counters, buffers, the lock.
    assert int(said["closed"]) >= 32 and int(said["writable"]) > 16
    assert int(said["fine"]) > 2 * int(said["writable"])


def test_no_code_pointer_is_in_writable_memory(tmp_path: Path) -> None:
    """By the relocations of the object that programs link: nothing in .data or .bss leads anywhere."""
    for compiler in ("gcc-12", "clang-19"):
        said = run(["readelf", "-rW", runtime_object(compiler, "-O2", "-fPIC")])
        sections = re.findall(r"^Relocation section '\.rela(\.data\S*|\.bss\S*|\.tdata\S*)'", said, re.M)
        assert sections and all(name.startswith(".data.rel.ro") for name in sections), sections
