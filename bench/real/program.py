# SPDX-License-Identifier: MIT
"""A real program in every form of its dispatch, plain and with retpolines.

`pointer` is the program as it is; `trampoline`, `inline-asm` and `direct` are one recorded edit, compiled by
`instrument cc`; `hard-wired` calls the function that the pointer would hold. Only the files that the edit touches are
compiled anew for each form, so that the others are the same to the byte.
"""

from __future__ import annotations

import os
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.build import RETPOLINES, ROOT, run
from examples.xxhash.edit import Edit, apply

WORK = ROOT / "build" / "programs"
CC = "gcc-12"

MODES = ("trampoline", "inline-asm", "direct")
FORMS = ("pointer", *MODES, "hard-wired")
FLAVOURS = {"plain": (), "retpolines": RETPOLINES[CC]}
# Else it is luck where a form's functions and their loops fall among the cache lines: 14 % for one xxHash function
# that is the same to the byte (docs/performance-programs.md).
PLACED = ("-falign-functions=64",)


def compiler(form: str) -> list[str]:
    """Not --strict: a call with an argument on the stack is no inline asm, and that is a thing to measure."""
    return [sys.executable, "-m", "instrument", "cc", "--mode", form, "--", CC] if form in MODES else [CC]


@cache
def answer(question: str) -> tuple[str, ...]:
    """What `instrument --cflags` or `--libs` says."""
    return tuple(shlex.split(run([sys.executable, "-m", "instrument", question])))


@dataclass(frozen=True)
class Case:
    """One thing that is timed, and in what."""

    name: str
    unit: str


@dataclass(frozen=True)
class Goal:
    """In retpoline builds, at most this ratio to the pointer build."""

    case: str
    ratio: float


class Program(ABC):
    """One program: its files, how they are edited, what is linked of them, its tests and its benchmarks."""

    name: str
    cflags: tuple[str, ...] = ("-O2",)
    libs: tuple[str, ...] = ()
    common: tuple[str, ...]
    """The files that are the same in every form, from the source folder."""
    dispatching: tuple[str, ...]
    """The files that an edit touches."""
    programs: Mapping[str, tuple[str, ...]]
    """Each program's own files, beside all of the others."""
    cases: tuple[Case, ...]
    goals: tuple[Goal, ...] = ()

    @abstractmethod
    def write(self, form: str, out: Path) -> None:
        """The sources of the form, in a folder that does not exist."""

    @abstractmethod
    def test(self, form: str) -> str:
        """Runs the program's own tests, plain; what they say of themselves. SystemExit if one fails."""

    @abstractmethod
    def time(self, programs: Path) -> list[float]:
        """One time for each case, in its unit, by the programs in that folder."""

    def sources(self, form: str) -> Path:
        return WORK / self.name / "src" / ("static" if form in MODES else form)

    def bin(self, form: str, flavour: str) -> Path:
        return WORK / self.name / "bin" / f"{form}-{flavour}"

    def prepare(self) -> None:
        for form in ("pointer", MODES[0], "hard-wired"):
            if not self.sources(form).exists():
                self.write(form, self.sources(form))

    def build(self) -> None:
        """Every program in every form and flavour; two compilers at a time."""
        parts = [("common", self._common()), *((form, self.dispatching) for form in FORMS)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [pool.submit(self._runtime, flavour) for flavour in FLAVOURS]
            for flavour in FLAVOURS:
                jobs += [pool.submit(self._compile, form, flavour, file) for form, files in parts for file in files]
            for job in jobs:
                job.result()
            links = [pool.submit(self._link, form, flavour) for form in FORMS for flavour in FLAVOURS]
            for link in links:
                link.result()

    def _common(self) -> tuple[str, ...]:
        return (*self.common, *dict.fromkeys(file for files in self.programs.values() for file in files))

    def _object(self, form: str, flavour: str, file: str) -> Path:
        return WORK / self.name / "obj" / f"{form}-{flavour}" / Path(file).with_suffix(".o").name

    def _compile(self, form: str, flavour: str, file: str) -> None:
        out = self._object(form, flavour, file)
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = self.sources("pointer" if form == "common" else form)
        flags = [*self.cflags, *PLACED, *FLAVOURS[flavour], *answer("--cflags")]
        run([*compiler(form), *flags, "-c", file, "-o", out], cwd=folder)

    def _runtime(self, flavour: str) -> None:
        out = self._object("common", flavour, "static_call_runtime.c")
        out.parent.mkdir(parents=True, exist_ok=True)
        source, *flags = answer("--libs")
        run([CC, "-O2", *FLAVOURS[flavour], *answer("--cflags"), *flags, "-c", source, "-o", out])

    def _link(self, form: str, flavour: str) -> None:
        folder = self.bin(form, flavour)
        folder.mkdir(parents=True, exist_ok=True)
        shared = [*self.common, *(["static_call_runtime.c"] if form in MODES else [])]
        for program, files in self.programs.items():
            objects = [self._object("common", flavour, file) for file in (*files, *shared)]
            objects += [self._object(form, flavour, file) for file in self.dispatching]
            run([CC, *objects, *self.libs, "-pthread", "-o", folder / program])


def edit_files(folder: Path, edits: Mapping[str, Sequence[Edit]]) -> None:
    for name, wanted in edits.items():
        file = folder / name
        file.write_text(apply(file.read_text(), tuple(wanted)))
