# SPDX-License-Identifier: MIT
"""Every code has an explanation, every explanation a code; every example gives the code when it is run."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from instrument import explain
from tests.toolchain import ROOT, attempt, instrument, run

BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODES = explain.codes()


def test_every_code_that_is_emitted_is_explained_and_no_other() -> None:
    sources = [path.read_text() for path in (ROOT / "instrument").rglob("*.py") if path.name != "explain.py"]
    emitted = {code for text in sources for code in re.findall(r"(?<=[\"\[ ])IN0\d\d(?=[\"\]:])", text)}
    assert sorted(emitted) == CODES


@pytest.mark.parametrize("code", CODES)
def test_an_explanation_has_cause_example_and_fix(code: str) -> None:
    head, example, fix = re.split(r"^## (?:Example|Fix)$", explain.text(code), flags=re.MULTILINE)
    title, _, cause = head.partition("\n")
    assert re.fullmatch(r"# .*[^.]", title) and len(cause.split()) >= 10 and len(fix.split()) >= 5
    kinds = [kind for kind, _, _ in BLOCK.findall(example)]
    assert kinds[-1:] == ["sh"] and len(kinds) >= 2 and kinds.count("sh") == 1
    shown = explain.shown(code)
    assert shown.startswith(f"{code}: ") and "\nExample:\n" in shown and "\nFix:\n" in shown and "```" not in shown


@pytest.mark.parametrize("code", CODES)
def test_an_example_gives_its_code(code: str, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = ""
    for kind, name, text in BLOCK.findall(explain.text(code)):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        elif kind == "sh":
            done = attempt(["sh", "-c", text], tmp_path, PATH=path, CC="gcc-12")
            said = done.stdout + done.stderr
    assert f"[{code}]" in said, said
    stays = re.search(rf"left as written: .*\[{code}]", said) is not None
    assert stays == (explain.kind(code) == "a reason why a call's text stays"), said


def test_the_document_is_current() -> None:
    """`instrument explain --markdown > docs/diagnostics.md` makes it so."""
    assert (
        run([sys.executable, "-m", "instrument", "explain", "--markdown"])
        == (ROOT / "docs/diagnostics.md").read_text()
    )


def test_a_misspelt_code_is_told() -> None:
    done = instrument("explain", "IN09")
    assert (done.returncode, done.stdout) == (2, "") and "no such code: IN09; did you mean IN0" in done.stderr
    # IN004 is well-formed: that it has the letters of IN050 does not help who looks for it.
    done = instrument("explain", "IN004")
    assert (done.returncode, done.stderr) == (
        2,
        "instrument: error: no such code: IN004; `instrument explain` lists all\n",
    )


def test_a_code_is_taken_as_it_stands_in_a_message() -> None:
    assert instrument("explain", "[IN022]").stdout == instrument("explain", "IN022").stdout != ""
