# SPDX-License-Identifier: MIT
"""The tables of docs/performance.md and docs/alternatives.md, and the README's picture, made anew from bench/results.

    python -m bench.docs

Between `<!-- NAME -->` and `<!-- end -->` stands what bench/results/NAME.json says, where there is one.
"""

from __future__ import annotations

from pathlib import Path

from bench import overview
from bench.report import RESULTS, Figure, Report, read
from bench.tables import number

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = (DOCS / "performance.md", DOCS / "alternatives.md")


def short(one: Figure | None, base: bool) -> str:
    """A value, or where there is another way to compare with, the ratio to it."""
    if one is None:
        return ""
    shown = number(one.value) if base or one.ratio is None else f"{one.ratio:.2f}"
    return shown if one.count is None else f"{shown} [{one.count:.3g}]"


def rows(head: list[str], body: list[list[str]]) -> list[str]:
    return ["", *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body))]


def by_case(report: Report) -> list[str]:
    """A table for cases that have the same ways, a column a case."""
    sheets: dict[tuple[str, tuple[str, ...]], dict[str, list[Figure]]] = {}
    for case, figures in report.cases().items():
        if figures[0].x is None:
            group, _, title = case.rpartition(": ")
            sheets.setdefault((group, tuple(one.way for one in figures)), {})[title] = figures
    lines = []
    for (group, ways), columns in sheets.items():
        units = ", ".join(dict.fromkeys(figures[0].unit for figures in columns.values()))
        body = [[way, *(short(all_[at], not at) for all_ in columns.values())] for at, way in enumerate(ways)]
        lines += rows([f"{group} ({units})".strip(), *columns], body)
    return lines


def by_number(report: Report) -> list[str]:
    """One table of values, a column for each `x`, of the cases that are drawn."""
    figures = [one for one in report.figures if one.x is not None and one.case in report.shown]
    columns = sorted({one.x for one in figures if one.x is not None})
    found = {(one.case, one.way, one.x): one for one in figures}
    names = dict.fromkeys((one.case, one.way) for one in figures)
    body = [[f"{case}: {way}", *(short(found.get((case, way, x)), True) for x in columns)] for case, way in names]
    return rows([figures[0].unit, *(f"{x:,.0f}" for x in columns)], body) if figures else []


def section(report: Report) -> str:
    """Who measured, the tables, what became of the goals."""
    lines = [
        f"{report.machine}; {'; '.join(report.compilers)}. First row of a table: values; the others: ratios to it."
    ]
    lines += [*by_number(report), *by_case(report), ""]
    lines += [f"* {'Met' if goal.met else '**Missed**'}: {goal.text}. {goal.evidence}." for goal in report.goals]
    lines += [f"* {note}" for note in report.notes]
    return "\n".join(lines).rstrip()


def filled(page: str, name: str, text: str) -> str:
    """The page with `text` between the marks of that name; as it was where it has none."""
    before, mark, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    return f"{before}{mark}\n{text}\n\n{end}{after}" if end else page


def main() -> None:
    for path in PAGES:
        page = path.read_text()
        for result in sorted(RESULTS.glob("*.json")):
            page = filled(page, result.stem, section(read(result)))
        path.write_text(page)
    overview.main()


if __name__ == "__main__":
    main()
