# SPDX-License-Identifier: MIT
"""A report drawn: one panel a case, PNG and SVG beside the JSON.

A panel has a bar a way, or where there are several `x` a line a way; the middle half is drawn as a line across.

    python -m bench.plots bench/results/call.json    # those of a run that has been made

Needs matplotlib (the extra `bench`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench.report import Figure, Report, read

COLUMNS = 3
"""Two where they are enough: a page shows a picture of some 900 pixels."""
BASE, OTHER = "#888888", "#3b6ea5"


def lines(axes: Any, rows: list[Figure]) -> None:
    for way in dict.fromkeys(one.way for one in rows):
        mine = [one for one in rows if one.way == way]
        spread = [[one.value - one.low for one in mine], [one.high - one.value for one in mine]]
        places = [one.x for one in mine]
        axes.errorbar(places, [one.value for one in mine], yerr=spread, marker=".", linewidth=0.8, label=way)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylabel(rows[0].unit, fontsize=6)
    axes.legend(fontsize=5, frameon=False)


def bars(axes: Any, rows: list[Figure]) -> None:
    """Ratios where the case has them, else values. A bar that would dwarf the others is cut, and hatched."""
    ratios = all(one.ratio is not None for one in rows)
    values = [one.ratio if ratios and one.ratio is not None else one.value for one in rows]
    lows = [one.ratio_low if ratios and one.ratio_low is not None else one.low for one in rows]
    highs = [one.ratio_high if ratios and one.ratio_high is not None else one.high for one in rows]
    limit = max(4 * sorted(values)[len(values) // 2], 1.2 * values[0], 1e-9)
    shown = [min(value, limit) for value in values]
    spread = [
        [max(0.0, at - low) for at, low in zip(shown, lows, strict=True)],
        [max(0.0, min(high, limit) - at) for at, high in zip(shown, highs, strict=True)],
    ]
    places = range(len(rows))
    colours = [BASE if not at else OTHER for at in places]
    drawn = axes.barh(places, shown, xerr=spread, color=colours, error_kw={"elinewidth": 0.8})
    for at, (value, length) in enumerate(zip(values, shown, strict=True)):
        cut = value > length
        if cut:
            drawn[at].set(hatch="///", edgecolor="white", linewidth=0)
        axes.text(length, at, f" {value:.3g}{', cut' * cut}", va="center", fontsize=6)
    axes.set_yticks(places, [one.way for one in rows], fontsize=6)
    axes.invert_yaxis()
    axes.set_xlim(0, max(shown) * 1.2 or 1)
    axes.set_xlabel(f"ratio to {rows[0].way}" if ratios else rows[0].unit, fontsize=6)


def panel(axes: Any, case: str, rows: list[Figure]) -> None:
    if rows[0].x is None:
        bars(axes, rows)
    else:
        lines(axes, rows)
    axes.set_title(case, fontsize=7, loc="left")
    axes.tick_params(labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)


def draw(report: Report, folder: Path) -> list[Path]:
    """The files made: NAME.png and NAME.svg."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = report.name  # the same picture is the same file
    matplotlib.rcParams["svg.fonttype"] = "none"  # letters as letters: a tenth of the size
    from matplotlib import pyplot

    cases = {case: rows for case, rows in report.cases().items() if not report.shown or case in report.shown}
    columns = min(COLUMNS, len(cases)) if len(cases) > 4 else min(2, len(cases))
    high = -(-len(cases) // columns)
    deep = max(map(len, cases.values()))
    size = (3.4 * columns, high * (1.3 + 0.12 * min(deep, 12)) + 0.6)
    sheet, grid = pyplot.subplots(high, columns, figsize=size, squeeze=False, layout="constrained")
    every = [axes for row in grid for axes in row]
    for axes in every[len(cases) :]:
        axes.remove()
    for axes, (case, rows) in zip(every, cases.items(), strict=False):
        panel(axes, case, rows)
    sheet.suptitle(f"{report.title}\n{report.machine}", fontsize=8)
    made = [folder / f"{report.name}.{ending}" for ending in ("png", "svg")]
    for path in made:
        sheet.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(sheet)
    return made


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(*draw(read(Path(name)), Path(name).parent))
