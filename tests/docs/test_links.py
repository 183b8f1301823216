# SPDX-License-Identifier: MIT
"""Every link in a document that stays in the repository leads to a file, and to a heading that is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.toolchain import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples" / "README.md"])
CODE = re.compile(r"^(```.*?^```|    [^\n]*$)|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]\n]*\]\(([^)\s]+)\)")
DRAWN = "bench/results"
"""What `make bench` draws is not there before it has run."""


@cache
def headings(path: Path) -> frozenset[str]:
    """The anchors that a forge gives a document's headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(CODE.sub("", document.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists() or path.parent == ROOT / DRAWN, f"{link}: no such file"
        assert not anchor or anchor in headings(path), f"{link}: no such heading"


NAMED = re.compile(r"`((?:tests|bench|docs|examples|c_runtime|templates|instrument)/[\w/.-]+\.[a-z0-9]+)\b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_named_is_there(document: Path) -> None:
    """Files of the repository, and diagnostics' codes."""
    text = document.read_text()
    files = [name for name in NAMED.findall(text) if "NAME" not in name and "INxxx" not in name]
    assert not [name for name in files if not (ROOT / name).exists()]
    known = {path.stem for path in (ROOT / "instrument" / "explanations").iterdir()}
    assert set(re.findall(r"\bIN\d{3}\b", text)) <= known
