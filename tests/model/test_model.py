# SPDX-License-Identifier: MIT
"""The models of docs/model: what is right is found right, each fault is found; `make model` prints the table."""

from __future__ import annotations

import pytest

from tests.model.cases import CASES, FAULTY, Case
from tests.model.run import check, row, story


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(",", "").replace(" ", "-"))
def test_the_search_finds_what_is_expected(case: Case) -> None:
    outcome = check(case)
    assert outcome.expected, row(outcome)


def test_a_fault_is_told() -> None:
    told = story(FAULTY[0])
    assert "update from" in told
    assert "assertion violated" in told
