# SPDX-License-Identifier: MIT
"""Rounds, and the figures that they give.

In each round every way has its turn, in one direction and in the next round back, so that whatever else the machine
does falls on all of them alike. Ratios are taken within a round, before any median.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.report import Figure

Series = dict[str, list[float]]
"""What each way took, a value a round."""


def interleaved(ways: Mapping[str, Callable[[], float]], rounds: int) -> Series:
    """Call each way once a round; what it returns is what it took."""
    found: Series = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            found[name].append(ways[name]())
    return found


def middle(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile; of one value, itself."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, statistics.median(values), high


def figures(
    case: str, unit: str, series: Series, counts: Mapping[str, float] | None = None, x: float | None = None
) -> list[Figure]:
    """A figure a way; ratios are to the first one. All ways have the same number of rounds (ValueError else)."""
    base = next(iter(series.values()))
    made = []
    for way, values in series.items():
        low, value, high = middle(values)
        pairs = list(zip(values, base, strict=True))
        ratios = middle([mine / theirs for mine, theirs in pairs]) if all(theirs for _, theirs in pairs) else None
        ratio_low, ratio, ratio_high = ratios or (None, None, None)
        count = (counts or {}).get(way)
        made.append(Figure(case, way, unit, value, low, high, len(values), ratio, ratio_low, ratio_high, count, x))
    return made


def wall(command: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> float:
    """Seconds that a command took, which must succeed."""
    started = time.perf_counter()
    subprocess.run(list(command), cwd=cwd, env={**os.environ, **(env or {})}, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
