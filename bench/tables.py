# SPDX-License-Identifier: MIT
"""A report as text.

python -m bench.tables bench/results/call.json    # the tables of a run that has been made
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.report import Figure, Report, read


def number(value: float) -> str:
    """Three significant digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def cells(one: Figure) -> list[str]:
    ratio = ""
    if one.ratio is not None:
        ratio = f"{one.ratio:.3f} ({one.ratio_low:.3f}-{one.ratio_high:.3f})"
    spread = f"({number(one.low)}-{number(one.high)})"
    way = one.way if one.x is None else f"{one.x:,.0f}: {one.way}"
    return [way, number(one.value), spread, ratio, "" if one.count is None else f"{one.count:g}"]


def case_lines(case: str, rows: list[Figure]) -> list[str]:
    head = [case, rows[0].unit, "(middle half)", "ratio (middle half)", "instructions"]
    if all(one.count is None for one in rows):
        head[4] = ""
    table = [head, *map(cells, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = []
    for row in table:
        texts = [
            row[0].ljust(widths[0]),
            *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(texts).rstrip())
    return lines


def text(report: Report) -> str:
    """The whole report; ratios are to the first row of their case."""
    lines = [report.title, f"{report.machine}; {'; '.join(report.compilers)}"]
    if report.quick:
        lines.append("a quick run: too short for its figures to mean anything")
    for case, rows in report.cases().items():
        lines += ["", *case_lines(case, rows)]
    if report.goals:
        lines += ["", "goals"]
        lines += [f"  {'met   ' if goal.met else 'MISSED'} {goal.text}: {goal.evidence}" for goal in report.goals]
    lines += ["", *report.notes] if report.notes else []
    return "\n".join(lines)


if __name__ == "__main__":
    print("\n\n".join(text(read(Path(name))) for name in sys.argv[1:]))
