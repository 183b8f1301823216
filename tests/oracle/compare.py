# SPDX-License-Identifier: MIT
"""One compile, plain and through the launcher: every file that it leaves, what it says and its status, compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.packages import Package, sources
from tests.toolchain import attempt

LAUNCHER = (str(Path(sys.executable).with_name("instrument")), "cc")
MODES = ("inline-asm", "trampoline", "direct")
COMPILERS = ("gcc-12", "clang-19")

# What a compiler makes up for each run is fixed, as who builds reproducibly does it.
_SEED = "-frandom-seed=oracle"
# With {name}, the source's base name; the object is objects/{name}.o unless it is named here.
FLAGS = (
    "-O0",
    "-O0 -g3 -MD",
    "-O1 -g -MD -MF deps/{name}.d -MP",
    "-O0 -g -gsplit-dwarf -MMD -MFdeps/{name}.d -MT deps/{name}.d",
    f"-O0 -flto {_SEED} -MD -MQ $(out)/{{name}}.o",
    f"-O0 --coverage {_SEED} -MMD -MP -MF deps/{{name}}.d",
    "-O0 -save-temps=obj -MD -MF deps/{name}.d",
    "-O0 -save-temps -g -Wp,-MD,deps/{name}.d",
    "-O1 -pipe -fPIC -MD -MT one -MT two -Wall -Wextra",
)
LONG_FLAGS = (
    *FLAGS,
    "-O2 -g -fPIC -MD",
    # gcc 12 itself makes another .dwo each time if that has location lists.
    "-O2 -g -gsplit-dwarf -fno-var-tracking -fdebug-prefix-map={here}=/src",
    "-O2 -g -gdwarf-4",
    f"-Os -flto -ffat-lto-objects {_SEED}",
    "-O2 -g1 -gz -ffunction-sections -fdata-sections -MMD",
    "-O2 -pipe -masm=intel -fcf-protection=full -fstack-protector-strong",
    "-O2 -std=gnu17 -D_FORTIFY_SOURCE=2 -fno-plt -frecord-gcc-switches",
    "-O3 -march=x86-64-v3 -fno-omit-frame-pointer -mindirect-branch=thunk",
    "-O0 -g -E -dD -o objects/{name}.i",
    "-O2 -S -fverbose-asm -o objects/{name}.s",
    "-O0 -M -MF deps/{name}.d",
    "-O0 -fsyntax-only -Wall -Wextra",
)


@dataclass(frozen=True)
class Case:
    """`modes` are those of the launcher that the plain compile is held against. `mentions`: the source names the API
    in a comment, so that it is not known beforehand that it has no calls."""

    package: Package
    source: Path
    compiler: str
    flags: str
    modes: tuple[str, ...] = MODES
    mentions: bool = False

    def __str__(self) -> str:
        about = ", the API mentioned" if self.mentions else ""
        return f"{self.package.name}/{self.source.name}: {self.compiler} {self.flags}{about}"


@dataclass(frozen=True)
class Outcome:
    """What a compile leaves: files by their path, words, status."""

    status: int
    said: str
    files: Mapping[str, bytes]


def all_cases(package: Package) -> list[Case]:
    """Each source with every set of flags by both compilers."""
    return [
        Case(package, source, compiler, flags, mentions=mentions)
        for source in sources(package)
        for compiler in COMPILERS
        for flags in LONG_FLAGS
        for mentions in (False, True)
        if not ("-mindirect-branch" in flags and "clang" in compiler)
    ]


def some_cases(package: Package) -> list[Case]:
    """Each source by both compilers once: the sets of flags, the modes and the mention are taken in turn."""
    return [
        Case(package, source, compiler, FLAGS[i % len(FLAGS)], (MODES[i % len(MODES)],), mentions=i // 2 % 2 == 1)
        for i, source in enumerate(sources(package))
        for compiler in COMPILERS
    ]


def differences(case: Case, folder: Path, launcher: Sequence[str] = LAUNCHER) -> list[str]:
    """What the launcher has changed, for people; all compiled in `folder` by one name, which may be in an object."""
    flags = [word.format(name=case.source.stem, here=folder) for word in case.flags.split()]
    output = [] if {"-o", "-M", "-fsyntax-only"} & set(flags) else ["-o", f"objects/{case.source.stem}.o"]
    stage = [] if {"-E", "-S", "-M", "-fsyntax-only"} & set(flags) else ["-c"]
    command = [case.compiler, *flags, *case.package.flags, *stage, case.source.name, *output]
    plain = _compiled(case, command, folder)
    assert plain.status == 0, plain.said
    assert plain.files or "-fsyntax-only" in flags
    return [
        f"{difference} (--mode {mode})"
        for mode in case.modes
        for difference in _compared(plain, _compiled(case, [*launcher, "--mode", mode, "--", *command], folder))
    ]


def _compiled(case: Case, command: Sequence[str], folder: Path) -> Outcome:
    shutil.rmtree(folder, ignore_errors=True)
    src = folder / "src"
    shutil.copytree(case.source.parent, src)
    # tree-sitter's own headers are beside its sources' directory.
    if (include := case.source.parent.parent / "include").is_dir():
        shutil.copytree(include, folder / "include")
    if case.mentions:
        with (src / case.source.name).open("a") as file:
            file.write("/* There is no static_call() in it. */\n")
    for name in ("objects", "deps"):
        (src / name).mkdir()
    before = {path for path in folder.rglob("*") if path.is_file()}
    done: subprocess.CompletedProcess[str] = attempt(command, cwd=src)
    made = {path for path in folder.rglob("*") if path.is_file()} - before
    return Outcome(
        done.returncode,
        done.stdout + done.stderr,
        {str(path.relative_to(folder)): path.read_bytes() for path in made},
    )


def _compared(plain: Outcome, launched: Outcome) -> list[str]:
    found = []
    if plain.status != launched.status:
        found.append(f"exit status {launched.status} in place of {plain.status}")
    if plain.said != launched.said:
        found.append(f"says {launched.said!r} in place of {plain.said!r}")
    for name in sorted(plain.files.keys() | launched.files.keys()):
        ours, theirs = launched.files.get(name), plain.files.get(name)
        if ours is None or theirs is None:
            found.append(f"{name} is {'missing' if ours is None else 'one too many'}")
        elif ours != theirs:
            found.append(f"{name} differs")
    return found
