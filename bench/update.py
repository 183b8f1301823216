# SPDX-License-Identifier: MIT
"""The cost of an update, by sites, busy threads, protocol and layout; what callers notice; LLVM's XRay beside it."""

from __future__ import annotations

import re
import statistics
import tempfile
from functools import partial
from pathlib import Path

from bench.build import INCLUDE, SOURCES, compiled, linked, run, runtime, together
from bench.measure import Series, figures
from bench.report import Figure, Goal, Report, version

COMPILER = "gcc-12"
XRAY = "clang-19"
LAYOUTS = {
    "aligned": ("-DPREFIXES=3",),
    "compact": ("-DPREFIXES=1",),
    "bare": ("-DPREFIXES=0",),
    # Sites that nobody knows of: the trampoline alone changes.
    "trampoline": ("-DPREFIXES=0", "-DNO_TABLE"),
}
SITES = {"1": 1, "100": 100, "10000": 10_000, "10000 keys": 10_000, "1000000": 1_000_000}
STORMS = {
    "aligned": ("auto", "int3-push", "int3-stub", "int3-resume"),
    "compact": ("auto",),
    "bare": ("auto",),
    "trampoline": ("auto", "pointer"),
}
RATES = (0, 1_000, 10_000, 100_000, 1_000_000)
CHUNK = 10_000
XRAY_FLAGS = ("-fxray-instrument",)
XRAY_SITES = (2, 100, 10_000, 1_000_000)
PUBLISHED = (
    "published: Linux's jump_label in batches, 56 sites and more, 24 processors: 1.4 ms (LKML, 21 Dec 2018)",
    "published: liteinst: 15 threads keep 99.8 % of their calls at 1e4 toggles a second, 84.5 % at 1e6 (its data)",
    "published: semi-static-conditions: 110 to 120 cycles; one jump, one thread, a page left writable (branch.hpp)",
)


def write_keys(folder: Path, keys: int) -> None:
    """many.c with the keys of the transaction, and many.inc with a site for each."""
    names = [f"many{n}" for n in range(keys)]
    (folder / "many.inc").write_text("\n".join(f"\tSITE {name}" for name in names) + "\n")
    lines = ['#include "update_keys.h"', *(f"DEFINE_STATIC_CALL({name}, first);" for name in names)]
    lines.append("struct static_call_key *const many_keys[] = {")
    lines += [f"\t&STATIC_CALL_KEY({name})," for name in names]
    lines += ["};", f"const unsigned long many_count = {keys};", ""]
    (folder / "many.c").write_text("\n".join(lines))


def sites(folder: Path, layout: str) -> list[partial[Path]]:
    """Jobs: sites-LAYOUT.o, and chunk-LAYOUT.o with some of the largest key's."""
    source = SOURCES / "update_sites.S"
    flags = LAYOUTS[layout]
    return [
        partial(compiled, source, folder / f"sites-{layout}.o", COMPILER, *flags),
        partial(compiled, source, folder / f"chunk-{layout}.o", COMPILER, *flags, f"-DCHUNK={CHUNK}"),
    ]


def build(folder: Path, keys: int, chunks: int) -> None:
    """update-LAYOUT and storm-LAYOUT, each. No call is written in C, so nothing is there for `instrument` to do."""
    write_keys(folder, keys)
    flags = ("-DSTATIC_CALL_INSTRUMENTED", f"-I{SOURCES}", f"-I{folder}")
    jobs = [partial(runtime, folder, COMPILER)]
    for source in (SOURCES / "update.c", SOURCES / "storm.c", folder / "many.c"):
        jobs.append(partial(compiled, source, folder / f"{source.stem}.o", COMPILER, *flags))
    for layout, options in LAYOUTS.items():
        out = folder / f"many-{layout}.o"
        many = (*flags, *options, '-DKEYS="many.inc"')
        jobs += [*sites(folder, layout), partial(compiled, SOURCES / "update_sites.S", out, COMPILER, *many)]
    library = together(jobs)[0]
    for layout in LAYOUTS:
        both = (folder / f"sites-{layout}.o", *[folder / f"chunk-{layout}.o"] * chunks, library)
        many_keys = (folder / "many.o", folder / f"many-{layout}.o")
        linked(COMPILER, folder / f"update-{layout}", folder / "update.o", *many_keys, *both)
        linked(COMPILER, folder / f"storm-{layout}", folder / "storm.o", *both)


