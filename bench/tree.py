# SPDX-License-Identifier: MIT
"""Wall time of `instrument` on a made tree of which a few files use static calls: cold, and again.

    python bench/tree.py [--files 1000] [--users 5] [--runs 9]

Cold runs (a new output) and runs that find nothing to do are interleaved; medians with the spread are printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HELPER = (
    "static int helper_{n}(const struct thing *t, int x)\n{{\n\t/* its work */\n\treturn t->value * x + {n};\n}}\n\n"
)
FILLER = "".join(HELPER.format(n=n) for n in range(60))
USER = """#include <stdio.h>
#include <static_call.h>
static int first_{n}(int x) {{ return x; }}
DEFINE_STATIC_CALL(key_{n}, first_{n});
int use_{n}(int x) {{ return static_call(key_{n})(x) + static_call(key_{n})(x + 1); }}
"""


def make_tree(root: Path, files: int, users: int) -> None:
    for n in range(files):
        folder = root / f"dir{n % 40}"
        folder.mkdir(parents=True, exist_ok=True)
        text = USER.format(n=n) if n < users else f"struct thing {{ int value; }};\n{FILLER}"
        (folder / f"file{n}.c").write_text(text)


def timed(root: Path, out: Path) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "instrument", str(root), "-o", str(out), "-q"], check=True)
    return time.perf_counter() - started


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--users", type=int, default=5)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder, "src"), Path(folder, "out")
        make_tree(root, options.files, options.users)
        times: dict[str, list[float]] = {"cold": [], "again": []}
        for _ in range(options.runs):
            shutil.rmtree(out, ignore_errors=True)
            times["cold"].append(timed(root, out))
            times["again"].append(timed(root, out))
    print(f"{options.files} files, {options.users} use static calls; {processor()}, {os.cpu_count()} processors")
    for name, values in times.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"{name:6} median {statistics.median(values):.2f} s of {len(values)} runs, {spread}")


if __name__ == "__main__":
    main()
