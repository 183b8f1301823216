# SPDX-License-Identifier: MIT
"""What docs/commands.md shows is what the commands print."""

from __future__ import annotations

import runpy

from tests.toolchain import ROOT

PAGE = ROOT / "docs" / "commands.md"


def test_the_output_shown_is_that_of_now() -> None:
    again = runpy.run_path(str(ROOT / "docs" / "captured.py"))["again"]
    shown = PAGE.read_text()
    assert shown.count("```console\n$ instrument") >= 8
    assert again(PAGE) == shown, "python docs/captured.py docs/commands.md"
