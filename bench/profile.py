# SPDX-License-Identifier: MIT
"""A static call beside a pointer call that gcc has promoted by a profile (bench/c/profile.c)."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from bench.build import RETPOLINES, SOURCES, compiled, linked, pinned, run, runtime, tool
from bench.measure import figures, interleaved
from bench.report import Report, version

COMPILER = "gcc-12"
SOURCE = SOURCES / "profile.c"
CALLS = 50_000_000
# A profile also has this loop unrolled, which is not what is asked here.
ONLY_PROMOTE = ("-fno-unroll-loops", "-fno-peel-loops")
HARD, POINTER, PROMOTED, DIRECT = "hard-wired", "pointer", "pointer, with a profile", "static call, direct"
# Case: whether the target lies in another file, and the words that change it.
CASES = {
    "the profile's target": (False, ()),
    "another target": (False, ("another",)),
    "in another file": (True, ()),
}


def program(folder: Path, way: str, elsewhere: bool, flags: tuple[str, ...]) -> Path:
    """One way to call, built; for a promoted one it is trained with its first target."""
    split = ("-DELSEWHERE",) if elsewhere else ()
    targets = [compiled(SOURCE, folder / "targets.o", COMPILER, *flags, "-DTARGETS")] if elsewhere else []
    object_file, out = folder / "profile.o", folder / "profile"
    macro: tuple[str, ...] = {HARD: ("-DHARD",), DIRECT: ("-DSTATIC",)}.get(way, ())
    if way == PROMOTED:
        trained = compiled(
            SOURCE, object_file, COMPILER, *flags, *split, "-fprofile-generate", f"-fprofile-dir={folder}"
        )
        run([linked(COMPILER, out, trained, *targets, "-fprofile-generate"), "1000000"], folder)
        macro = ("-fprofile-use", f"-fprofile-dir={folder}", *ONLY_PROMOTE)
    launcher = tool("--mode", "direct") if way == DIRECT else ()
    compiled(SOURCE, object_file, COMPILER, *flags, *split, *macro, launcher=launcher)
    rest = [runtime(folder, COMPILER)] if way == DIRECT else []
    return linked(COMPILER, out, object_file, *targets, *rest)


def once(path: Path, words: tuple[str, ...], calls: int) -> float:
    return float(run([path, str(calls), *words]))


def main(quick: bool) -> Report:
    rounds, calls = (2, 100_000) if quick else (15, CALLS)
    report = Report("profile", "A call beside profile-guided promotion", [f"{version(COMPILER)} -O2"])
    with tempfile.TemporaryDirectory(prefix="profile-") as name:
        for kind, flags in (("retpolines", RETPOLINES[COMPILER]), ("plain", ())):
            for case, (elsewhere, words) in CASES.items():
                series = {}
                for number, way in enumerate((HARD, POINTER, PROMOTED, DIRECT)):
                    folder = Path(name) / f"{kind}-{elsewhere}-{bool(words)}-{number}"
                    folder.mkdir()
                    series[way] = partial(once, program(folder, way, elsewhere, flags), words, calls)
                with pinned():
                    report.figures += figures(f"{kind}: {case}", "ns", interleaved(series, rounds))
    return report
