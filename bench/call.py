# SPDX-License-Identifier: MIT
"""The cost of a call, in every way to make one (bench/c/call.h tells how they come into one process)."""

from __future__ import annotations

import re
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.build import COMPILERS, RETPOLINES, SOURCES, compiled, linked, pinned, run, runtime, together, tool
from bench.measure import Series, figures
from bench.report import Figure, Goal, Report, at_most, version

COPIES = 4
KEYS = 4096
FEW_KEYS = 64


@dataclass(frozen=True)
class Way:
    """A way to call: its macro in call_ways.h, or the launcher's options."""

    name: str
    macro: str = "STATIC"
    options: tuple[str, ...] = ()
    retpoline: bool = False


WAYS = (
    Way("hard-wired", "HARD"),
    Way("hard-wired, again", "HARD"),
    Way("inline-asm", options=("--mode", "inline-asm")),
    Way("inline-asm, compact", options=("--mode", "inline-asm", "--layout", "compact")),
    Way("direct", options=("--mode", "direct")),
    Way("direct, bare", options=("--mode", "direct", "--layout", "bare")),
    Way("trampoline", options=("--mode", "trampoline")),
    Way("pointer", "POINTER"),
    Way("ifunc", "IFUNC"),
    Way("switch", "SWITCH"),
    Way("pointer, retpoline", "POINTER", retpoline=True),
)
CASES = ("empty", "small", "64-byte hash", "small, far", "NULL", "RET0", "constant", "mispredicted", "cold caches")
"""In this order they are shown, before those with many keys."""
DRAWN = ("empty", "NULL", "mispredicted", "cold caches")
"""What one picture can hold, of the first compiler; the rest is in the tables."""
NOTHING = ("NULL", "RET0", "constant")
"""Cases where a site of a static call is no call at all."""


def write_keys(folder: Path, in_turn: tuple[int, int]) -> None:
    """call_keys.h, call_keys.c and call_keys_loops.h: keys with a target each, and loops over so many of them."""
    numbers = range(max(in_turn))
    declared = [f"void target_k{n}(void);\nDECLARE_STATIC_CALL(k{n}, target_k{n});" for n in numbers]
    defined = [f"void target_k{n}(void) {{}}\nDEFINE_STATIC_CALL(k{n}, target_k{n});" for n in numbers]
    resolved = [
        f"static void *resolve_k{n}(void) {{ return (void *)target_k{n}; }}\n"
        f'void ifunc_k{n}(void) __attribute__((__ifunc__("resolve_k{n}")));'
        for n in numbers
    ]
    ways = "#if defined IFUNC\n{}\n#elif defined SWITCH\n{}\n#endif".format(
        "\n".join(f"void ifunc_k{n}(void);" for n in numbers),
        "\n".join(
            f"INLINE void switch_k{n}(void) {{ if (CHOICE) target_empty(); else target_k{n}(); }}" for n in numbers
        ),
    )
    loops = []
    for count in in_turn:
        calls = "\n".join(f"\t\tstatic_call(k{n})();" for n in range(count))
        loops.append(
            f"TURNED keys_{count}(long turns)\n{{\n\tPAD;\n\tfor (; turns; turns--) {{\n{calls}\n\t}}\n}}\n"
            f'LOOP("{count} keys in turn", keys_{count}, {count}, 0);'
        )
    # One call alone would be fetched while the processor waits for the time.
    few = min(in_turn)
    calls = "\n".join(f"\t\tstatic_call(k{n})();" for n in range(few))
    loops.append(f"""TURNED keys_cold(long turns)
{{
	for (; turns; turns--) {{
		unsigned core;
		unsigned long began;

		evict();
		began = __rdtscp(&core);
{calls}
		cold_ticks[(turns - 1) % COLD_TURNS] = __rdtscp(&core) - began;
	}}
}}
LOOP("cold caches", keys_cold, {few}, 1);""")
    head = '#include "call.h"\n'
    (folder / "call_keys.h").write_text(head + "\n".join(declared) + "\n")
    (folder / "call_keys.c").write_text("\n".join(['#include "call_keys.h"', *defined, *resolved, ""]))
    (folder / "call_keys_loops.h").write_text(
        "\n".join(['#include "call_keys.h"', "#include <x86intrin.h>", ways, *loops, ""])
    )


