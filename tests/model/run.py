# SPDX-License-Identifier: MIT
"""Run the models of docs/model and print one table: python -m tests.model.run [--story CASE]."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.model.cases import CASES, Case

MODEL = Path(__file__).resolve().parent.parent.parent / "docs" / "model" / "site.pml"
SECONDS = 120
JOBS = 2
# Breadth first: the search has no depth to exceed, and what it finds is a shortest way to it.
COMPILE = ("gcc", "-w", "-DSAFETY", "-DBFS", "-DMEMLIM=2000", "-o", "pan", "pan.c")
UNFINISHED = ("Search not completed", "too small", "memory limit", "out of memory", "hash array full", "truncated")


@dataclass(frozen=True)
class Outcome:
    case: Case
    found: str | None
    """What pan reports: the name of the property violated, or its own words."""
    states: int
    seconds: float
    complete: bool
    unreached: tuple[str, ...]

    @property
    def expected(self) -> bool:
        """A search that finds nothing counts only if it saw everything: every state, and every statement run."""
        if self.case.fault:
            return self.found == self.case.fault
        return self.found is None and self.complete and not self.unreached


def _run(command: Sequence[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def search(case: Case, directory: Path) -> Outcome:
    _run(["spin", "-a", *case.defines, str(MODEL)], directory)
    # Optimising takes longer than what it saves where the search ends early.
    _run([*COMPILE, "-O0" if case.fault else "-O1"], directory)
    begin = time.monotonic()
    done = subprocess.run(["./pan", "-w21"], cwd=directory, capture_output=True, text=True, timeout=SECONDS)
    output = done.stdout + done.stderr
    return _outcome(case, output, time.monotonic() - begin)


def _outcome(case: Case, output: str, seconds: float) -> Outcome:
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    if not (errors and states):
        raise RuntimeError(f"{case.name}: pan said\n{output}")
    found = re.search(r"^pan:\d+: (?:assertion violated )?\s*(.*?) \(at depth \d+\)", output, re.MULTILINE)
    return Outcome(
        case,
        found[1] if found else None,
        int(states[1]),
        seconds,
        errors[1] == "0" and not any(words in output for words in UNFINISHED),
        # Callers never end.
        tuple(
            line
            for line in re.findall(r'^\t\S+:\d+, state \d+, ".*"$', output, re.MULTILINE)
            if '"-end-"' not in line
        ),
    )


def check(case: Case) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="model-") as directory:
        return search(case, Path(directory))


def story(case: Case) -> str:
    """What happens on a shortest way to the fault; each column is a process, the last one the updater."""
    with tempfile.TemporaryDirectory(prefix="model-") as name:
        directory = Path(name)
        search(case, directory)
        if not (directory / f"{MODEL.name}.trail").exists():
            return "nothing was found\n"
        told = subprocess.run(
            ["spin", "-t", "-k", f"{MODEL.name}.trail", *case.defines, str(MODEL)],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        ).stdout
    return told.partition("spin: trail ends")[0]


def row(outcome: Outcome) -> str:
    case = outcome.case
    result = outcome.found or ("right" if outcome.complete else "incomplete")
    verdict = "" if outcome.expected else f"  EXPECTED {case.fault or 'right'} {' '.join(outcome.unreached)}"
    return f"{case.name:38} {result:10} {outcome.states:9,} {outcome.seconds:6.1f}{verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--story", metavar="CASE", choices=[case.name for case in CASES], help="how it goes wrong")
    chosen = parser.parse_args().story
    if chosen:
        print(story(next(case for case in CASES if case.name == chosen)), end="")
        return 0
    begin = time.monotonic()
    print(f"{'case':38} {'found':10} {'states':>9} {'s':>6}")
    failed = 0
    with ThreadPoolExecutor(JOBS) as pool:
        for outcome in pool.map(check, CASES):
            print(row(outcome), flush=True)
            failed += not outcome.expected
    print(f"{len(CASES)} cases, {failed} not as expected, {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
