# SPDX-License-Identifier: MIT
"""All benches, or some.

    python -m bench [--only NAME]... [--quick] [--results DIRECTORY]

Each writes DIRECTORY/NAME.json (bench/results by default), prints its tables and draws NAME.png and NAME.svg if
matplotlib is there. --quick makes every bench as short as it can be while all of its code runs: its figures mean
nothing.
Exit status 0, also where a goal is missed: the table says so. 2: no such bench.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
from pathlib import Path

from bench import plots, report, tables

BENCHES = ("call", "profile", "update", "startup", "tool", "programs", "launcher")
"""Modules of this package; each has main(quick) -> Report. In this order they run."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=BENCHES, metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    drawn = importlib.util.find_spec("matplotlib") is not None
    for name in options.only or BENCHES:
        started = time.monotonic()
        found = importlib.import_module(f"bench.{name}").main(options.quick)
        found.quick = options.quick
        path = report.write(found, options.results)
        print(tables.text(found), end="\n\n")
        if drawn:
            plots.draw(found, options.results)
        print(f"{path}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
