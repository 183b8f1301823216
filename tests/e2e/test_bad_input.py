# SPDX-License-Identifier: MIT
"""Bad input gets a clear error with line and code; nothing is half written and no source is touched."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toolchain import INCLUDE, attempt, build, instrument, run

GOOD = (
    "#include <static_call.h>\nstatic int f(int x) { return x; }\nDEFINE_STATIC_CALL(key, f);\n"
    "int main(void) { return static_call(key)(0); }\n"
)
CASES = {
    "unparsable": (GOOD + "int broken( {\n", "a.c:5:13: error:", "IN001", 1),
    "missing include": ('#include "nowhere.h"\n' + GOOD, "a.c:1:10: error:", "IN001", 1),
    "undeclared key": (GOOD.replace("static_call(key)", "static_call(kee)"), "a.c:4:25: error:", "IN002", 1),
    "unclosed call": (GOOD.replace("static_call(key)(0)", "static_call(key(0"), "a.c:4:", "IN0", 1),
}


def state(tree: Path) -> dict[str, str]:
    """Every file but the depfile, which names the output's own place."""
    files = (path for path in tree.rglob("*") if path.is_file() and path.suffix != ".d")
    return {path.relative_to(tree).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.c").write_text(GOOD)
    (tmp_path / "src" / "other.c").write_text("int other;\n")
    return tmp_path / "src"


@pytest.mark.parametrize("case", CASES)
def test_errors_of_the_input(case: str, tree: Path, tmp_path: Path) -> None:
    text, where, code, status = CASES[case]
    (tree / "a.c").write_text(text)
    before = state(tree)
    done = instrument("src", "-o", "out", cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert where in done.stderr and f"[{code}" in done.stderr and done.stdout == ""
    assert state(tree) == before and not (tmp_path / "out").exists()


def test_an_earlier_output_survives_a_failed_run(tree: Path, tmp_path: Path) -> None:
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    before = state(tmp_path / "out")
    (tree / "a.c").write_text(CASES["unparsable"][0])
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 1
    assert state(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("src", "-o", "src/out"), "IN009"),
        (("src", "-o", "src"), "IN009"),
        (("src", "-o", "."), "IN009"),
        (("src", "-o", "a-file/out"), "IN008"),
        (("src", "-o", "/proc/out"), "IN008"),
        (("nothing", "-o", "out"), "IN011"),
        (("src", "-o", "taken"), "IN008"),
    ],
)
def test_errors_of_the_setting(arguments: tuple[str, ...], code: str, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious.txt").write_text("mine")
    before = state(tmp_path)
    done = instrument(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and f"[{code}]" in done.stderr, done.stderr
    assert state(tmp_path) == before


def test_missing_compiler(tree: Path, tmp_path: Path) -> None:
    done = instrument("src", "-o", "out", cwd=tmp_path, CC="no-such-compiler")
    assert done.returncode == 2 and "[IN010]" in done.stderr and not (tmp_path / "out").exists()


def test_killed_at_any_moment_it_leaves_whole_files(tree: Path, tmp_path: Path) -> None:
    for n in range(60):
        (tree / f"more{n}.c").write_text(GOOD.replace("main", f"main{n}").replace("key", f"key{n}"))
    assert instrument("src", "-o", "whole", cwd=tmp_path).returncode == 0
    whole, before = state(tmp_path / "whole"), state(tree)
    started = time.monotonic()
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    length = time.monotonic() - started
    for step in range(12):
        command = [sys.executable, "-m", "instrument", "src", "-o", f"out{step}"]
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
        # Most of a run is spent before the first byte is written: aim at its last part.
        time.sleep(length * (0.6 + 0.04 * step))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        out = tmp_path / f"out{step}"
        left = {name: digest for name, digest in state(out).items() if name in whole}
        assert all(whole[name] == digest for name, digest in left.items() if not name.endswith("manifest.json"))
        assert instrument("src", "-o", f"out{step}", cwd=tmp_path).returncode == 0
        assert state(out) == whole
    assert state(tree) == before


def test_second_run_changes_nothing_and_the_output_is_a_fixed_point(tree: Path, tmp_path: Path) -> None:
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.name != "stamp"}
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert instrument("src", "-o", "out", "--check", cwd=tmp_path).returncode == 0
    assert instrument("out", "-o", "again", cwd=tmp_path).returncode == 0
    ours = {name: digest for name, digest in state(tmp_path / "again").items() if name.endswith((".c", ".h"))}
    assert ours == {name: digest for name, digest in state(tmp_path / "out").items() if name.endswith((".c", ".h"))}
    run([build("gcc-12", [tmp_path / "again" / "a.c"], tmp_path / "prog")])


def test_errors_and_debug_information_point_at_the_users_lines(tree: Path, tmp_path: Path) -> None:
    (tree / "a.c").write_text(GOOD.replace("(key)(0)", "(\n\tkey\n)(0,\n\t1)"))
    done = instrument("src", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    failed = attempt(["gcc-12", INCLUDE, "-c", "out/a.c", "-o", "a.o"], cwd=tmp_path)
    assert "out/a.c:4:" in failed.stderr or "out/a.c:6:" in failed.stderr, failed.stderr
    assert "too many arguments" in failed.stderr


def test_nothing_heavy_is_imported_for_a_tree_without_calls(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for n in range(50):
        (tmp_path / "src" / f"f{n}.c").write_text(f"int f{n};\n")
    program = (
        "import sys; from instrument.cli import main; code = main(['src', '-o', 'out']); "
        "print(*sorted({m.split('.')[0] for m in sys.modules})); sys.exit(code)"
    )
    loaded = set(run([sys.executable, "-c", program], cwd=tmp_path).split())
    assert loaded.isdisjoint({"tree_sitter", "tree_sitter_c", "pycparser", "elftools"})
    loaded = set(run([sys.executable, "-c", program.replace("['src', '-o', 'out']", "['--cflags']")]).split())
    assert loaded.isdisjoint({"tree_sitter", "pycparser", "elftools", "jinja2", "argparse", "json"})