def build_xray(folder: Path, numbers: tuple[int, ...]) -> dict[int, Path]:
    """A program for each number of sites; and storm-xray."""
    made = {}
    main = compiled(SOURCES / "xray.c", folder / "xray.o", XRAY)
    for number in numbers:
        size = min(number, CHUNK)
        chunk = compiled(SOURCES / "xray_sites.S", folder / f"xray-{size}.o", XRAY, f"-DFUNCTIONS={size // 2}")
        copies = [chunk] * (number // size)
        made[number] = linked(XRAY, folder / f"xray-{number}", *XRAY_FLAGS, main, *copies)
    linked(XRAY, folder / "storm-xray", "-O2", *XRAY_FLAGS, "-DXRAY", INCLUDE, SOURCES / "storm.c")
    return made


def updates(layout: str, text: str) -> tuple[list[Figure], dict[str, set[int]]]:
    """Figures of what update.c or xray.c printed; and by protocol how many synchronisations an update took."""
    found: dict[tuple[str, int], Series] = {}
    synchronisations: dict[str, set[int]] = {}
    for line in text.splitlines():
        sites, threads, change, protocol, turn, ns, syncs = line.split("|")
        if int(turn) < 0:
            continue
        many = ", one site a key" if "keys" in sites else ""
        case = f"{layout}: {change}{many}, {threads} busy threads"
        x = SITES.get(sites) or int(sites)
        found.setdefault((case, x), {}).setdefault(protocol, []).append(float(ns) / 1000)
        synchronisations.setdefault(protocol, set()).add(int(syncs))
    made = []
    for (case, x), series in found.items():
        rounds = min(map(len, series.values()))
        made += figures(case, "us an update", {way: values[:rounds] for way, values in series.items()}, x=x)
    return made, synchronisations


def storms(layout: str, text: str) -> tuple[list[Figure], list[str]]:
    """Throughput and tail by rate of updates; and which rates were not reached."""
    found: dict[str, dict[int, list[list[float]]]] = {}
    for line in text.splitlines():
        way, asked, _, *values = line.split("|")
        found.setdefault(way, {}).setdefault(int(asked), []).append([float(value) for value in values])
    made, missed = [], []
    for way, rates in found.items():
        title = f"{layout}, {way}" if layout not in (way, "XRay") and way != "pointer" else way
        for column, what, unit, scale in (
            (0, "calls", "million a second", 1e-6),
            (1, "99.9 % of calls within", "ns", 1),
        ):
            series = {
                f"{rate:,} updates a second": [row[column] * scale for row in rows] for rate, rows in rates.items()
            }
            made += figures(f"{what}, {title}", unit, series)
        for rate, rows in rates.items():
            came = statistics.median(row[2] for row in rows)
            if came < 0.9 * rate:
                missed.append(f"{title}: of {rate:,} updates a second {came:,.0f} were made")
    return made, missed


def per_site(report: Report, few: int, many: int) -> list[Figure]:
    """What each further site of the largest key costs, nothing else running."""
    made = []
    for there in report.figures:
        if there.x == many and ", 0 busy" in there.case and not there.case.startswith(("XRay", "trampoline")):
            here = report.find(there.case, there.way, few)
            case = f"{there.case}: each site beyond {few:,}"
            value, low, high = (
                1000 * (more - less) / (many - few)
                for more, less in ((there.value, here.value), (there.low, here.high), (there.high, here.low))
            )
            made.append(Figure(case, there.way, "ns", value, low, high, there.rounds))
    return made


FLOORS = {"auto": "floor, 1 syncs", "int3-push": "floor, 3 syncs"}


def over_the_floor(report: Report) -> list[Goal]:
    """An update beside the system calls that it cannot do without, in the same run."""
    made = []
    for sites, most in ((1, 1.5), (100, 2.0)):
        found = {}
        for way, floor in FLOORS.items():
            case = "aligned: target, 0 busy threads"
            found[way] = report.find(case, way, sites).value / report.find(case, floor, sites).value
        said = ", ".join(f"{way} {ratio:.2f}" for way, ratio in found.items())
        made.append(Goal(f"{sites} sites, idle: at most {most} times the floor", max(found.values()) <= most, said))
    return made


def goals(report: Report, synchronisations: dict[str, set[int]], sites: list[Figure]) -> list[Goal]:
    most = max(max(counts) for counts in synchronisations.values())
    worst = max(sites, key=lambda one: one.value)
    bad = sum(one.value > 30 for one in sites)
    kept = [one for one in report.figures if one.case.startswith("calls, ") and one.way.startswith("10,000 ")]
    ours = [one for one in kept if "XRay" not in one.case and "pointer" not in one.case]
    least = min(ours, key=lambda one: one.ratio or 0)
    lost = sum((one.ratio or 0) < 0.95 for one in ours)
    return [
        Goal(
            "a constant number of synchronisations a commit",
            most <= 3,
            ", ".join(f"{name} {'-'.join(map(str, sorted(counts)))}" for name, counts in synchronisations.items()),
        ),
        Goal(
            "at most 30 ns a site beyond 10,000 sites",
            not bad,
            f"{bad} of {len(sites)} above; worst {worst.value:.1f}: {worst.case}, {worst.way}",
        ),
        Goal(
            "callers keep 95 % of their throughput at 10,000 updates a second",
            not lost,
            f"{lost} of {len(ours)} below; least {least.ratio:.3f}: {least.case}",
        ),
        *over_the_floor(report),
    ]


def main(quick: bool) -> Report:
    report = Report("update", "Cost of an update", [f"{version(name)} -O2" for name in (COMPILER, XRAY)])
    keys, chunks, rounds = (100, 2, 1) if quick else (10_000, 100, 15)
    storm_rounds, milliseconds = (1, 2) if quick else (5, 60)
    counts: dict[str, set[int]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-update-") as name:
        folder = Path(name)
        build(folder, keys, chunks)
        xray = build_xray(folder, XRAY_SITES[:2] if quick else XRAY_SITES)
        for layout in LAYOUTS:
            made, synchronisations = updates(layout, run([folder / f"update-{layout}", str(rounds)]))
            report.figures += made
            for protocol, numbers in synchronisations.items():
                counts.setdefault(protocol, set()).update(numbers)
        for number, prog in xray.items():
            report.figures += updates("XRay", run([prog, str(number), str(rounds)]))[0]
        for layout, ways in {**STORMS, "XRay": ("XRay",)}.items():
            prog = folder / f"storm-{layout.lower()}"
            made, missed = storms(layout, run([prog, str(storm_rounds), str(milliseconds), *ways]))
            report.figures += made
            report.notes += missed
    sites = per_site(report, 10_000, 1_000_000)
    report.figures += sites
    report.goals = goals(report, counts, sites)
    report.notes += PUBLISHED
    drawn = re.compile(r"aligned: (target|NULL), 0 busy.*|.*: (target|NULL), 2 busy.*|calls, .*")
    report.shown = [case for case in report.cases() if drawn.match(case)]
    return report
