# SPDX-License-Identifier: MIT
"""Golden files: everything the tool generates for each case, mode and layout. Each golden is compiled and run too.

`make golden` writes them anew. A golden that is missing, or that nothing produces any more, fails.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.toolchain import COMPILERS, FORMS, ROOT, build, instrument, run

HERE = Path(__file__).resolve().parent
CASES = sorted(path.name for path in (HERE / "cases").iterdir())
FORM_NAMES = ["-".join(form) for form in FORMS]
WRITE = bool(os.environ.get("GOLDEN_WRITE"))


def produced(case: str, mode: str, layout: str, out: Path) -> dict[str, bytes]:
    """What the tool generates for a case, without the copied runtime and the list of package files."""
    done = instrument(HERE / "cases" / case, "-o", out, "--mode", mode, "--layout", layout, "-q", CC="gcc-12")
    assert done.returncode == 0, done.stderr
    files = (path for path in out.rglob("*") if path.is_file())
    relative = {path.relative_to(out).as_posix(): path.read_bytes() for path in files}
    own = (
        "static_call/runtime/",
        "static_call/static_call.d",
        "static_call/manifest.json",
        "static_call/census.json",
        "static_call/stamp",
        "static_call/seal.json",
    )
    return {name: data for name, data in relative.items() if not name.startswith(own)}


def golden(case: str, form: str) -> dict[str, bytes]:
    base = HERE / "expected" / case / form
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in base.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("mode", "layout"), FORMS, ids=FORM_NAMES)
@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, mode: str, layout: str, tmp_path: Path) -> None:
    now = produced(case, mode, layout, tmp_path / "out")
    base = HERE / "expected" / case / f"{mode}-{layout}"
    if WRITE:
        shutil.rmtree(base, ignore_errors=True)
        for name, data in now.items():
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_bytes(data)
    kept = golden(case, f"{mode}-{layout}")
    assert sorted(now) == sorted(kept), "files missing or unused; `make golden` writes them"
    for name, data in now.items():
        assert data.decode() == kept[name].decode(), f"{name} differs; `make golden` writes it"


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("mode", "layout"), FORMS, ids=FORM_NAMES)
@pytest.mark.parametrize("case", CASES)
def test_golden_runs(case: str, mode: str, layout: str, compiler: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(HERE / "expected" / case / f"{mode}-{layout}", tree)
    shutil.copytree(ROOT / "c_runtime", tree / "static_call" / "runtime")
    run([build(compiler, sorted(tree.glob("*.c")), tmp_path / "prog", "-O2")])


def test_no_golden_is_unused() -> None:
    expected = {f"{case}/{form}" for case in CASES for form in FORM_NAMES}
    there = {f"{form.parent.name}/{form.name}" for form in (HERE / "expected").glob("*/*")}
    assert there == expected


@pytest.mark.parametrize("case", CASES)
def test_lines_keep_their_numbers(case: str) -> None:
    for form in FORM_NAMES:
        kept = golden(case, form)
        for source in (HERE / "cases" / case).iterdir():
            assert kept[source.name].count(b"\n") == source.read_bytes().count(b"\n")
