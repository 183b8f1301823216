# SPDX-License-Identifier: MIT
"""The Makefile hook: make, the compiler and the file system are real, the steps are those of fakes.py."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit import fakes
from tests.unit.fakes import MAIN, PROJECT

MAKEFILE = """\
CFLAGS = -O1 -I inc -isystem ./sys
CPPFLAGS = -DCPP
STATIC_CALL_SRCS := main.c ops.c sub/far.c
include $(shell instrument --makefile)
prog: main.o ops.o sub/far.o
	$(CC) -o $@ $^ $(STATIC_CALL_LIBS)
clean: static_call_clean
	rm -f prog
"""


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the working directory, built once."""
    tool = tmp_path / "bin/instrument"
    words = " ".join(f"'{word}'" for word in fakes.command(fakes.runtime(tmp_path / "runtime")))
    fakes.lay(tmp_path, {"bin/instrument": f'#!/bin/sh\nexec {words} "$@"\n'})
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    main = MAIN.replace("go)(", "go)(FAR + ").replace('"ops.h"\n', '"ops.h"\n#include <far.h>\n')
    files = {
        **PROJECT,
        "main.c": main,
        "sub/far.c": "#include <far.h>\nint far = FAR;\n",
        "inc/far.h": "#include <near.h>\n#define FAR NEAR\n",
        "sys/near.h": "#define NEAR 0\n",
    }
    root = fakes.lay(tmp_path / "project", {**files, "Makefile": MAKEFILE})
    monkeypatch.chdir(root)
    assert make("-j2") == {"instrument", "main.o", "ops.o", "sub/far.o", "static_call_runtime.o", "prog"}
    assert subprocess.run(["./prog"], check=False).returncode == 0
    return root


def make(*words: str) -> set[str]:
    """What `make` made."""
    time.sleep(0.02)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", *words], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    commands = done.stdout.replace("\\\n", " ").splitlines()
    made = {
        line.partition(" -o ")[2].split()[0] for line in commands if " -o " in line and " instrument " not in line
    }
    return made | {"instrument" for line in commands if " instrument " in line}


def touch(name: str) -> None:
    time.sleep(0.02)
    Path(name).touch()


def test_make_has_nothing_to_do_twice(built: Path) -> None:
    assert make() == set()
    assert make("-q") == set()


def test_a_header_rebuilds_what_includes_it(built: Path) -> None:
    touch("ops.h")
    assert make("-j2") == {"instrument", "main.o", "ops.o", "prog"}
    assert make("-q") == set()
    touch("inc/far.h")
    assert make("-j2") == {"instrument", "main.o", "sub/far.o", "prog"}
    assert make("-q") == set()


def test_a_source_rebuilds_itself(built: Path) -> None:
    touch("sub/far.c")
    assert make("-j2") == {"instrument", "sub/far.o", "prog"}
    assert make("-q") == set()


def test_a_change_in_a_mirrored_header_reaches_the_program(built: Path) -> None:
    Path("inc/far.h").write_text("#define FAR 5\n")
    make()
    assert subprocess.run(["./prog"], check=False).returncode == 5


def test_search_paths_of_the_system_kind_are_mirrored_too(built: Path) -> None:
    done = subprocess.run(["make", "-B", "-n"], capture_output=True, text=True, check=True)
    assert "-isystem.static_call/./sys" in done.stdout


def test_a_deleted_copy_is_made_again(built: Path) -> None:
    for name in ("ops.c", "static_call/runtime/static_call_runtime.c"):
        Path(".static_call", name).unlink()
        assert "instrument" in make("-j2")
        assert make("-q") == set()


def test_the_runtime_gets_no_header_of_the_users(built: Path) -> None:
    done = subprocess.run(["make", "-B", "-n"], capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.replace("\\\n", " ").splitlines() if " -o static_call_runtime.o" in line]
    assert "-DCPP" not in line and "-O1" in line


def test_another_mode_rebuilds(built: Path) -> None:
    assert make("STATIC_CALL_MODE=trampoline") == {"instrument", "main.o", "prog"}
    assert make("-q", "STATIC_CALL_MODE=trampoline") == set()
    assert make() == {"instrument", "main.o", "prog"}


def test_a_deleted_header_stops_no_build(built: Path) -> None:
    for name in ("main.c", "ops.c"):
        text = Path(name).read_text().replace('#include "ops.h"', "int go(int);\n#define ZERO 0")
        Path(name).write_text(text)
    Path("ops.h").unlink()
    assert "main.o" in make("-j2")
    assert make("-q") == set()


def test_the_default_goal_is_the_users(built: Path) -> None:
    done = subprocess.run(["make", "-pq"], capture_output=True, text=True, check=False)
    assert ".DEFAULT_GOAL := prog" in done.stdout


def test_clean_leaves_the_sources(built: Path) -> None:
    make("clean")
    assert {str(path) for path in Path().rglob("*") if path.is_file()} == {
        "Makefile", "main.c", "ops.c", "ops.h", "sub/far.c", "inc/far.h", "sys/near.h",
    }  # fmt: skip


def test_clean_in_a_clean_tree_runs_no_tool(built: Path) -> None:
    make("clean")
    assert make("clean") == set()


def test_a_failing_tool_stops_the_build_again_and_again(built: Path) -> None:
    Path("main.c").write_text(MAIN.replace("(go)", "(slow)"))
    for _ in range(2):
        done = subprocess.run(["make", "STATIC_CALL_FLAGS=--strict"], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "[IN022]" in done.stderr


def test_an_error_in_one_file_stops_the_build_until_it_is_mended(built: Path) -> None:
    time.sleep(0.02)
    Path("main.c").write_text(MAIN.replace("(go)", "(bad)"))
    for _ in range(2):
        done = subprocess.run(["make", "-k"], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "[IN002]" in done.stderr
        assert not Path(".static_call/main.c").exists()
    # Times do not tell that it is mended: what is put back is older than everything.
    Path("main.c").write_text(MAIN)
    os.utime("main.c", ns=(10**18, 10**18))
    assert {"instrument", "main.o", "prog"} <= make("-j2")
    assert make("-q") == set()
