# SPDX-License-Identifier: MIT
"""The package as a user gets it: installed into a clean environment, used away from the checkout."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from instrument import SPDX
from tests.toolchain import ROOT, attempt, run

HOOK = ROOT / "tests" / "golden" / "cases" / "hook" / "hook.c"


def test_installed_from_a_wheel_it_works_outside_of_the_checkout(tmp_path: Path) -> None:
    source = tmp_path / "checkout"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "tests", "*.egg-info", ".mypy_cache")
    )
    run([sys.executable, "-m", "venv", tmp_path / "venv"])
    python = tmp_path / "venv" / "bin" / "python"
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", source], timeout=600)
    shutil.rmtree(source)

    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(HOOK, project)
    tool = tmp_path / "venv" / "bin" / "instrument"
    run([tool, "hook.c", "-o", "out", "--mode", "inline-asm"], cwd=project)
    for tree in ("out", "."):
        flags = run([tool, "--cflags"]).split()
        libs = run([tool, "--libs"]).split()
        run(["gcc-12", *flags, Path(tree) / "hook.c", *libs, "-o", "prog"], cwd=project)
        assert run([project / "prog"]) == "hello, world\ngoodbye, world\n"
    run([tool, "report", "out", "-o", "report.html"], cwd=project)
    assert "static_call(greet)" in (project / "report.html").read_text()
    assert Path(run([tool, "--makefile"]).strip()).is_file()
    assert run([tool, "explain", "IN022"]).startswith("IN022: the function is variadic")
    assert '"protocol"' in run([tool, "doctor", "--json"], cwd=project, CC="gcc-12")
    assert str(tmp_path / "venv") in run([tool, "--cflags"])


def test_an_archive_without_git_passes_the_check_of_licences(tmp_path: Path) -> None:
    ours = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", ".*_cache")
    shutil.copytree(ROOT, tmp_path / "a", ignore=ours)
    foreign, bare = tmp_path / "a" / ".venv" / "foreign.py", tmp_path / "a" / "instrument" / "bare.py"
    foreign.parent.mkdir()
    foreign.write_text(f"# {SPDX}\n".replace("MIT", "Zlib"))
    words = ["make", "-s", "-C", tmp_path / "a", "licences", "READY=", f"BIN={Path(sys.executable).parent}"]
    run(words, MAKEFLAGS="")
    bare.write_text(f"# {SPDX}\n".replace("MIT", "Zlib"))
    done = attempt(words, MAKEFLAGS="")
    assert done.returncode and "instrument/bare.py" in done.stdout and "foreign" not in done.stdout


def test_under_a_name_with_a_suffix_and_in_an_archive(tmp_path: Path) -> None:
    """As pipx makes it with --suffix; and as zipapp does, whose files no compiler can read."""
    for name, words in (("instrument@2", ("--version",)), ("instrument-cc@2", ("echo", "instrument"))):
        (tmp_path / name).symlink_to(Path(sys.executable).parent / name.removesuffix("@2"))
        assert run([tmp_path / name, *words]).startswith("instrument")
    shutil.copytree(ROOT / "instrument", tmp_path / "z" / "instrument", ignore=shutil.ignore_patterns("__pycache__"))
    archive = tmp_path / "instrument.pyz"
    run([sys.executable, "-m", "zipapp", tmp_path / "z", "-m", "instrument.start:main", "-o", archive])
    done = attempt([sys.executable, "-P", archive, "--cflags"], cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and "an archive will not do" in done.stderr
