# SPDX-License-Identifier: MIT
"""A few csmith programs on each `make test`; `python -m tests.csmith.run 300` is the long run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.csmith import trial
from tests.csmith.choice import choose
from tests.csmith.convert import Updates
from tests.csmith.run import describe
from tests.csmith.trial import Status, prepare, run_trial
from tests.toolchain import COMPILERS

SEEDS = (10, 13, 26, 35, 38, 70, 104, 134)
"""Small programs that end, and whose choices differ."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("csmith")
    prepare(directory)
    return directory


@pytest.mark.parametrize("seed", SEEDS)
def test_a_program_prints_the_same_with_static_calls(seed: int, work: Path) -> None:
    result = run_trial(seed, work / f"seed-{seed}")
    assert result.status is Status.SAME, describe(result, work)
    assert result.calls > 1


def test_the_seeds_cover_the_choices() -> None:
    choices = [choose(seed) for seed in SEEDS]
    assert {choice.compiler for choice in choices} == set(COMPILERS)
    assert {choice.layout for choice in choices} == {"aligned", "compact"}
    assert {choice.form.updates for choice in choices} == set(Updates)
    assert {choice.form.two_files for choice in choices} == {False, True}


@pytest.mark.parametrize(
    ("text", "defined", "status"),
    [
        ("main() { return 0; }", True, Status.MISMATCH),
        ("main() { return 0; }", False, Status.UNDEFINED),
        ("main() { return 0 }", False, Status.MISMATCH),
    ],
)
def test_a_difference_is_seen(
    text: str, defined: bool, status: Status, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is excused only if the original's own output depends on how it is built; what fails to build never is."""
    monkeypatch.setattr(trial, "convert", lambda program, form: {"main.c": text})
    monkeypatch.setattr(trial, "_defined", lambda directory, expected: defined)
    result = run_trial(SEEDS[0], work / f"{status}-{len(text)}")
    assert result.status is status
    assert "again: python -m tests.csmith.run 1 --seed" in describe(result, work)


def test_a_missing_csmith_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="apt-get install csmith"):
        prepare(tmp_path)
