# SPDX-License-Identifier: MIT
"""`python -m tests.csmith.run 300`: that many csmith programs, each as it is, converted, and in both modes.

Seeds go up from --seed until so many programs were compared; those that cannot be are counted by reason. Exit
status 1 if any program printed something else; its directory stays. Ctrl-C ends it early with the figures so far.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from tests.csmith.summary import COMPARED, summary
from tests.csmith.trial import Result, Status, prepare, run_trial

KEPT = (Status.MISMATCH, Status.UNDEFINED)
REPORT_SECONDS = 30
DETAIL_LINES = 6


def trials(programs: int, seed: int, jobs: int, work: Path) -> Iterator[Result]:
    """Results in the order of the seeds, until `programs` of them were compared."""

    def trial(number: int) -> Result:
        directory = work / f"seed-{number}"
        result = run_trial(number, directory)
        if result.status not in KEPT:
            shutil.rmtree(directory)
        return result

    seeds = count(seed)
    missing = programs
    with ThreadPoolExecutor(jobs) as pool:
        while missing > 0:
            for result in pool.map(trial, [next(seeds) for _ in range(missing)]):
                missing -= result.status in COMPARED
                yield result


def describe(result: Result, work: Path) -> str:
    """A program that stays: what happened, where it is, how to have it again."""
    detail = "\n  ".join(result.detail.splitlines()[:DETAIL_LINES])
    return (
        f"seed {result.seed}: {result.status}\n  {detail}\n  {result.choice}\n"
        f"  in {work}/seed-{result.seed}; again: python -m tests.csmith.run 1 --seed {result.seed}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.csmith.run", description=__doc__)
    parser.add_argument("programs", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, help="where programs are built and kept (default: a new directory)")
    options = parser.parse_args(arguments)
    if options.programs < 1:
        parser.error("at least one program")
    work = options.work or Path(tempfile.mkdtemp(prefix="csmith-"))
    work.mkdir(parents=True, exist_ok=True)
    prepare(work)
    results = _run(options.programs, options.seed, options.jobs, work)
    good = sum(result.status is Status.SAME for result in results)
    return int(good < options.programs)


def _run(programs: int, seed: int, jobs: int, work: Path) -> list[Result]:
    begin = time.monotonic()
    results: list[Result] = []
    try:
        for result in _progress(trials(programs, seed, jobs, work), programs, begin):
            results.append(result)
            if result.status in KEPT:
                print(describe(result, work), flush=True)
    except KeyboardInterrupt:
        print("interrupted; so far:")
    print(summary(results, time.monotonic() - begin, work))
    return results


def _progress(results: Iterator[Result], programs: int, begin: float) -> Iterator[Result]:
    """The same results, with a line now and then of how far it is."""
    said, done = begin, 0
    for result in results:
        done += result.status in COMPARED
        if time.monotonic() - said > REPORT_SECONDS:
            said = time.monotonic()
            print(f"{done} of {programs} programs, {said - begin:.0f} s", flush=True)
        yield result


if __name__ == "__main__":
    sys.exit(main())
