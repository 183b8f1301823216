# SPDX-License-Identifier: MIT
"""What a run of many seeds found, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.csmith.trial import MODES, Result, Status
from tests.toolchain import COMPILERS, run

COMPARED = (Status.SAME, Status.MISMATCH)


def summary(results: Sequence[Result], seconds: float, work: Path) -> str:
    """The whole run, as text."""
    if not results:
        return "programs       0"
    compared = [result for result in results if result.status in COMPARED]
    lines = [
        f"programs       {len(compared)} (seeds {results[0].seed} to {results[-1].seed}, {seconds:.0f} s)",
        f"calls          {sum(result.calls for result in compared)} turned into static calls",
        *_statuses(results),
        *_choices(compared),
        *_forms(compared),
        *_machine(work),
    ]
    return "\n".join(lines)


def _statuses(results: Sequence[Result]) -> list[str]:
    counts = Counter(result.status for result in results)
    return [f"{counts[status]:6} {status}" for status in Status]


def _choices(results: Sequence[Result]) -> list[str]:
    columns = {
        "compilers": Counter(result.choice.compiler for result in results),
        "levels": Counter(result.choice.level for result in results),
        "layouts": Counter(result.choice.layout for result in results),
        "protocols": Counter(result.choice.protocol for result in results),
        "updates": Counter(str(result.choice.form.updates) for result in results),
        "files": Counter(str(1 + result.choice.form.two_files) for result in results),
        "flags": Counter(" ".join(result.choice.extra) or "none" for result in results),
    }
    return [
        f"{name:14} " + ", ".join(f"{key}: {count}" for key, count in sorted(counter.items()))
        for name, counter in columns.items()
    ]


def _forms(results: Sequence[Result]) -> list[str]:
    """For each mode the share of the calls on each form, with the reason for the lower one."""
    forms: Counter[tuple[str, str]] = Counter()
    for result in results:
        forms += result.forms
    lines = []
    for mode in MODES:
        total = sum(count for (asked, _), count in forms.items() if asked == mode)
        lines.append(f"asked for {mode}:")
        for (asked, form), count in forms.most_common():
            if asked == mode:
                lines.append(f"{count:6} {100 * count / total:5.1f} % {form}")
    return lines


def _machine(work: Path) -> list[str]:
    versions = [run([compiler, "--version"]).splitlines()[0] for compiler in COMPILERS]
    # csmith writes a file where it runs, even for this.
    csmith = run(["csmith", "--version"], work).splitlines()[0]
    processor = run(["sh", "-c", "grep -m1 'model name' /proc/cpuinfo"]).partition(":")[2].strip()
    return [*versions, csmith, processor]
