# SPDX-License-Identifier: MIT
"""docs/tutorial.md, followed word for word: its files are written, its commands run, their output held against it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.toolchain import ROOT, attempt

BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said, runs = None, 0
    for kind, title, text in BLOCK.findall((ROOT / "docs/tutorial.md").read_text()):
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
    assert runs >= 7 and not said
