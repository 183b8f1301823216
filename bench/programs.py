# SPDX-License-Identifier: MIT
"""Real programs with their dispatch as pointers, as static calls of each mode, and hard-wired.

    python -m bench.programs [--rounds 11] [--program lua]

Lua, xxHash and libdeflate are fetched by pip, pinned by content, and edited by bench/real. The programs' own tests
run in each mode; a failure ends the bench. Then each form is timed, plain and with retpolines: in each round every
binary has its turn, there and back, on one processor. Copies of two binaries are the noise floor.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench import tables
from bench.build import pinned
from bench.measure import Series, figures, middle
from bench.real.deflate import Deflate
from bench.real.lua import Lua
from bench.real.program import CC, FLAVOURS, FORMS, MODES, PLACED, WORK, Program
from bench.real.xxhash import XxHash
from bench.report import Goal, Report, version, write

PROGRAMS: tuple[Program, ...] = (Lua(), XxHash(), Deflate())
COPIED = ("pointer", "hard-wired")
WAYS = (*FORMS, *(f"{form}, a copy" for form in COPIED))
ROUNDS = 11

Cases = dict[str, Series]
"""By case, what each way took."""


def tested(program: Program) -> list[str]:
    """A line for each mode; two modes at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = pool.map(program.test, MODES)
    return [f"{program.name}'s own tests, {mode}: {verdict}" for mode, verdict in zip(MODES, said, strict=True)]


def timed(program: Program, rounds: int) -> Cases:
    for flavour in FLAVOURS:
        for form in COPIED:
            shutil.copytree(program.bin(form, flavour), program.bin(f"{form}, a copy", flavour), dirs_exist_ok=True)
    binaries = [(way, flavour) for flavour in FLAVOURS for way in WAYS]
    found: Cases = {
        f"{program.name}: {case.name}, {flavour}": {way: [] for way in WAYS}
        for case in program.cases
        for flavour in FLAVOURS
    }
    for number in range(rounds):
        for way, flavour in binaries[:: -1 if number % 2 else 1]:
            for case, took in zip(program.cases, program.time(program.bin(way, flavour)), strict=True):
                found[f"{program.name}: {case.name}, {flavour}"][way].append(took)
    return found


def ratio(series: Series, way: str, base: str) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the rounds' ratios."""
    return middle([mine / theirs for mine, theirs in zip(series[way], series[base], strict=True)])


def told(case: str, way: str, quartiles: tuple[float, float, float]) -> str:
    low, median, high = quartiles
    return f"{case}, {way}: {median:.3f} ({low:.3f}-{high:.3f})"


def near_hard_wired(cases: Cases) -> Iterator[Goal]:
    for mode in MODES:
        all_of = {case: ratio(series, mode, "hard-wired") for case, series in cases.items()}
        missed = [told(case, mode, found) for case, found in all_of.items() if found[1] > 1.02]
        text = f"{mode} within 2 % of hard-wired in every case"
        yield Goal(text, not missed, "; ".join(missed) or f"all {len(cases)} cases")


def against_pointers(program: Program, cases: Cases) -> Iterator[Goal]:
    for goal in program.goals:
        case = f"{program.name}: {goal.case}, retpolines"
        found = {way: ratio(cases[case], way, "pointer") for way in (*MODES, "hard-wired")}
        met = all(found[mode][1] <= goal.ratio for mode in MODES)
        evidence = "; ".join(told(case, way, quartiles) for way, quartiles in found.items())
        yield Goal(f"{case}: at most {goal.ratio} of the pointer build", met, evidence)


def measured(programs: Sequence[Program], rounds: int) -> Report:
    report = Report("programs", "Real programs, their dispatch in every form", [f"{version(CC)}, {' '.join(PLACED)}"])
    every: Cases = {}
    for program in programs:
        shutil.rmtree(WORK / program.name / "src", ignore_errors=True)
        program.prepare()
        program.build()
        report.notes += tested(program)
        with pinned():
            cases = timed(program, rounds)
        units = [case.unit for case in program.cases for _ in FLAVOURS]
        for unit, (case, series) in zip(units, cases.items(), strict=True):
            report.figures += figures(case, unit, series)
        report.goals += against_pointers(program, cases)
        every |= cases
    report.goals += near_hard_wired(every)
    report.notes += [
        told(case, f"{way} to hard-wired", ratio(series, way, "hard-wired"))
        for case, series in every.items()
        for way in (*MODES, "hard-wired, a copy")
    ]
    return report


def main(quick: bool = False) -> Report:
    return measured(PROGRAMS, 2 if quick else ROUNDS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--program", action="append", choices=[program.name for program in PROGRAMS])
    options = parser.parse_args()
    wanted = options.program or [program.name for program in PROGRAMS]
    made = measured([program for program in PROGRAMS if program.name in wanted], options.rounds)
    print(tables.text(made))
    if not options.program:
        write(made)
