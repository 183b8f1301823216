# SPDX-License-Identifier: MIT
"""The harness of the benches: its arithmetic, and one bench as short as it can be, from C sources to a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import docs, tables
from bench.call import parsed
from bench.measure import figures, interleaved, middle
from bench.report import Figure, Report, at_most, read, write
from tests.toolchain import ROOT, run


def test_rounds_go_there_and_back() -> None:
    order: list[str] = []
    took = iter(range(6))

    def way(name: str) -> float:
        order.append(name)
        return next(took)

    series = interleaved({"a": lambda: way("a"), "b": lambda: way("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert series == {"a": [0, 3, 4], "b": [1, 2, 5]}


def test_the_middle_half() -> None:
    assert middle([5, 1, 3, 2, 4]) == (2, 3, 4)
    assert middle([7]) == (7, 7, 7)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is twice as slow in a round changes no ratio, though it does the medians'."""
    base, mine = figures("case", "ns", {"base": [1, 4, 10], "mine": [2, 8, 20]}, {"mine": 3})
    assert (base.value, base.ratio, base.count) == (4, 1, None)
    assert (mine.value, mine.ratio, mine.ratio_low, mine.ratio_high, mine.count) == (8, 2, 2, 2, 3)
    with pytest.raises(ValueError, match="zip"):
        figures("case", "ns", {"base": [1, 2], "mine": [1]})


def test_no_ratio_to_nothing() -> None:
    assert [one.ratio for one in figures("case", "bytes", {"base": [0], "mine": [8]})] == [None, None]


def test_a_goal_is_missed_by_the_worst() -> None:
    made = figures("case", "ns", {"base": [100, 100], "a": [101, 101], "b": [103, 103]})
    assert at_most("a goal", 1.03, made).met
    missed = at_most("a goal", 1.02, made)
    assert not missed.met
    assert missed.evidence == "1 of 3 above 1.02; worst 1.030 (1.030-1.030): case, b"


def test_copies_of_a_loop_count_as_one() -> None:
    lines = ["# all: 3 sites", "c|pointer|0|0|4", "c|hard-wired|0|0|1", "c|hard-wired|1|0|3", "c|pointer|1|0|6"]
    cases, told = parsed("\n".join(lines))
    assert list(cases["c"].items()) == [("hard-wired", [2]), ("pointer", [5])]
    assert told == ["all: 3 sites"]


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.1234, "0.123"), (1.2345, "1.23"), (123.4, "123"), (1234567.8, "1,234,568")]
)
def test_numbers(value: float, shown: str) -> None:
    assert tables.number(value) == shown


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    report = Report("some", "Some bench", ["cc 1"], figures("case", "ns", {"base": [1.0], "mine": [2.0]}, x=3))
    report.goals = [at_most("a goal", 1, report.figures)]
    assert read(write(report, tmp_path)) == report
    assert report.find("case", "mine", 3).ratio == 2
    with pytest.raises(KeyError):
        report.find("case", "other", 3)
    assert "MISSED a goal" in tables.text(report)


def test_tables_of_a_page() -> None:
    report = Report("some", "Some bench", ["cc 1"], machine="a processor")
    for case, factor in (("cc: a", 2), ("cc: b", 3)):
        report.figures += figures(case, "ns", {"base": [4.0], "mine": [4.0 * factor]}, {"mine": 7})
    report.figures += figures("line", "us", {"way": [5.0]}, x=10) + figures("line", "us", {"way": [6.0]}, x=20)
    report.shown = ["line"]
    text = docs.section(report)
    assert "| cc (ns) | a | b |\n| --- | --- | --- |\n| base | 4 | 4 |\n| mine | 2.00 [7] | 3.00 [7] |" in text
    assert "| us | 10 | 20 |\n| --- | --- | --- |\n| line: way | 5 | 6 |" in text
    page = "before\n<!-- some -->\nold\n<!-- end -->\nafter\n"
    assert docs.filled(page, "some", "new") == "before\n<!-- some -->\n\nnew\n\n<!-- end -->\nafter\n"
    assert docs.filled(page, "other", "new") == page


def test_the_call_bench(tmp_path: Path) -> None:
    printed = run([sys.executable, "-m", "bench", "--quick", "--only", "call", "--results", tmp_path], ROOT)
    data = json.loads((tmp_path / "call.json").read_text())
    assert data["quick"]
    made = [Figure(**one) for one in data["figures"]]
    # Instructions do not depend on how long it runs: a call is one, a pointer has to be loaded, a nop is no call.
    counts = {(one.case.split(": ")[1], one.way): one.count or 0 for one in made}
    wired = counts["empty", "hard-wired"]
    assert counts["empty", "direct"] == wired < counts["empty", "pointer"] < counts["empty", "pointer, retpoline"]
    assert counts["empty", "trampoline"] == wired + 1
    assert counts["NULL", "inline-asm"] < counts["NULL", "hard-wired"]
    assert counts["constant", "direct"] < counts["constant", "hard-wired"]
    assert all(one.value > 0 for one in made)
    assert "gcc-12: empty" in printed
