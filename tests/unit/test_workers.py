# SPDX-License-Identifier: MIT
"""Work in several processes: the results of all in their order, and no process left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from instrument import files, inputs, workers
from instrument.diagnostics import Finding, InstrumentError


def children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


@pytest.mark.parametrize("jobs", [1, 2, 3, 9])
def test_results_come_in_the_order_of_the_items(jobs: int) -> None:
    def work(part: Sequence[int]) -> list[tuple[int, int]]:
        return [(item, os.getpid()) for item in part]

    found = workers.spread(work, range(50), jobs, worth=10)
    assert [item for item, _ in found] == list(range(50))
    assert len({process for _, process in found}) == min(jobs, 5)
    assert not children()


def test_more_than_a_pipe_holds_comes_back() -> None:
    assert workers.spread(lambda part: ["x" * 1_000_000 for _ in part], range(8), 2, worth=1) == ["x" * 1_000_000] * 8


def test_an_error_in_any_process_is_ours(tmp_path: Path) -> None:
    for bad in range(4):

        def work(part: Sequence[int], bad: int = bad) -> list[int]:
            if bad in part:
                raise InstrumentError(Finding("IN011", "cannot read"), status=2)
            return list(part)

        with pytest.raises(InstrumentError) as caught:
            workers.spread(work, range(4), 4, worth=1)
        assert (caught.value.status, caught.value.findings[0].code) == (2, "IN011")
        assert not children()


def test_a_process_that_is_killed_is_an_error_and_no_wait() -> None:
    own = os.getpid()

    def work(part: Sequence[int]) -> list[int]:
        if os.getpid() != own:
            os.kill(os.getpid(), signal.SIGKILL)
        return list(part)

    with pytest.raises(ChildProcessError):
        workers.spread(work, range(4), 2, worth=1)
    assert not children()


def test_a_tree_is_the_same_to_any_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.spread, "__defaults__", (10,))
    for n in range(40):
        (tmp_path / f"{n}.c").write_text(f"int a{n};" + "static_call" * (n % 7 == 0))
    names = sorted(path.name for path in tmp_path.iterdir())
    one, two = (files.look(tmp_path, names, lambda _, data: b"static" in data, True, jobs) for jobs in (1, 2))
    assert (one.states, one.digests, one.chosen) == (two.states, two.digests, two.chosen)
    assert len(one.chosen) == 6 and len(one.states) == 40


def test_bytes_are_not_held_and_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.c"
    path.write_text("int a;")
    contents = files.look(tmp_path, ["a.c"], lambda *_: False, False, 1).contents
    assert contents["a.c"] == b"int a;" and not contents._kept
    path.write_text("int ab;")
    with pytest.raises(InstrumentError) as caught:
        contents["a.c"]
    assert "changed while" in caught.value.findings[0].message
    assert inputs.read(path)[0] == b"int ab;"
