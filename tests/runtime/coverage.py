# SPDX-License-Identifier: MIT
"""Which lines of the runtime its tests run: `python -m tests.runtime.coverage`.

The tests run with a gcc-12 first on the PATH that is this file: where it is to compile the runtime, it puts in its
place an object that counts (gcov), not optimised, so that each line is a line; one for each set of flags. Copies of
the runtime that tests change do not count, nor do programs that end by a signal or where nothing can be written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RUNTIME = ROOT / "c_runtime"
SOURCE = str(RUNTIME / "static_call_runtime.c")
FOLDER = ROOT / "build" / "coverage"
OBJECTS = FOLDER / "objects"
REAL = "/usr/bin/gcc-12"
COUNTING = ("-O0", "--coverage", "-fprofile-update=atomic")
AT_EXIT = """\
extern void __gcov_dump(void), __gcov_reset(void);
extern long syscall(long, ...);
void _exit(int);
__attribute__((__weak__)) void _exit(int status)
{
	__gcov_dump();
	__gcov_reset();
	for (;;)
		syscall(231, status);
}
"""
"""So that children of fork() that end by _exit() count, too."""
AREAS = ("direct", "faults", "hostile", "inspect", "objects", "threads", "transactions")
EARLY = "tests/e2e/test_links.py::test_an_update_before_the_executable_is_there"
"""The other tests run nothing of the runtime that these do not, or copies of it."""
WANTED = 95.0

# What concerns the link, or the program beside the runtime.
BESIDE = (
    *("-Wl,", "-l", "-L", "-shared", "-static", "-pie", "-no-pie", "-rdynamic", "-fuse-ld="),
    *("-c", "-O", "-flto", "-ffat-lto"),
)

Counts = Counter[tuple[str, int]]
"""How often each line that has code was run, by file name and number."""


# ---- the compiler -----------------------------------------------------------------------------------------------


def flags_of(arguments: Sequence[str]) -> list[str]:
    """What the runtime itself is to be compiled with."""
    before = ("", *arguments)
    return [
        word
        for previous, word in zip(before, arguments, strict=False)
        if word.startswith("-") and not word.startswith(BESIDE) and word != "-o" and previous != "-o"
    ]


def counting_object(flags: list[str]) -> str:
    """The runtime, compiled once for these flags, with what it needs of libgcov in it: any linker takes it."""
    name = OBJECTS / f"{hashlib.sha256(' '.join(flags).encode()).hexdigest()[:16]}.o"
    with (OBJECTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not name.exists():
            source, alone = name.with_suffix(".c"), name.with_suffix(".alone.o")
            source.write_text(f'#include "{SOURCE}"\n{AT_EXIT}')
            subprocess.run([REAL, *flags, *COUNTING, "-c", source, "-o", alone], check=True)
            subprocess.run([REAL, "-r", "-nostdlib", alone, "-lgcov", "-o", name], check=True)
    return str(name)


def compile_counting(arguments: list[str]) -> None:
    """Do what gcc-12 would with these arguments; does not return."""
    sanitized = any(word.startswith("-fsanitize") for word in arguments)  # makes code of declarations
    if SOURCE in arguments and "-o" in arguments and not sanitized:
        counting = counting_object(flags_of(arguments))
        if "-c" in arguments:
            shutil.copyfile(counting, arguments[arguments.index("-o") + 1])
            sys.exit(0)
        arguments[arguments.index(SOURCE)] = counting
    os.execv(REAL, [REAL, *arguments])


# ---- the run ----------------------------------------------------------------------------------------------------


def run_tests(tests: Sequence[str]) -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    OBJECTS.mkdir(parents=True)
    compiler = FOLDER / "bin" / "gcc-12"
    compiler.parent.mkdir()
    compiler.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{Path(__file__)}" "$@"\n')
    compiler.chmod(0o755)
    env = {**os.environ, "PATH": f"{compiler.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "pytest", "-n", "2", f"--basetemp={FOLDER / 'tmp'}", *tests]
    return subprocess.run(command, cwd=ROOT, env=env).returncode


def counted() -> Iterator[Counts]:
    """What each object has counted."""
    for notes in sorted(OBJECTS.glob("*.gcno")):
        said = subprocess.run(["gcov-12", "--json-format", "--stdout", notes], capture_output=True, check=True).stdout
        counts: Counts = Counter()
        for file in json.loads(said)["files"]:
            path = Path(file["file"])
            if path.parent == RUNTIME / "src":
                # A function that was inlined into several has its lines once in each.
                for line in file["lines"]:
                    counts[path.name, line["line_number"]] += line["count"]
        yield counts


def report(counts: Counts) -> float:
    """Print a table of the files, then the lines that were not run; the share of those that were."""
    missed = sorted(line for line, count in counts.items() if not count)
    lines, gone = (Counter(name for name, _ in part) for part in (counts, missed))
    print(f"{'file':15}{'lines':>7}{'run':>7}{'%':>8}")
    for name in [*sorted(lines), "all"]:
        of, without = (lines.total(), gone.total()) if name == "all" else (lines[name], gone[name])
        print(f"{name:15}{of:7}{of - without:7}{100 * (of - without) / of:8.1f}")
    for name, number in missed:
        text = (RUNTIME / "src" / name).read_text().splitlines()[number - 1].strip()
        print(f"{name}:{number}: {text}")
    return 100 * (1 - len(missed) / len(counts))


def main() -> int:
    failed = run_tests(sys.argv[1:] or [*(f"tests/runtime/test_{area}.py" for area in AREAS), EARLY])
    total: Counts = Counter()
    for counts in counted():
        total.update(counts)
    share = report(total)
    print(f"{share:.1f} % of the runtime's lines were run; {WANTED:g} % are wanted")
    return failed or share < WANTED


if __name__ == "__main__":
    if sys.flags.no_site:  # as the compiler
        compile_counting(sys.argv[1:])
    sys.exit(main())
