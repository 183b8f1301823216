# SPDX-License-Identifier: MIT
"""The tutorial and the guides, followed word for word: files written, commands run, output held against the page."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.toolchain import ROOT, attempt

BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("page", "commands"), [("tutorial", 7), ("guide-plugins", 1), ("guide-latency", 1), ("guide-hardened", 1)]
)
def test_a_page_does_what_it_says(tmp_path: Path, page: str, commands: int) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said, runs = None, 0
    for kind, title, text in BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text()):
        assert said in (None, "") or kind == "text", f"nothing is told of what is printed: {said}"
        if title:
            (tmp_path / title).write_text(text)
        elif kind == "sh":
            done = attempt(["sh", "-e", "-c", text], tmp_path, PATH=path, DEBUGINFOD_URLS="", MAKEFLAGS="")
            assert (done.returncode, done.stderr) == (0, ""), text + done.stderr
            said = done.stdout
            runs += 1
        else:
            assert (kind, text) == ("text", said)
            said = None
    assert runs >= commands and not said
