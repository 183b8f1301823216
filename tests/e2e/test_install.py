# SPDX-License-Identifier: MIT
"""`make install`, as a distribution runs it: into DESTDIR; used from where it then is; taken away again."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from instrument.commands import COMMANDS
from tests.toolchain import ROOT, attempt, run

HOOK = ROOT / "tests" / "golden" / "cases" / "hook" / "hook.c"
SAID = "hello, world\ngoodbye, world\n"
ABI = [
    "__static_call_cold",
    "__static_call_return0",
    "__static_call_rt_commit",
    "__static_call_rt_each_key",
    "__static_call_rt_each_site",
    "__static_call_rt_init",
    "__static_call_rt_last_failure",
    "__static_call_rt_register",
    "__static_call_rt_seal",
    "__static_call_rt_statistics",
    "__static_call_rt_unregister",
    "static_call_protocol_reason",
    "static_call_set_folding",
    "static_call_set_protocol",
    "static_call_trust_blocked_threads",
]
"""Of libstaticcall.so.1. To add a name is a minor version; to take one away, or change what it means, is .so.2."""


def make(goal: str, prefix: Path, *variables: str) -> str:
    places = (f"PREFIX={prefix}", f"LIBDIR={prefix}/lib/triplet", f"LIBRARY_BUILD={prefix.parent}/build")
    words = (*places, f"PYTHON={sys.executable}", "CC=gcc-12", *variables)
    command = ["make", "-s", "-C", str(ROOT), goal, *words]
    # As careful as a hardened machine's root: what is installed is for everybody all the same.
    return run(["sh", "-c", 'umask 077; exec "$@"', "sh", *command], MAKEFLAGS="", CFLAGS="-O1")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What was installed into DESTDIR, where it belongs."""
    folder = tmp_path_factory.mktemp("install")
    make("install", folder / "usr", f"DESTDIR={folder / 'dest'}")
    (folder / "dest" / str(folder / "usr").lstrip("/")).rename(folder / "usr")
    yield folder / "usr"
    make("uninstall", folder / "usr")
    make("uninstall", folder / "usr")
    left = {str(path.relative_to(folder / "usr")) for path in (folder / "usr").rglob("*")}
    assert left == {"bin", "include", "lib", "lib/triplet", "share", "share/man", "share/man/man1"}


def test_everybody_can_read_what_was_installed(prefix: Path) -> None:
    closed = [path for path in prefix.rglob("*") if not path.is_symlink() and not path.stat().st_mode & 0o004]
    assert not closed and os.access(prefix / "bin" / "instrument", os.X_OK)


def test_pages_and_completions_come_along_and_nothing_compiled(prefix: Path) -> None:
    share = prefix / "share"
    pages = {path.name for path in (share / "man" / "man1").iterdir()}
    assert pages == {"instrument.1", *(f"instrument-{command}.1" for command in COMMANDS)}
    for place in ("bash-completion/completions/instrument", "zsh/site-functions/_instrument",
                  "fish/vendor_completions.d/instrument.fish"):  # fmt: skip
        assert "patched-only" in (share / place).read_text(), place
    # lintian: package-installs-python-pycache-dir. Before the tool has run from there, that is.
    assert make("install", prefix, f"DESTDIR={prefix.parent / 'again'}") == ""
    assert not list((prefix.parent / "again").rglob("__pycache__"))


def test_with_a_python_without_the_dependencies_that_is_told(prefix: Path, tmp_path: Path) -> None:
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"])
    told = make("install", tmp_path / "usr", f"PYTHON={tmp_path / 'venv' / 'bin' / 'python'}")
    assert told.endswith("/usr/bin/instrument doctor tells what to install\n")
    assert run([tmp_path / "usr" / "bin" / "instrument", "inspect", "--help"]).startswith("usage: instrument inspect")
    for wrong, why in (("PREFIX=usr", "is no absolute path"), ("PREFIX=/u s", "a path has a blank"),
                       ("PYTHON=no-such-python", "no-such-python")):  # fmt: skip
        done = attempt(["make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path / 'd'}", wrong], MAKEFLAGS="")
        assert done.returncode and why in done.stderr and not (tmp_path / "d").exists()


