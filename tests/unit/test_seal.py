# SPDX-License-Identifier: MIT
"""A run that finds nothing to do opens no source, and whatever could change its result makes it look again."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from instrument import cli, inputs, pipeline, seal
from tests.unit.fakes import lay

MAIN = """#include <outer.h>
#include "k.h"
DEFINE_STATIC_CALL(go, target);
int main(void) { return static_call(go)(0); }
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree, a directory of headers outside of it, a compiler of its own; all of it old enough to be trusted."""
    lay(tmp_path / "src", {"main.c": MAIN, "k.h": "#include <static_call.h>\n", "sub/other.c": "int other;\n"})
    lay(tmp_path / "outer", {"outer.h": "static int target(int x) { return x; }\n"})
    (tmp_path / "first").mkdir()
    (tmp_path / "cc").write_text('#!/bin/sh\nexec gcc-12 "$@"\n')
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("CC", str(tmp_path / "cc"))
    monkeypatch.setattr(inputs, "_COARSEST", -(10**15))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, bool]:
    """The exit status, and whether the run has looked at the files."""
    looked = False

    def watched(options: pipeline.Options, found: inputs.Inputs) -> pipeline.Outcome:
        nonlocal looked
        looked = True
        return whole(options, found)

    whole = pipeline.run
    try:
        pipeline.run = watched  # type: ignore[assignment]
        return cli.main(["src", "-o", "out", *words, "--", "-Ifirst", "-Iouter"]), looked
    finally:
        pipeline.run = whole


def states(root: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in root.rglob("*")}


def test_a_run_with_nothing_to_do_says_the_same_and_touches_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == (0, True)
    said, before = capsys.readouterr(), states(project)
    assert "1 rewritten" in said.err
    opened: list[str] = []
    sys.addaudithook(lambda event, words: opened.append(str(words[0])) if event == "open" else None)
    assert run() == (0, False)
    assert capsys.readouterr() == said
    assert states(project) == before
    assert not [name for name in opened if "/src/" in name and not name.endswith(".toml")]
    assert run("--check") == (0, False)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a source": lambda p: (p / "src/sub/other.c").write_text("int othes;\n"),
    "a source's time": lambda p: (p / "src/sub/other.c").touch(),
    "a source with its time kept": lambda p: os.utime(
        shutil.copy2(p / "src/main.c", p / "keep") and p / "src/main.c",
        ns=((p / "keep").stat().st_mtime_ns,) * 2,
    ),
    "a new source": lambda p: (p / "src/new.c").write_text(""),
    "a source that is gone": lambda p: (p / "src/sub/other.c").unlink(),
    "an output": lambda p: (p / "out/sub/other.c").write_text("int mine_;\n"),
    "an output that is gone": lambda p: (p / "out/k.h").unlink(),
    "a generated header": lambda p: (p / "out/static_call/static_call_keys.h").write_text(""),
    "a directory that becomes a link": lambda p: (
        (p / "out/sub").rename(p / "away"),
        (p / "out/sub").symlink_to(p / "away"),
    ),
    "a stamp that is gone": lambda p: (p / "out/static_call/stamp").unlink(),
    "a seal that is gone": lambda p: (p / "out/static_call/seal.json").unlink(),
    "a seal that is torn": lambda p: (p / "out/static_call/seal.json").write_text('{"question": '),
    "a header outside": lambda p: (p / "outer/outer.h").write_text("static int target(long x) { return x; }\n"),
    "a header that comes first": lambda p: (p / "first/outer.h").write_text("static int target(int x);\n"),
    "the compiler": lambda p: (p / "cc").write_text('#!/bin/sh\nexec gcc-11 "$@"\n'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_seen(project: Path, change: str) -> None:
    assert run("-q")[1] and not run("-q")[1]
    CHANGES[change](project)
    assert run("-q")[1]


def test_a_change_of_what_is_asked_is_seen(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("-q") == (0, True) and run("-q") == (0, False)
    for words in (["-q", "--mode", "trampoline"], ["-q", "--layout", "compact"], ["-q", "--strict"], ["--json"], []):
        assert run(*words)[1], words
        run("-q")
        assert not run("-q")[1]
    monkeypatch.setenv("CPATH", str(project / "first"))
    assert run("-q")[1] and not run("-q")[1]
    monkeypatch.setattr(seal, "__version__", "another")
    assert run("-q")[1] and not run("-q")[1]


def test_what_was_changed_just_now_is_not_trusted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_COARSEST", 10**12)
    assert run("-q")[1] and run("-q")[1]
    assert not (project / "out" / seal.SEAL).exists()


def test_a_tree_with_an_error_is_looked_at_each_time(project: Path) -> None:
    (project / "src/bad.c").write_text("#include <static_call.h>\nint f(void) { return static_call(no)(); }\n")
    assert run("-q") == (1, True) and run("-q") == (1, True)


def test_the_seal_tells_no_file_of_the_tree(project: Path) -> None:
    run("-q")
    value = json.loads((project / "out" / seal.SEAL).read_text())
    assert "main.c" not in json.dumps(value)
    assert str(project / "outer/outer.h") in value["world"] and str(project / "first") in value["world"]
