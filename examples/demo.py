# SPDX-License-Identifier: MIT
"""What `make demo` runs: static calls in two programs, one ours and one that nobody here wrote.

1. examples/dispatch, built plain and in both modes, checks its results while its targets are switched.
2. xxHash (fetched by pip, edited by examples/xxhash/edit.py) is built as it is, in both modes and hard-wired, each
   plain and with retpolines: timed, put under the same stress, and its Python binding's own tests run.

Without a network the second part is left out and said to be. Exits 1 if anything computed a wrong result.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build" / "demo"
XXHASH = BUILD / "xxhash"
BIN = Path(sys.executable).parent
CC = "gcc"

MODES = ("trampoline", "inline-asm")
# Functions on cache lines, or it is luck where each build's happen to lie (docs/performance-programs.md).
CFLAGS = ["-O3", "-falign-functions=64", "-DXXH_DISPATCH_SCALAR=1"]
FLAVOURS = {"plain": [], "retpoline": ["-mindirect-branch=thunk"]}
CASES = ("256-byte hash", "16-byte update")
ROUNDS = 41
STRESS_SECONDS = 1.0

# Need tools of their own: pytest's benchmarks, and a type checker.
LEFT_OUT_TESTS = re.compile(r"test_(benchmark.*|stubs_pyright)")

Totals = dict[str, int]


class Failed(Exception):
    """A command that should have worked did not."""


def execute(
    command: Sequence[str | Path],
    good: Iterable[int] = (0,),
    cwd: Path = ROOT,
    settings: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **(settings or {})}
    done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=env)
    if done.returncode not in good:
        raise Failed(f"{shlex.join(words)}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def run(command: Sequence[str | Path], good: Iterable[int] = (0,)) -> str:
    return execute(command, good).stdout


def totals(program: Path, *args: str | float) -> Totals:
    """What a stress run counted. It exits 1 when a result was wrong, which the caller reads from the counts."""
    words = run([program, *map(str, args)], good=(0, 1)).split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def faults(counted: Iterable[Totals]) -> int:
    return sum(count["wrong"] + count["refused"] for count in counted)


# --- examples/dispatch ----------------------------------------------------------------------------------------------


def demo_dispatch() -> int:
    print("CRC-32C, chosen by the processor, in three threads while the choice and a hook are switched:")
    counted = []
    for mode in ("plain", *MODES):
        out = BUILD / f"dispatch-{mode}"
        out.mkdir(parents=True, exist_ok=True)
        for file in ((HERE / "dispatch" / name) for name in ("Makefile", "checksum.c", "checksum.h", "main.c")):
            shutil.copy2(file, out)
        goal = "plain" if mode == "plain" else "dispatch"
        run(["make", "-C", out, goal, f"STATIC_CALL_MODE={mode}", f"STATIC_CALL_H={ROOT / 'c_runtime/include'}"])
        counted.append(totals(out / goal, STRESS_SECONDS))
        print(f"  {'pointer' if mode == 'plain' else mode:12}", *(f"{name} {n}" for name, n in counted[-1].items()))
    return faults(counted)


# --- xxHash: fetch, edit, build -------------------------------------------------------------------------------------


def fetch(
    requirements: Path = HERE / "xxhash" / "requirements.txt", archives: Path = XXHASH / "archive", **settings: str
) -> Path:
    """The unpacked source archive, by way of pip, which checks its hash; kept for the next run."""
    for archive in archives.glob("*.tar.gz"):
        if hashlib.sha256(archive.read_bytes()).hexdigest() not in requirements.read_text():
            shutil.rmtree(archives)
    if not any(archives.glob("*.tar.gz")):
        names = ",".join(re.findall(r"(?m)^([\w-]+)==", requirements.read_text()))
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", names, "--require-hashes"]
        execute([*pip, "-r", requirements, "-d", archives], settings={"PIP_RETRIES": "1", **settings})
    (archive,) = archives.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(archives)  # no filter=: Debian 12 has 3.11.2; the hash says what is inside
    return archives / archive.name.removesuffix(".tar.gz")


@dataclass(frozen=True)
class Build:
    """One way to build xxHash."""

    name: str
    sources: Path
    cflags: tuple[str, ...] = ()
    libs: tuple[str, ...] = ()
    fixed: bool = False  # calls go to one implementation, which nothing can switch
    compiler: tuple[str, ...] = (CC,)

    def compile(self, out: Path, files: Sequence[str], flags: Sequence[str] = ()) -> Path:
        out.parent.mkdir(parents=True, exist_ok=True)
        sources = [self.sources / file for file in files]
        run([*self.compiler, *CFLAGS, *self.cflags, *flags, *sources, *self.libs, "-pthread", "-o", out])
        return out

    def program(self, flavour: str) -> Path:
        files = ("driver.c", "xxhash.c", "xxh_x86dispatch.c")
        return self.compile(XXHASH / "bin" / f"{self.name}-{flavour}", files, FLAVOURS[flavour])


def edited(upstream: Path, variant: str) -> Path:
    out = XXHASH / variant
    run([sys.executable, HERE / "xxhash" / "edit.py", upstream, out, variant])
    return out


def instrumented(sources: Path, mode: str) -> Build:
    out = XXHASH / mode
    python = sysconfig.get_paths()["include"]
    said = execute(["instrument", sources, "-o", out, "--mode", mode, "--", *CFLAGS, f"-I{python}"]).stderr
    for line in said.splitlines():
        if line.lstrip().startswith("keys:"):
            print(f"  {mode}, {line.strip()}")
    cflags = shlex.split(run(["instrument", "--cflags"]))
    libs = shlex.split(run(["instrument", "--libs"]))
    return Build(mode, out, tuple(cflags), tuple(libs))


# --- xxHash: its tests, stress, timing ------------------------------------------------------------------------------


def own_tests(upstream: Path, build: Build) -> str:
    """Builds the Python binding by hand from the instrumented sources and runs the tests that came with it."""
    root = XXHASH / f"binding-{build.name}"
    for part in ("xxhash", "tests"):
        shutil.copytree(upstream / part, root / part, dirs_exist_ok=True)
    flags = ["-fPIC", "-shared", "-DXXHASH_X86_DISPATCH=1", f"-I{sysconfig.get_paths()['include']}"]
    build.compile(root / "xxhash" / "_xxhash.so", ("_xxhash.c", "xxhash.c", "xxh_x86dispatch.c"), flags)
    names = sorted(path.stem for path in (root / "tests").glob("test*.py"))
    modules = [f"tests.{name}" for name in names if not LEFT_OUT_TESTS.fullmatch(name)]
    # Some tests start another Python, which has to find the binding as well.
    settings = {"PYTHONPATH": str(root)}
    report = execute([sys.executable, "-m", "unittest", "-q", *modules], cwd=root, settings=settings).stderr
    return " ".join(report.split("\n-----")[-1].strip("-").split())


def stress(build: Build, program: Path) -> Totals:
    return totals(program, "stress", STRESS_SECONDS, *(["fixed"] if build.fixed else []))


Times = dict[tuple[str, str], list[list[float]]]


def measure(programs: dict[tuple[str, str], Path]) -> Times:
    """Per program, the ns per call of each case in each round. Interleaved, there and back, on one processor."""
    times: Times = {key: [] for key in programs}
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        for number in range(ROUNDS):
            for key in list(programs)[:: -1 if number % 2 else 1]:
                times[key].append([float(word) for word in run([programs[key], "time"]).split()])
    finally:
        os.sched_setaffinity(0, allowed)
    return times


def cell(times: Times, name: str, flavour: str, case: int) -> str:
    """Median ns per call; the median and the middle half of its ratios to the pointer build in the same round."""
    mine = [row[case] for row in times[name, flavour]]
    base = [row[case] for row in times["pointer", flavour]]
    ns = f"{statistics.median(mine):6.2f}"
    if name == "pointer":
        return ns
    low, middle, high = statistics.quantiles([a / b for a, b in zip(mine, base, strict=True)], n=4)
    return f"{ns}  {middle:.2f} ({low:.2f}-{high:.2f})"


def table(names: Sequence[str], times: Times, counted: dict[str, Totals]) -> str:
    lines = [f"{'':26}{'plain':26}retpoline"]
    for case, title in enumerate(CASES):
        lines.append(title)
        for name in names:
            cells = [cell(times, name, flavour, case) for flavour in FLAVOURS]
            lines.append(f"  {name:22}{cells[0]:26}{cells[1]}")
    lines.append(f"{'switched under load':24}{'calls':>12}{'updates':>12}{'wrong results':>16}")
    for name, count in counted.items():
        lines.append(f"  {name:22}{count['calls']:12}{count['updates']:12}{count['wrong']:16}")
    return "\n".join(lines)


def processor() -> str:
    match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return match[1] if match else "unknown processor"


def demo_xxhash(upstream: Path) -> int:
    pointer = Build("pointer", edited(upstream, "pointer"))
    best = run([pointer.program("plain"), "best"]).strip()
    static = edited(upstream, "static")
    calls = [instrumented(static, mode) for mode in MODES]
    builds = [pointer, *calls, Build("hard-wired", edited(upstream, best), fixed=True)]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        keys = [(build, flavour) for build in builds for flavour in FLAVOURS]
        made = list(pool.map(lambda key: key[0].program(key[1]), keys))
        if (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
            reports = pool.map(lambda build: own_tests(upstream, build), calls)
            for build, report in zip(calls, reports, strict=True):
                print(f"  its own tests, {build.name}: {report}")
        else:
            print("  its own tests: left out, since they need Python.h (Debian's package python3-dev)")
    programs = {(build.name, flavour): path for (build, flavour), path in zip(keys, made, strict=True)}

    counted: dict[str, Totals] = {}
    for build in builds:
        runs = [stress(build, programs[build.name, flavour]) for flavour in FLAVOURS]
        counted[build.name] = {name: sum(one[name] for one in runs) for name in runs[0]}

    # Two copies of one binary: a difference smaller than theirs is no difference.
    copies = {("pointer, a copy", flavour): XXHASH / "bin" / f"copy-{flavour}" for flavour in FLAVOURS}
    for (_, flavour), path in copies.items():
        shutil.copy(programs["pointer", flavour], path)
    programs |= copies
    times = measure(programs)

    version = run([CC, "-dumpfullversion"]).strip()
    print(f"\n{processor()}, {CC} {version} {CFLAGS[0]}, xxHash by {best}, {ROUNDS} interleaved rounds:")
    print("median ns per call, median ratio to the pointer build in the same round (middle half of the ratios)\n")
    print(table(list(dict.fromkeys(name for name, _ in programs)), times, counted))
    return faults(counted.values())


def main() -> int:
    try:
        wrong = demo_dispatch()
        print("\nxxHash, its table of chosen functions turned into static calls:")
        try:
            upstream = fetch()
        except Failed as failure:
            if "HASHES" in str(failure):
                raise
            print(f"  left out, since pip could not fetch it (is there a network?): {str(failure).splitlines()[-1]}")
        else:
            wrong += demo_xxhash(upstream)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    if wrong:
        print(f"FAILED: {wrong} wrong results or refused updates", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
