# SPDX-License-Identifier: MIT
"""What a whole run of `instrument` costs, on a real tree and on made ones, beside what others take for the same.

    python -m bench --only tool

The real tree is a part of Linux from Debian's package linux-source-6.1, pinned below, with a directory of files that
use the userspace static_call.h. Others: ripgrep, which only finds the token; ast-grep and Coccinelle's spatch, which
find and rewrite the same calls and print a diff; cp, which only copies. Processor time is that of all processes of a
command, user and system: unlike the wall's, it stands still while others have the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.measure import Series, figures, interleaved
from bench.report import Figure, Goal, Report

LINUX = "linux-source-6.1=6.1.192-2"
SHA256 = "ae95fe63d4c553f8d0e6c86cb1ab566f3894a43743eb19ab585cd97d82f26514"
PARTS = ("arch/x86", "block", "crypto", "fs", "include", "kernel", "lib", "mm", "net")

USER = """#include <stdio.h>
#include <static_call.h>
static int first_{n}(int x) {{ return x; }}
DEFINE_STATIC_CALL(key_{n}, first_{n});
int use_{n}(int x) {{ return static_call(key_{n})(x) + static_call(key_{n})(x + 1); }}
"""
FILLER = "".join(
    f"static int helper_{n}(const struct thing *t, int x)\n{{\n\t/* its work */\n\treturn t->value * x + {n};\n}}\n\n"
    for n in range(20)
)
COCCI = "@@ identifier K; expression list E; @@\n- static_call(K)(E)\n+ __SCW__call(K, E)\n"
KEYS = 100
YOUNG = 2.2
"""Seconds until times are old enough for a seal."""


# ---- trees ----------------------------------------------------------------------------------------


def linux(place: Path, parts: Sequence[str]) -> Path:
    """The pinned kernel's `parts` below `place`. SystemExit where the package is not the one that is pinned."""
    subprocess.run(["apt-get", "download", "-qq", LINUX], cwd=place, check=True, stderr=subprocess.DEVNULL)
    package = next(place.glob("*.deb"))
    # Not at a gulp: what we hold at a fork counts for the child's memory.
    with package.open("rb") as file:
        right = hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    if not right:
        raise SystemExit(f"error: {package.name} is not the file that bench/tool.py pins")
    subprocess.run(["dpkg-deb", "-x", package, place / "package"], check=True)
    archive = next(place.glob("package/usr/src/*.tar.xz"))
    folders = [f"{archive.name.removesuffix('.tar.xz')}/{part}" for part in parts]
    subprocess.run(["tar", "xf", archive, *folders], cwd=place, check=True)
    shutil.rmtree(place / "package")
    return place / folders[0].split("/")[0]


def made(root: Path, files: int) -> Path:
    """A tree of C files of 2 kB without a static call."""
    for n in range(files):
        folder = root / f"dir{n % 400}"
        if n < 400:
            folder.mkdir(parents=True)
        (folder / f"file{n}.c").write_text(f"struct thing {{ int value; }};\n{FILLER}")
    return root


def users(root: Path, number: int) -> Path:
    """`number` files with static calls in a directory of `root`; the compile_commands.json that tells of them."""
    folder = root / "static-call-users"
    folder.mkdir()
    for n in range(number):
        (folder / f"user{n}.c").write_text(USER.format(n=n))
    entries = [
        {"directory": str(folder), "file": path.name, "arguments": ["gcc", "-c", path.name]}
        for path in sorted(folder.iterdir())
    ]
    database = root.parent / "compile_commands.json"
    database.write_text(json.dumps(entries))
    return database


