# SPDX-License-Identifier: MIT
"""Long runs: python -m tests.abi.fuzz N [--seed S] [--jobs J] compares N function types.

A program's seed makes it again: python -m tests.abi.fuzz --again SEED. What is printed of a mismatch is the program
cut down to the signature that shows it.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from instrument.model import Layout
from tests.abi import trial
from tests.abi.function import Function
from tests.abi.matrix import COMPILERS, FLAGS, MORE
from tests.abi.strategies import functions
from tests.abi.trial import Trial, Verdict

SIZE = 40
"""Signatures in a program."""


@dataclass(frozen=True, slots=True)
class Report:
    seed: int
    trial: Trial
    verdict: Verdict
    kept: Path | None = None


def generate(compiler: str, count: int, number: int) -> tuple[Function, ...]:
    """`count` function types; the same for the same number."""
    found: list[list[Function]] = []

    @seed(number)
    @settings(
        max_examples=2,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(functions(compiler), min_size=count, max_size=count))
    def collect(drawn: list[Function]) -> None:
        found.append(drawn)

    # The first example is the least one; later ones are made from those before them.
    collect()
    return tuple(found[-1])


def make(number: int) -> Trial:
    """The program of a seed."""
    chosen = random.Random(number)
    compiler = chosen.choice(COMPILERS)
    flags = chosen.choice((*FLAGS, *MORE))
    layout = chosen.choice((Layout.ALIGNED, Layout.COMPACT))
    return Trial(compiler, flags, layout, generate(compiler, SIZE, number))


def attempt(made: Trial, directory: Path, objects: tuple[Path, ...]) -> Verdict:
    """A run in which the tool's own exceptions are failures as any other."""
    try:
        return trial.run(made, directory, objects)
    except Exception:
        return Verdict(len(made.functions), 0, (f"exception: {traceback.format_exc()}",))


def one(number: int, work: Path, keep: Path) -> Report:
    objects = trial.support(work)
    made = make(number)
    verdict = attempt(made, work / str(number), objects)
    kept = None
    if verdict.failures:
        kept = keep / str(number)
        shutil.copytree(work / str(number), kept, dirs_exist_ok=True)
        _shrink(made, verdict, kept, objects)
    shutil.rmtree(work / str(number), ignore_errors=True)
    return Report(number, made, verdict, kept)


def _shrink(made: Trial, verdict: Verdict, kept: Path, objects: tuple[Path, ...]) -> None:
    """Each signature that failed, in a program of its own; all of them where nobody knows which it was."""
    words = [line.split(":")[0].split() for line in verdict.failures]
    numbers = {int(w[1]) for w in words if len(w) == 2 and w[0] == "signature"}
    for number in sorted(numbers or range(len(made.functions)))[:SIZE]:
        alone = replace(made, functions=(made.functions[number],))
        again = attempt(alone, kept / f"only-{number}", objects)
        if again.failures:
            (kept / f"only-{number}" / "failures").write_text("\n".join(again.failures) + "\n")
        else:
            shutil.rmtree(kept / f"only-{number}")


def tell(report: Report) -> None:
    made, verdict = report.trial, report.verdict
    state = "ok" if not verdict.failures else "FAILED"
    line = f"seed {report.seed}: {made.compiler} {' '.join(made.flags)} {made.layout}: "
    print(f"{line}{verdict.signatures} signatures, {verdict.inline} inline, {state}", flush=True)
    for failure in verdict.failures:
        print(f"    {failure}")
    for excuse in verdict.excused:
        print(f"    without the tool as well: {excuse}")
    if report.kept:
        print(f"    kept in {report.kept}; again: python -m tests.abi.fuzz --again {report.seed}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.abi.fuzz")
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", type=int, help="run the program of one seed")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "abi-failures")
    arguments = parser.parse_args()
    seeds = [arguments.again]
    if arguments.again is None:
        print(f"seed {arguments.seed}")
        draw = random.Random(arguments.seed)
        seeds = [draw.randrange(1 << 48) for _ in range(-(-arguments.count // SIZE))]
    with tempfile.TemporaryDirectory(prefix="abi-") as work:
        return _all(seeds, Path(work), arguments.keep, arguments.jobs)


def _all(seeds: list[int], work: Path, keep: Path, jobs: int) -> int:
    trial.support(work)
    counts: dict[str, Counter[str]] = {"signatures": Counter(), "inline": Counter()}
    failed, excused, refused, failures = 0, 0, Counter[str](), 0
    with ProcessPoolExecutor(jobs) as pool:
        for report in pool.map(one, seeds, [work] * len(seeds), [keep] * len(seeds)):
            tell(report)
            failed += bool(report.verdict.failures)
            failures += len(report.verdict.failures)
            excused += bool(report.verdict.excused)
            refused.update(report.verdict.refused)
            for name in ("all", report.trial.compiler, " ".join(report.trial.flags)):
                counts["signatures"][name] += report.verdict.signatures
                counts["inline"][name] += report.verdict.inline
    for name, count in sorted(counts["signatures"].items()):
        print(f"{count:8} signatures {counts['inline'][name]:8} inline  {name}")
    print(f"refused: {dict(sorted(refused.items()))}")
    total = counts["signatures"]["all"]
    print(f"{excused} programs fail without the tool too, and what fails there is not counted")
    print(f"{total} signatures in {len(seeds)} programs, {failed} failed, {failures} mismatches")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
