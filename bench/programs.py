# SPDX-License-Identifier: MIT
"""Real programs with their dispatch as pointers, as static calls of each mode, and hard-wired.

    python -m bench.programs [--rounds 11] [--program lua] [--no-tests] [--results bench/results/programs.json]

Lua, xxHash and libdeflate are fetched by pip, pinned by content, and edited by bench/real. Each form runs the
program's own tests, and is then timed, plain and with retpolines: in each round every binary has its turn, there and
back, pinned to one processor. Told are medians and, with the middle half, the ratios to the pointer build and to the
hard-wired build of the same round. Copies of two binaries are the noise floor. Exits 1 if a test failed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

from bench.real.build import CC, FLAVOURS, FORMS, MODES, WORK, Program
from bench.real.deflate import Deflate
from bench.real.lua import Lua
from bench.real.xxhash import XxHash
from examples.demo import Failed, execute, processor

PROGRAMS: tuple[Program, ...] = (Lua(), XxHash(), Deflate())
COPIED = ("pointer", "hard-wired")
RESULTS = Path(__file__).resolve().parent / "results" / "programs.json"

Times = dict[tuple[str, str], list[list[float]]]


class Row(TypedDict):
    """One case of one binary. Ratios: lower quartile, median, upper quartile."""

    case: str
    unit: str
    flavour: str
    form: str
    median: float
    to_pointer: list[float]
    to_hard_wired: list[float]


def copies(program: Program) -> list[str]:
    """Copies of whole folders of binaries, as forms of their own."""
    for form in COPIED:
        for flavour in FLAVOURS:
            shutil.copytree(program.bin(form, flavour), program.bin(f"{form} copy", flavour), dirs_exist_ok=True)
    return [f"{form} copy" for form in COPIED]


def measure(program: Program, forms: Sequence[str], rounds: int) -> Times:
    """By form and flavour, the times of each case in each round."""
    times: Times = {(form, flavour): [] for flavour in FLAVOURS for form in forms}
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        for number in range(rounds):
            for form, flavour in list(times)[:: -1 if number % 2 else 1]:
                times[form, flavour].append(program.time(program.bin(form, flavour)))
    finally:
        os.sched_setaffinity(0, allowed)
    return times


def ratio(mine: Sequence[float], base: Sequence[float]) -> list[float]:
    """Lower quartile, median and upper quartile of the ratios of the rounds."""
    return [round(x, 4) for x in statistics.quantiles([a / b for a, b in zip(mine, base, strict=True)], n=4)]


def summary(program: Program, times: Times) -> list[Row]:
    """One row for each case, flavour and form."""
    rows: list[Row] = []
    for number, case in enumerate(program.cases):
        for flavour in FLAVOURS:
            column = {form: [row[number] for row in rows_] for (form, fl), rows_ in times.items() if fl == flavour}
            for form, mine in column.items():
                rows.append(
                    {
                        "case": case.name,
                        "unit": case.unit,
                        "flavour": flavour,
                        "form": form,
                        "median": round(statistics.median(mine), 4),
                        "to_pointer": ratio(mine, column["pointer"]),
                        "to_hard_wired": ratio(mine, column["hard-wired"]),
                    }
                )
    return rows


def cell(quartiles: Sequence[float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


def table(rows: Sequence[Row]) -> str:
    lines = []
    title = None
    for row in rows:
        if (row["case"], row["flavour"]) != title:
            title = (row["case"], row["flavour"])
            lines.append(f"\n{row['case']}, {row['flavour']:20}{row['unit']:>20}   {'to pointer':24}to hard-wired")
        to_pointer, to_hard_wired = cell(row["to_pointer"]), cell(row["to_hard_wired"])
        lines.append(f"  {row['form']:18}{row['median']:20.2f}   {to_pointer:24}{to_hard_wired}")
    return "\n".join(lines)


def tests(program: Program, forms: Sequence[str]) -> dict[str, str]:
    """Each form's own tests, plain and with retpolines, two at a time."""
    jobs = [(form, flavour) for form in forms for flavour in FLAVOURS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda job: program.test(*job), jobs))
    return {f"{form}, {flavour}": verdict for (form, flavour), verdict in zip(jobs, said, strict=True)}


def bench(program: Program, rounds: int, with_tests: bool) -> dict[str, object]:
    program.prepare()
    program.build()
    verdicts = tests(program, MODES) if with_tests else {}
    for form, verdict in verdicts.items():
        print(f"  its own tests, {form}: {verdict}")
    rows = summary(program, measure(program, [*FORMS, *copies(program)], rounds))
    print(table(rows), flush=True)
    return {"tests": verdicts, "rows": rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--program", action="append", choices=[program.name for program in PROGRAMS])
    parser.add_argument("--no-tests", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    version = execute([CC, "--version"]).stdout.splitlines()[0]
    print(f"{processor()}; {version}; {options.rounds} interleaved rounds")
    print("medians; median ratio to the same round's pointer and hard-wired build (middle half of the ratios)")
    found: dict[str, object] = {}
    for program in PROGRAMS:
        if options.program and program.name not in options.program:
            continue
        shutil.rmtree(WORK / program.name / "src", ignore_errors=True)
        print(f"\n== {program.name}")
        try:
            found[program.name] = bench(program, options.rounds, not options.no_tests)
        except Failed as failure:
            print(failure, file=sys.stderr)
            return 1
    host = {"processor": processor(), "compiler": version, "rounds": options.rounds}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps({**host, "programs": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
