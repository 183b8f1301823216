# SPDX-License-Identifier: MIT
"""What a bench found, as values and as bench/results/NAME.json.

    {
      "name": "call", "title": "...", "machine": "processor, ...", "compilers": ["gcc-12 ..."], "quick": false,
      "figures": [
        {"case": "...", "way": "...", "unit": "ns", "value": 1.2, "low": 1.1, "high": 1.3, "rounds": 21,
         "ratio": 1.01, "ratio_low": 1.0, "ratio_high": 1.02, "count": 4.0, "x": null}
      ],
      "goals": [{"text": "...", "met": true, "evidence": "..."}],
      "notes": ["..."],
      "shown": ["..."]
    }

`value` is a median with its middle half, `low` to `high`. `ratio` is the median of the ratios to the case's base in
the same round, with its middle half; null where the case has no base. `count`: instructions, where somebody counted.
The first figure of a case is its base. Where a case has figures for several `x` (numbers of sites, say), the first of
each `x` is the base of that, and the plot has a line for each way. `shown`: the cases that are drawn, all if empty.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Figure:
    """What one way took in one case."""

    case: str
    way: str
    unit: str
    value: float
    low: float
    high: float
    rounds: int
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    count: float | None = None
    x: float | None = None


@dataclass(frozen=True)
class Goal:
    text: str
    met: bool
    evidence: str


@dataclass
class Report:
    """All that one bench found: NAME names its files, the rest is printed and drawn."""

    name: str
    title: str
    compilers: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    machine: str = ""
    quick: bool = False

    def __post_init__(self) -> None:
        self.machine = self.machine or machine()

    def cases(self) -> dict[str, list[Figure]]:
        """The figures by case, in the order in which they came."""
        found: dict[str, list[Figure]] = {}
        for one in self.figures:
            found.setdefault(one.case, []).append(one)
        return found

    def find(self, case: str, way: str, x: float | None = None) -> Figure:
        """KeyError where there is none."""
        for one in self.figures:
            if (one.case, one.way, one.x) == (case, way, x):
                return one
        raise KeyError((case, way, x))


def machine() -> str:
    match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = match[1] if match else platform.machine()
    kind = " VM" if "hypervisor" in Path("/proc/cpuinfo").read_text() else ""
    return f"{name}{kind}, {os.cpu_count()} processors, Linux {platform.release()}"


def version(command: str) -> str:
    """The first line of what `command --version` says."""
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def write(report: Report, folder: Path = RESULTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.name}.json"
    path.write_text(json.dumps(asdict(report), indent=1) + "\n")
    return path


def read(path: Path) -> Report:
    """A report from its file; TypeError or KeyError where the file is not one."""
    data = json.loads(path.read_text())
    data["figures"] = [Figure(**one) for one in data["figures"]]
    data["goals"] = [Goal(**one) for one in data["goals"]]
    return Report(**data)


def worst(figures: Iterable[Figure]) -> Figure:
    """The one with the highest ratio to its base."""
    return max(figures, key=lambda one: one.ratio or 0)


def at_most(text: str, limit: float, figures: Sequence[Figure]) -> Goal:
    """That no ratio is above `limit`; the evidence is the worst one."""
    top = worst(figures)
    bad = sum((one.ratio or 0) > limit for one in figures)
    spread = f"{top.ratio:.3f} ({top.ratio_low:.3f}-{top.ratio_high:.3f})"
    return Goal(text, not bad, f"{bad} of {len(figures)} above {limit:g}; worst {spread}: {top.case}, {top.way}")
