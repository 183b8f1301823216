# SPDX-License-Identifier: MIT
"""The oracle's long run: each source with every set of flags, by both compilers, in every mode.

python -m tests.oracle.run [PACKAGE...]

Exit status 1 if the launcher has changed anything.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from os import sched_getaffinity
from pathlib import Path

from tests.oracle.compare import Case, all_cases, differences
from tests.oracle.packages import PACKAGES


def _told(case: Case) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        return differences(case, Path(folder) / "build")


def main(names: list[str]) -> int:
    packages = [package for package in PACKAGES if not names or package.name in names]
    cases = [case for package in packages for case in all_cases(package)]
    wrong = 0
    with ThreadPoolExecutor(len(sched_getaffinity(0))) as pool:
        for case, told in zip(cases, pool.map(_told, cases), strict=True):
            wrong += bool(told)
            for line in told:
                print(f"{case}: {line}", flush=True)
    compiles = sum(len(case.modes) for case in cases)
    sources = len({case.source for case in cases})
    print(f"{sources} sources, {compiles} compiles through the launcher, {wrong} of {len(cases)} cases differ")
    return 1 if wrong or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
