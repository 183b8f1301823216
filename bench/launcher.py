# SPDX-License-Identifier: MIT
"""What `instrument cc` adds to a compile, beside what ccache adds to the same one.

    python -m bench.launcher [--rounds 11] [--compiler gcc-12] [--tool PATH]

The tool is installed anew, as a user installs it, unless --tool names one. In each round every way has its turn,
there and back. Told are wall time, and processor time, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import tables
from bench.build import environment
from bench.measure import figures
from bench.report import Report, version
from tests.oracle.packages import PACKAGES, sources

ROUNDS = 11
ROOT = Path(__file__).resolve().parent.parent
SMALL = "int small(int x) { return x + 1; }\n"
# Three keys, five calls, as a file of some program might have them.
USES = """
#include <static_call.h>
long bench_hash(const void *data, unsigned long size);
void bench_trace(const char *what, int level);
int bench_ready(void);
DECLARE_STATIC_CALL(bench_hash_key, bench_hash);
DECLARE_STATIC_CALL(bench_trace_key, bench_trace);
DECLARE_STATIC_CALL(bench_ready_key, bench_ready);
long bench_use(const char *text, unsigned long size)
{
	static_call_cond(bench_trace_key)("use", 1);
	if (!static_call(bench_ready_key)())
		return -1;
	long first = static_call(bench_hash_key)(text, size / 2);
	static_call_cond(bench_trace_key)("used", 2);
	return first ^ static_call(bench_hash_key)(text + size / 2, size - size / 2);
}
"""


@dataclass
class Way:
    """A way to compile, and what each round of it took: wall and processor time, in ms."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def installed(folder: Path) -> Path:
    """The tool in a fresh virtual environment, from a copy of the checkout: an editable install starts slower.

    By a pip from 2025 on (25.2): the scripts that older ones write import `re`, which takes half as long as Python's
    own start.
    """
    copy = folder / "checkout"
    left_out = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=left_out)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "pip>=25.2"], check=True)
    subprocess.run([*pip, copy], check=True)
    return folder / "venv/bin/instrument"


def written(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """What is compiled: by title the file's name and its flags, all in one directory."""
    (package,) = (package for package in PACKAGES if package.name == "tree_sitter")
    original = next(path for path in sources(package) if path.name == "parser.c")
    shutil.copytree(original.parent, folder / "src")
    shutil.copytree(original.parent.parent / "include", folder / "include")
    text = original.read_text()
    files = {"small.c": SMALL, "small_calls.c": SMALL + USES, "parser.c": text, "parser_calls.c": text + USES}
    for name, content in files.items():
        (folder / "src" / name).write_text(content)
    lines = len(text.splitlines())
    real = list(package.flags)
    return {
        "no calls, 1 line": ("small.c", []),
        f"no calls, {lines} lines": ("parser.c", real),
        "5 calls, 18 lines": ("small_calls.c", []),
        f"5 calls, {lines + 18} lines": ("parser_calls.c", real),
    }


def ways(tool: Path, compile_it: Sequence[str], cache: Path) -> list[Way]:
    hits = {"CCACHE_DIR": str(cache)}
    return [
        Way("the compiler", [*compile_it]),
        Way("inline-asm", [str(tool), "cc", "--", *compile_it]),
        Way("direct", [str(tool), "cc", "--mode", "direct", "--", *compile_it]),
        Way("ccache, a miss", ["ccache", *compile_it], {**hits, "CCACHE_RECACHE": "1"}),
        Way("ccache, a hit", ["ccache", *compile_it], hits),
        Way("inline-asm, a hit", [str(tool), "cc", "--", "ccache", *compile_it], hits),
    ]


def once(way: Way, cwd: Path) -> tuple[float, float]:
    """Wall and processor time of one compile, in ms."""
    started = time.perf_counter()
    process = subprocess.Popen(way.command, cwd=cwd, env={**os.environ, **way.env})
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{way.command}: exit status {process.returncode}")
    return 1000 * wall, 1000 * (usage.ru_utime + usage.ru_stime)


def measure(all_ways: Sequence[Way], cwd: Path, rounds: int) -> None:
    for way in all_ways:
        once(way, cwd)
    for number in range(rounds):
        for way in all_ways[:: -1 if number % 2 else 1]:
            wall, cpu = once(way, cwd)
            way.wall.append(wall)
            way.cpu.append(cpu)


def main(quick: bool, rounds: int = ROUNDS, compiler: str = "gcc-12", tool: Path | None = None) -> Report:
    report = Report(
        "launcher", "What `instrument cc` adds to a compile", [f"{version(compiler)} -O2", version("ccache")]
    )
    # The compiler itself, not a link of that name that leads to a cache.
    path = f"/usr/bin{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="launcher-") as name, environment(TMPDIR=name, PATH=path):
        folder = Path(name)
        tool = tool.absolute() if tool else installed(folder)
        asked = subprocess.run([tool, "--include-dir"], capture_output=True, text=True, check=True).stdout.strip()
        for title, (file, flags) in written(folder).items():
            compile_it = [compiler, "-O2", *flags, f"-I{asked}", "-c", file, "-o", "bench.o"]
            measured = ways(tool, compile_it, folder / "cache")
            measure(measured, folder / "src", 2 if quick else rounds)
            report.figures += figures(f"{title}: wall", "ms", {way.name: way.wall for way in measured})
            report.figures += figures(f"{title}: processor", "ms", {way.name: way.cpu for way in measured})
    return report


def cli() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--compiler", default="gcc-12")
    parser.add_argument("--tool", type=Path)
    options = parser.parse_args()
    print(tables.text(main(False, options.rounds, options.compiler, options.tool)))


if __name__ == "__main__":
    cli()