def flags(prefix: Path, *asked: str) -> list[str]:
    return run(["pkg-config", *asked, "staticcall"], PKG_CONFIG_PATH=f"{prefix}/lib/triplet/pkgconfig").split()


@pytest.mark.parametrize("mode", ["copy", "direct"])
def test_a_program_is_built_from_what_was_installed(prefix: Path, tmp_path: Path, mode: str) -> None:
    tool, source = prefix / "bin" / "instrument", HOOK
    compiler = ["gcc-12"]
    if mode == "copy":
        run([tool, HOOK, "-o", tmp_path / "out"], cwd=tmp_path)
        source = tmp_path / "out" / "hook.c"
    else:
        compiler = [str(tool), "cc", "--mode", "direct", "--", "gcc-12"]
    run([*compiler, *flags(prefix, "--cflags"), "-c", source, "-o", "hook.o"], cwd=tmp_path)
    run(["gcc-12", "hook.o", *flags(prefix, "--libs"), "-o", "shared"], cwd=tmp_path)
    assert "libstaticcall.so.1" in run(["readelf", "-d", tmp_path / "shared"])
    assert run([tmp_path / "shared"], LD_LIBRARY_PATH=f"{prefix}/lib/triplet") == SAID
    run(["gcc-12", "hook.o", "-static", *flags(prefix, "--static", "--libs"), "-o", "static"], cwd=tmp_path)
    assert run([tmp_path / "static"]) == SAID


def test_the_library_exports_the_recorded_names_and_no_other(prefix: Path) -> None:
    library = prefix / "lib" / "triplet" / "libstaticcall.so"
    names = re.findall(r" [TVWBD] (\S+)", run(["nm", "-D", "--defined-only", library]))
    assert sorted(names) == [f"{name}@@STATICCALL_1" for name in sorted(ABI)]
    assert "SONAME) " in (told := run(["readelf", "-d", library])) and "[libstaticcall.so.1]" in told


def test_what_the_headers_declare_is_exported() -> None:
    names = ("static_call_object.h", "static_call_runtime.h")
    headers = "".join((ROOT / "c_runtime" / "include" / name).read_text() for name in names)
    declared = re.findall(r"^(?:extern )?(?:const )?\w+ \*?((?:__)?static_call_\w+)\(", headers, re.MULTILINE)
    assert sorted(declared) == sorted(ABI)


def test_cmake_finds_it(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(p C)\nfind_package(StaticCall 0.1 REQUIRED)\n"
        f"add_executable(prog {HOOK})\ntarget_static_call(prog MODE trampoline)\n"
    )
    folder = f"{prefix}/lib/triplet/cmake/StaticCall"
    environment = {"PATH": "/usr/bin:/bin", "CC": "gcc-12", "StaticCall_DIR": folder}
    run(["cmake", "-S", ".", "-B", "b"], cwd=tmp_path, **environment)
    run(["cmake", "--build", "b"], cwd=tmp_path, **environment)
    assert run([tmp_path / "b" / "prog"]) == SAID


def test_gdb_loads_its_script_with_the_library(prefix: Path, tmp_path: Path) -> None:
    launched = (prefix / "bin" / "instrument", "cc", "--", "gcc-12")
    run([*launched, *flags(prefix, "--cflags"), "-c", HOOK, "-o", "hook.o"], tmp_path)
    run(["gcc-12", "hook.o", *flags(prefix, "--libs"), "-o", "prog"], tmp_path)
    scripts = f"{prefix}/share/gdb/auto-load"
    commands = (f"set auto-load scripts-directory {scripts}", f"add-auto-load-safe-path {scripts}")
    words = [word for command in commands for word in ("-iex", command)]
    words += ["-ex", "break main", "-ex", "run", "-ex", "info static-calls"]
    told = run(["gdb", "-nx", "-batch", *words, tmp_path / "prog"], LD_LIBRARY_PATH=f"{prefix}/lib/triplet")
    assert re.search(r"^greet +hello\b", told, re.MULTILINE), told
