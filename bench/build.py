# SPDX-License-Identifier: MIT
"""How the benches compile C: through `instrument cc`, or without it, several files at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bench" / "c"
INCLUDE = f"-I{ROOT / 'c_runtime' / 'include'}"
COMPILERS = ("gcc-12", "clang-19")
RETPOLINES = {"gcc-12": ("-mindirect-branch=thunk",), "clang-19": ("-mretpoline",)}


def run(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed: SystemExit with what it said else."""
    words = [str(word) for word in command]
    # The tool is this checkout's, whatever directory the bench is started in.
    done = subprocess.run(words, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def tool(*options: str) -> list[str]:
    """What goes before the compiler's words, so that calls become static calls."""
    return [sys.executable, "-m", "instrument", "cc", "--strict", *options, "--"]


def compiled(source: Path, out: Path, compiler: str, *flags: str, launcher: Sequence[str] = ()) -> Path:
    """An object file."""
    run([*launcher, compiler, "-O2", INCLUDE, *flags, "-c", source, "-o", out])
    return out


def runtime(folder: Path, compiler: str) -> Path:
    source = ROOT / "c_runtime" / "static_call_runtime.c"
    return compiled(source, folder / f"runtime-{compiler}.o", compiler)


def linked(compiler: str, out: Path, *words: str | Path) -> Path:
    run([compiler, *words, "-pthread", "-o", out])
    return out


def together(jobs: Sequence[Callable[[], Path]]) -> list[Path]:
    """What all of them made, as many at a time as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda job: job(), jobs))


@contextmanager
def pinned(processors: set[int] | None = None) -> Iterator[None]:
    """On the last processor, or those named, for what is started within."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors or {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def environment(**settings: str) -> Iterator[None]:
    """Those variables set for what is started within."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
