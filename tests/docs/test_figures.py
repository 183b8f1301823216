# SPDX-License-Identifier: MIT
"""What the README says of measured figures is what bench/results says; its picture is drawn from there."""

from __future__ import annotations

from bench import overview
from bench.report import RESULTS, read


def test_the_picture_is_that_of_the_last_run() -> None:
    assert overview.PICTURE.read_text() == overview.drawn(read(RESULTS / "call.json")), "python -m bench.overview"
