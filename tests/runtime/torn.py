# SPDX-License-Identifier: MIT
"""Torn updates: torn.c, each protocol, transition, layout and number of threads.

`python -m tests.runtime.torn SECONDS [PROTOCOL...]` runs each protocol, or those, so long, and tells what happened.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.runtime.linking import compiled, direct
from tests.toolchain import FORMS as REWRITTEN
from tests.toolchain import attempt, build, instrumented, runtime_object

Form = tuple[str, str, str]  # mode, layout, compiler

PROTOCOLS = ("auto", "int3-push", "int3-resume", "int3-stub", "atomic")
TRANSITIONS = {
    "call-call": ("a", "b"),
    "call-nop": ("a", "null"),
    "nop-call": ("null", "a"),
    "call-constant": ("a", "ret0"),
    "constant-nop": ("ret0", "null"),
    "near-far": ("a", "far"),
    "far-null": ("far", "null"),
    "far-constant": ("far", "ret0"),
    "far-far": ("far", "far2"),
    "call-folded": ("a", "fold"),
    "folded-folded": ("fold", "fold2"),
    "folded-nop": ("fold", "null"),
}
THREADS = (2, 8)
LAYOUTS = ("aligned", "compact", "bare")
COMPILERS = ("gcc-12", "clang-19")
FORMS: tuple[Form, ...] = (
    *((mode, layout, "gcc-12") for mode, layout in REWRITTEN),
    *(("direct", layout, compiler) for layout, compiler in itertools.product(LAYOUTS, COMPILERS)),
)
SITES = 115
"""torn.c's 112, a tail call and a conditional one, and the updater's own."""
OTHERS = 3
"""One call each with a result in memory, which a wrapper makes as well; variadic; with many arguments."""


def build_torn(folder: Path, mode: str, layout: str, compiler: str) -> Path:
    if mode == "direct":
        binary = folder / f"torn-{layout}-{compiler}"
        patched = direct(folder / f"direct-{layout}-{compiler}", "torn", layout, compiler, "-O2")
        return compiled(compiler, patched, runtime_object("gcc-12", "-O2"), "-pthread", "-o", binary)
    sources = instrumented("torn", folder / f"out-{mode}-{layout}", mode, layout, compiler)
    return build(compiler, sources, folder / f"torn-{mode}-{layout}", "-O2")


def run_torn(
    binary: Path, protocol: str, transition: str, milliseconds: int, threads: int
) -> subprocess.CompletedProcess[str]:
    return attempt(
        [binary, *TRANSITIONS[transition], str(milliseconds), str(threads)],
        timeout=120 + milliseconds / 100,
        STATIC_CALL_PROTOCOL=protocol,
    )


def counted(said: str) -> Counter[str]:
    return Counter({name: int(number) for name, number in re.findall(r"(\w+) (\d+)", said)})


def stress(protocol: str, binaries: dict[Form, Path], seconds: float) -> Counter[str]:
    """Share the time between all that this protocol can do; the sums."""
    cases = list(itertools.product(FORMS, TRANSITIONS, THREADS))
    total: Counter[str] = Counter()
    for form, transition, threads in cases:
        done = run_torn(binaries[form], protocol, transition, int(1000 * seconds / len(cases)), threads)
        total += counted(done.stdout)
        if done.returncode:
            total["failed"] += 1
            print(f"{protocol} {form} {transition} {threads}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return total


def main() -> int:
    seconds, protocols = float(sys.argv[1]), sys.argv[2:] or PROTOCOLS
    columns = ("calls", "updates", "int3", "atomic", "traps", "stale", "syncs", "wrong", "failed")
    totals = {}
    with tempfile.TemporaryDirectory() as folder:
        binaries = {form: build_torn(Path(folder), *form) for form in FORMS}
        for protocol in protocols:
            totals[protocol] = stress(protocol, binaries, seconds)
            print(protocol, {column: totals[protocol][column] for column in columns}, flush=True)
    print(f"\n{seconds:g} s a protocol\n" + "".join(f"{word:>15}" for word in ("protocol", *columns)))
    for protocol, total in totals.items():
        print(f"{protocol:>15}" + "".join(f"{total[column]:15,}" for column in columns))
    return any(total["wrong"] or total["failed"] for total in totals.values())


if __name__ == "__main__":
    sys.exit(main())