def build(folder: Path, compiler: str, keys: tuple[int, int], copies: int) -> Path:
    write_keys(folder, keys)
    include = (f"-I{SOURCES}", f"-I{folder}")
    jobs = [partial(runtime, folder, compiler)]
    # No call is in these, so what `instrument` does is not needed.
    plain = [SOURCES / name for name in ("call.c", "call_targets.c", "call_evict.S")]
    for source in (*plain, folder / "call_keys.c"):
        flags = (*include, "-DSTATIC_CALL_INSTRUMENTED")
        jobs.append(partial(compiled, source, folder / f"{source.stem}.o", compiler, *flags))
    for number, way in enumerate(WAYS):
        flags = (*include, f"-D{way.macro}", f'-DWAY="{way.name}"', *(RETPOLINES[compiler] if way.retpoline else ()))
        launcher = tool(*way.options) if way.options else ()
        for copy in range(copies):
            out = folder / f"loops-{number}-{copy}.o"
            source = SOURCES / "call_loops.c"
            jobs.append(partial(compiled, source, out, compiler, *flags, f"-DCOPY={copy}", launcher=launcher))
    objects = together(jobs)
    library = folder / "libcall_far.so"
    run([compiler, "-O2", "-shared", "-fPIC", SOURCES / "call_far.c", "-o", library])
    return linked(compiler, folder / "call", *objects, library, "-Wl,-rpath,$ORIGIN")


def parsed(text: str) -> tuple[dict[str, Series], list[str]]:
    """By case what each way took, a value a round, the mean of its copies; and what is told of the sites."""
    copies: dict[tuple[str, str, int], list[float]] = {}
    told = []
    for line in text.splitlines():
        if line.startswith("#"):
            told.append(line[2:])
            continue
        case, way, _, turn, ns = line.split("|")
        copies.setdefault((case, way, int(turn)), []).append(float(ns))
    cases: dict[str, Series] = {}
    order = [way.name for way in WAYS]
    for case, way, _ in sorted(copies, key=lambda key: order.index(key[1])):
        cases.setdefault(case, {}).setdefault(way, [])
    for (case, way, _), values in copies.items():
        cases[case][way].append(statistics.fmean(values))
    return cases, told


def counted(prog: Path) -> dict[str, dict[str, float]]:
    """By case and way the instructions of a call, with its share of the loop, as callgrind counts them."""
    folder = prog.parent
    run(
        ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--callgrind-out-file=counts", prog, "count"],
        cwd=folder,
    )
    found: dict[str, dict[str, float]] = {}
    for path in folder.glob("counts.*"):
        text = path.read_text()
        trigger = re.search(r"^desc: Trigger: Client Request: (.*)\|(.*)\|(\d+)$", text, re.M)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
        if trigger and total:
            found.setdefault(trigger[1], {})[trigger[2]] = int(total[1]) / int(trigger[3])
    return found


def pairs(report: Report, ways: tuple[str, ...], other: str) -> Iterator[tuple[Figure, float]]:
    """The figures of some ways, and how many times as long the other way takes in the same case."""
    for one in report.figures:
        if one.way in ways:
            yield one, report.find(one.case, other).value / one.value


def goals(report: Report) -> list[Goal]:
    ours = ("inline-asm", "direct")
    mine = [one for one in report.figures if one.way in ours]
    nothing = [one for one in mine if one.case.split(": ")[1] in NOTHING]
    calls = [one for one in mine if one not in nothing]
    again = [one for one in report.figures if one.way == "hard-wired, again"]
    slower = [(one, 1 / times) for one, times in pairs(report, ours, "pointer") if times < 1]
    empty = [(one, times) for one, times in pairs(report, ours, "pointer, retpoline") if one.case.endswith(": empty")]
    least = min(empty, key=lambda pair: pair[1])
    worst = max(slower, key=lambda pair: pair[1], default=None)
    return [
        at_most("inline-asm and direct within 2 % of a hard-wired call", 1.02, calls),
        at_most("... and so a second copy of the hard-wired loops: the noise", 1.02, again),
        Goal(
            "never slower than a pointer",
            not slower,
            f"{len(slower)} of {len(mine)} slower"
            + (f"; worst {worst[1]:.3f}: {worst[0].case}, {worst[0].way}" if worst else ""),
        ),
        Goal(
            "five times as fast as a pointer with retpolines (empty target)",
            least[1] >= 5,
            f"at least {least[1]:.1f} times: {least[0].case}, {least[0].way}",
        ),
        at_most("NULL, RET0 and constant sites cheaper than a hard-wired call", 1, nothing),
    ]


def main(quick: bool) -> Report:
    report = Report("call", "Cost of a call", [f"{version(compiler)} -O2" for compiler in COMPILERS])
    few, keys, copies, rounds, microseconds = (4, 8, 1, 3, 5) if quick else (FEW_KEYS, KEYS, COPIES, 31, 200)
    for compiler in COMPILERS[:1] if quick else COMPILERS:
        with tempfile.TemporaryDirectory(prefix="bench-call-") as name:
            prog = build(Path(name), compiler, (few, keys), copies)
            counts = counted(prog)
            with pinned():
                cases, told = parsed(run([prog, "time", str(rounds), str(microseconds)]))
        report.notes += [f"{compiler}: {line}" for line in told]
        for case, series in sorted(cases.items(), key=lambda item: CASES.index(item[0]) if item[0] in CASES else 99):
            report.figures += figures(f"{compiler}: {case}", "ns a call", series, counts.get(case))
    report.goals = goals(report)
    report.shown = [f"{COMPILERS[0]}: {case}" for case in DRAWN]
    return report
