# SPDX-License-Identifier: MIT
"""What a million sites cost before the first update and at it, in time and memory; and the size of one site."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from bench.build import COMPILERS, SOURCES, compiled, linked, pinned, run, runtime, together, tool
from bench.measure import Series, figures, interleaved, wall
from bench.report import Goal, Report, version
from bench.update import CHUNK, LAYOUTS

COMPILER = "gcc-12"
MODES: dict[str, tuple[str, ...]] = {
    "hard-wired": (),
    "pointer": (),
    "inline-asm": ("--mode", "inline-asm"),
    "inline-asm, compact": ("--mode", "inline-asm", "--layout", "compact"),
    "direct": ("--mode", "direct"),
    "direct, compact": ("--mode", "direct", "--layout", "compact"),
    "direct, bare": ("--mode", "direct", "--layout", "bare"),
    "trampoline": ("--mode", "trampoline"),
}
FEW, MORE = 100, 600
"""Sites of two programs; what one has more than the other is what sites take."""


def build(folder: Path, chunks: int) -> tuple[Path, Path]:
    """The program with its table of sites, and without."""
    flags = ("-DSTATIC_CALL_INSTRUMENTED", f"-I{SOURCES}")
    main = partial(compiled, SOURCES / "startup.c", folder / "startup.o", COMPILER, *flags)
    jobs = [partial(runtime, folder, COMPILER), main]
    for name, more in (("with", ()), ("without", ("-DNO_TABLE",))):
        for kind, size in (("sites", ()), ("chunk", (f"-DCHUNK={CHUNK}",))):
            words = (*LAYOUTS["aligned"], *more, *size)
            jobs.append(partial(compiled, SOURCES / "update_sites.S", folder / f"{kind}-{name}.o", COMPILER, *words))
    library, program = together(jobs)[:2]
    progs = []
    for name in ("with", "without"):
        sites = (folder / f"sites-{name}.o", *[folder / f"chunk-{name}.o"] * chunks)
        progs.append(linked(COMPILER, folder / name, program, *sites, library))
    return progs[0], progs[1]


def source(sites: int, hard_wired: bool) -> str:
    call = "target" if hard_wired else "static_call(key)"
    functions = (f"int f{n}(int x);\nint f{n}(int x) {{ return {call}(x) + {n}; }}" for n in range(sites))
    target = "__attribute__((__noinline__)) int target(int x);\nint target(int x) { return x; }"
    return "\n".join(
        [
            "#include <static_call.h>",
            target,
            "DEFINE_STATIC_CALL(key, target);",
            *functions,
            "int main(void) { return 0; }",
            "",
        ]
    )


def sizes(prog: Path) -> dict[str, int]:
    """Bytes of text, of other loaded sections, and of the sites' notes, which are not loaded."""
    found = {"text": 0, "data": 0, "not loaded": 0}
    with prog.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            flags = section["sh_flags"]
            if section.name == ".static_call_notes":
                found["not loaded"] += section["sh_size"]
            elif flags & SH_FLAGS.SHF_ALLOC and section.name != ".dynsym" and section.name != ".dynstr":
                found["text" if flags & SH_FLAGS.SHF_EXECINSTR else "data"] += section["sh_size"]
    return found


def sized(folder: Path, compiler: str, mode: str, sites: int) -> Path:
    name = f"{compiler}-{mode.replace(', ', '-')}-{sites}"
    text = folder / f"{name}.c"
    text.write_text(source(sites, mode == "hard-wired"))
    launcher = tool(*MODES[mode]) if MODES[mode] else ()
    made = compiled(text, folder / f"{name}.o", compiler, launcher=launcher)
    return linked(compiler, folder / name, made, runtime(folder, compiler))


def site_sizes(folder: Path, compilers: tuple[str, ...]) -> dict[str, Series]:
    """By compiler and kind of bytes what each mode takes a site, over a hard-wired call and its function."""
    found: dict[str, Series] = {}
    for compiler in compilers:
        runtime(folder, compiler)
        both = [partial(sized, folder, compiler, mode, sites) for mode in MODES for sites in (FEW, MORE)]
        made = list(map(sizes, together(both)))
        for number, mode in enumerate(MODES):
            few, more = made[2 * number : 2 * number + 2]
            for kind, size in few.items():
                case = f"{compiler}: {kind}, a function with a call"
                found.setdefault(case, {})[mode] = [(more[kind] - size) / (MORE - FEW)]
    return found


def memory(progs: dict[str, Path], rounds: int) -> tuple[Series, Series, Series]:
    """Milliseconds, resident and private dirty MiB, by the step of startup.c and for the program without a table."""
    times: Series = {}
    resident: Series = {}
    dirty: Series = {}
    for _ in range(rounds):
        for name, prog in progs.items():
            for line in run([prog, "memory"]).splitlines():
                step, kib, private, ns = line.split("|")
                if name == "without" and step != "registered":
                    continue
                title = "no table" if name == "without" else step
                resident.setdefault(title, []).append(int(kib) / 1024)
                dirty.setdefault(title, []).append(int(private) / 1024)
                if float(ns):
                    times.setdefault(title, []).append(float(ns) / 1e6)
    return times, resident, dirty


def main(quick: bool) -> Report:
    report = Report("startup", "Cost of start-up and size", [f"{version(name)} -O2" for name in COMPILERS])
    chunks, rounds = (1, 2) if quick else (100, 41)
    with tempfile.TemporaryDirectory(prefix="bench-startup-") as name:
        folder = Path(name)
        prog, without = build(folder, chunks)
        with pinned():
            ways = {
                "no table": lambda: 1000 * wall([without]),
                "no table, again": lambda: 1000 * wall([without]),
                "a million sites": lambda: 1000 * wall([prog]),
            }
            interleaved(ways, 1)
            report.figures += figures("start to end of a program", "ms", interleaved(ways, rounds))
            times, resident, dirty = memory({"without": without, "with": prog}, 2 if quick else 7)
        report.figures += figures("a million sites: updates", "ms", times)
        report.figures += figures("a million sites: resident", "MiB", resident)
        report.figures += figures("a million sites: private and dirty", "MiB", dirty)
        for case, series in site_sizes(folder, COMPILERS[:1] if quick else COMPILERS).items():
            report.figures += figures(case, "bytes", series)
    one = report.find("start to end of a program", "a million sites")
    floor = report.find("start to end of a program", "no table, again")
    limit = max(floor.ratio_high or 0, 1.02)
    report.goals = [
        Goal(
            "registering a million sites costs nothing measurable",
            (one.ratio or 0) <= limit,
            f"{one.ratio:.3f} ({one.ratio_low:.3f}-{one.ratio_high:.3f}) of the program without a table; "
            f"that one again {floor.ratio:.3f} ({floor.ratio_low:.3f}-{floor.ratio_high:.3f})",
        )
    ]
    return report