def amalgamation(path: Path, size: int) -> Path:
    """One file of about `size` bytes: KEYS keys, functions of 3 kB as in sqlite3.c, two calls in each."""
    path.parent.mkdir()
    work = "".join(f"\tx = (x ^ {n}) * 33 + (x >> {n % 7 + 1}); /* one more */\n" for n in range(60))
    text = (
        "int more_{n}(int x)\n{{\n{work}\treturn static_call(key_{key})(x) + static_call(key_{key})(x + 1);\n}}\n\n"
    )
    pieces = [USER.format(n=n) for n in range(KEYS)]
    pieces += [text.format(n=n, key=n % KEYS, work=work) for n in range(size // len(work))]
    path.write_text("".join(pieces))
    return path


# ---- clocks ---------------------------------------------------------------------------------------

Cost = tuple[float, float, float]
"""Wall seconds, processor seconds, the largest process in MB."""


# A child's peak of memory begins with that of the process that forks it, which has a plotting library in it here. So
# a small one starts the command.
_WATCH = """\
import os, sys, time
silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, used = os.wait4(child, 0)
wall = time.perf_counter() - started
print(os.waitstatus_to_exitcode(status), wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def cost(*command: object, fine: tuple[int, ...] = (0,)) -> Cost:
    words = [str(word) for word in command]
    watched = [sys.executable, "-I", "-S", "-c", _WATCH, *words]
    told = subprocess.run(watched, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    if int(told[0]) not in fine:
        raise SystemExit(f"error: exit status {told[0]}: {' '.join(words)}")
    wall, processor, memory = map(float, told[1:])
    return wall, processor, memory


def forget(root: Path) -> None:
    """Have the kernel read the files of `root` from the disk the next time; needs no root and harms no one else."""
    for folder, _, names in os.walk(root):
        for name in names:
            if not os.path.islink(path := os.path.join(folder, name)):  # noqa: PTH114, PTH118
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def measured(case: str, ways: dict[str, Callable[[], Cost]], rounds: int) -> list[Figure]:
    """Three cases from the same runs."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}

    def timed(name: str, run: Callable[[], Cost]) -> Callable[[], float]:
        def once() -> float:
            costs[name].append(run())
            return costs[name][-1][1]

        return once

    processor = interleaved({name: timed(name, run) for name, run in ways.items()}, rounds)
    wall, memory = (Series({name: [one[at] for one in costs[name]] for name in ways}) for at in (0, 2))
    return [
        *figures(f"{case}: processor", "s", processor),
        *figures(f"{case}: wall", "s", wall),
        *figures(f"{case}: memory", "MB", memory),
    ]


# ---- what is measured -----------------------------------------------------------------------------


def instrument(*words: object, fine: tuple[int, ...] = (0, 1)) -> Cost:
    return cost(sys.executable, "-m", "instrument", *words, "-q", fine=fine)


def ripgrep(root: Path, jobs: int) -> Cost:
    return cost("rg", "-uuu", f"-j{jobs}", "-c", "static_call|STATIC_CALL", root, fine=(0, 1))


def find(root: Path, rounds: int, case: str) -> list[Figure]:
    """A tree without static calls, looked through."""
    ways = {
        "ripgrep, 1 thread": lambda: ripgrep(root, 1),
        "ripgrep, 2 threads": lambda: ripgrep(root, 2),
        "instrument --check, 1 process": lambda: instrument(root, "--check", "-j1"),
        "instrument --check, 2 processes": lambda: instrument(root, "--check", "-j2"),
    }
    return measured(case, ways, rounds)


def rewrite(root: Path, database: Path, rounds: int, case: str) -> list[Figure]:
    """The calls of a tree found and rewritten, nothing written to disk."""
    rule = root.parent / "rule.cocci"
    rule.write_text(COCCI)
    pattern = ("--pattern", "static_call($K)($$$A)", "--rewrite", "__SCW__$K($$$A)", "--lang", "c")
    ways = {
        "instrument --check": lambda: instrument(root, "--check", "-p", database, "-j2"),
        "ast-grep": lambda: cost("ast-grep", "run", *pattern, root, fine=(0, 1)),
        "spatch": lambda: cost("spatch", "--very-quiet", "--sp-file", rule, "--dir", root),
        "ripgrep": lambda: ripgrep(root, 2),
    }
    return measured(case, ways, rounds)


def mirror(root: Path, database: Path, rounds: int, case: str) -> list[Figure]:
    """A tree mirrored: for the first time, again, with one file touched."""
    out = root.parent / "out"
    source = next(path for path in sorted(root.rglob("*.c")) if path.is_file())

    def run() -> Cost:
        return instrument(root, "-o", out, "-p", database, "-j2", fine=(0,))

    def fresh(cold: bool) -> Callable[[], Cost]:
        def once() -> Cost:
            shutil.rmtree(out, ignore_errors=True)
            if cold:
                forget(root)
            return run()

        return once

    def touched() -> Cost:
        source.touch()
        time.sleep(YOUNG)
        return run()

    def again() -> Cost:
        time.sleep(YOUNG)
        run()
        return run()

    def copied() -> Cost:
        shutil.rmtree(root.parent / "copy", ignore_errors=True)
        return cost("cp", "-r", root, root.parent / "copy")

    ways = {
        "new output, 2 processes": fresh(cold=False),
        "new output, sources not in memory": fresh(cold=True),
        "nothing to do": again,
        "one file touched": touched,
        "cp -r": copied,
    }
    return measured(case, ways, rounds)


def single(path: Path, rounds: int, case: str) -> list[Figure]:
    out = path.parent.parent / "out-single"

    def fresh() -> Cost:
        shutil.rmtree(out, ignore_errors=True)
        return instrument(path.parent, "-o", out, fine=(0,))

    return measured(
        case, {"instrument": fresh, "gcc -c": lambda: cost("gcc", "-w", "-O0", "-c", path, *_API)}, rounds
    )


_API = ("-I", Path(__file__).parent.parent / "c_runtime" / "include", "-o", os.devnull)


def main(quick: bool) -> Report:
    rounds, files, size = (1, 1000, 200_000) if quick else (3, 100_000, 8_000_000)
    report = Report("tool", "A run of the tool over a tree")
    with tempfile.TemporaryDirectory(prefix="bench-tool-") as folder:
        place = Path(folder)
        plain = made(place / "made", files)
        report.figures += find(plain, rounds, f"{files} made files without static calls")
        kernel = linux(place, ("kernel", "lib/zstd") if quick else PARTS)
        count = sum(len(names) for _, _, names in os.walk(kernel))
        database = users(kernel, 2 if quick else 40)
        case = f"{count} files of Linux"
        report.figures += rewrite(kernel, database, rounds, f"{case}, calls rewritten")
        # Half a minute a round, since a disk is written.
        few = min(rounds, 2)
        report.figures += mirror(kernel, database, few, f"{case}, mirrored")
        whole = amalgamation(place / "whole" / "whole.c", size)
        report.figures += single(whole, few, f"one file of {size // 1000} kB")
    report.goals += goals(report.figures)
    return report


def goals(found: Iterable[Figure]) -> list[Goal]:
    """Issue 6, item 4."""
    values = {(one.case, one.way): one.value for one in found}

    def value(case: str, way: str) -> float:
        return next(v for (name, w), v in values.items() if name.endswith(case) and w == way)

    def ratio(text: str, limit: float, case: str, way: str, base: str) -> Goal:
        got = value(case, way) / value(case, base)
        return Goal(text, got <= limit, f"{got:.2f} ({way} to {base}, {case})")

    none, calls, copied = "without static calls", "rewritten", "mirrored"
    made = [ratio("files without static calls: at most twice ripgrep", 2, f"{none}: processor",
                  "instrument --check, 1 process", "ripgrep, 1 thread")]  # fmt: skip
    for clock in ("processor", "wall"):
        made += [
            ratio("faster than ast-grep", 1, f"{calls}: {clock}", "instrument --check", "ast-grep"),
            ratio("ten times faster than spatch", 0.1, f"{calls}: {clock}", "instrument --check", "spatch"),
            ratio("nothing to do: under a tenth of a new output", 0.1, f"{copied}: {clock}",
                  "nothing to do", "new output, 2 processes"),
        ]  # fmt: skip
    seconds = value("kB: wall", "instrument")
    return [*made, Goal("one file of 8 MB: under 3 s", seconds < 3, f"{seconds:.2f} s wall")]
