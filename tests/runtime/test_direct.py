# SPDX-License-Identifier: MIT
"""The kinds of call site that direct mode has, by hand-written assembly: each kind, layout, offset and change."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.runtime.hosts import INTEL, SHIM, facts
from tests.runtime.linking import HERE, compiled
from tests.runtime.torn import PROTOCOLS
from tests.toolchain import runtime_object

SOURCES = (HERE / "direct_kinds.c", HERE / "direct_sites.S")
WORD = str(int(not INTEL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("direct")


@cache
def made(folder: Path, cc: str = "gcc-12", *flags: str) -> Path:
    own = ("-DSTATIC_CALL_DIRECT", *flags, *SOURCES, *SHIM, runtime_object(cc, "-O2"), "-pthread")
    return compiled(cc, *own, "-o", folder / "-".join(("kinds", cc, *flags)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("cc", "flag"), [("gcc-12", "-pie"), ("clang-19", "-no-pie")])
def test_each_change_of_each_kind(folder: Path, cc: str, flag: str, protocol: str) -> None:
    """Whole at every step; afterwards what is documented stands at each site, and bare sites are never int3."""
    said = facts(made(folder, cc, flag), "changes", WORD, STATIC_CALL_PROTOCOL=protocol)
    assert said["sites"] == "432" and said["atomic_pokes"] != "0"
    assert (said["traps"] == "0") is (said["int3_pokes"] == "0") is (protocol == "atomic")


@pytest.mark.parametrize("protocol", ["atomic", "auto"])
def test_where_one_store_changes_any_form(folder: Path, protocol: str) -> None:
    """As on AMD's processors: valgrind is trusted with the same."""
    valgrind = ("valgrind", "-q", "--error-exitcode=9")
    facts(*valgrind, made(folder), "changes", "1", STATIC_CALL_PROTOCOL=protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("what", ["faults", "bytes", "unwritable"])
def test_what_fails_changes_nothing(folder: Path, what: str, protocol: str) -> None:
    facts(made(folder), what, WORD, STATIC_CALL_PROTOCOL=protocol)


@pytest.mark.parametrize("protocol", ["int3-push", "int3-resume"])
def test_with_a_shadow_stack(folder: Path, protocol: str) -> None:
    """Pretended. Only a call needs its stub there; a jump pushes nothing."""
    shadowed = (runtime_object("gcc-12", "-O2", "-DSTATIC_CALL_SHADOW_STACK=1"), "-pthread")
    program = compiled("gcc-12", "-DSTATIC_CALL_DIRECT", *SOURCES, *SHIM, *shadowed, "-o", folder / "shadowed")
    assert facts(program, "changes", WORD, STATIC_CALL_PROTOCOL=protocol)["traps"] != "0"


@pytest.mark.parametrize("protocol", ["auto", "int3-push"])
def test_sites_of_a_library(folder: Path, protocol: str, tmp_path: Path) -> None:
    """Jumps and branches go to a PLT entry, and the program's functions are out of their reach."""
    (tmp_path / "tables.c").write_text("#include <static_call.h>\n")
    parts = ("-DSTATIC_CALL_DIRECT", "-fPIC", tmp_path / "tables.c", SOURCES[1])
    library = compiled("gcc-12", "-shared", *parts, "-o", tmp_path / "libsites.so")
    rest = (SOURCES[0], *SHIM, runtime_object("gcc-12", "-O2"), library, f"-Wl,-rpath,{tmp_path}", "-pthread")
    program = compiled("gcc-12", "-DSTATIC_CALL_DIRECT", *rest, "-o", tmp_path / "kinds")
    said = facts(program, "changes", WORD, STATIC_CALL_PROTOCOL=protocol)
    assert said["sites"] == "432" and said["traps"] != "0"
