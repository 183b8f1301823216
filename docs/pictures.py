# SPDX-License-Identifier: MIT
"""Make the pictures of docs/report.md: the page of some of the tests' programs, in Chromium, light and dark.

python docs/pictures.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.report.test_page import BROWSER  # noqa: E402
from tests.toolchain import PROGRAMS, SOURCES, instrument, run  # noqa: E402

PICTURES = {
    "report.png": "q=static_call",
    "report-dark.png": "theme=dark&form=trampoline&sort=key",
}
SMALL = ("--window-size=1100,1800", "--force-device-scale-factor=0.8")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "src").mkdir()
        for source in (*SOURCES["basic"], *SOURCES["refused"], *SOURCES["inside"], *SOURCES["values"]):
            shutil.copy(PROGRAMS / source, folder / "src")
        instrument("src", "-o", "out", "--", "-std=gnu11", cwd=folder)
        instrument("report", "out", "-o", "report.html", cwd=folder)
        for picture, asked in PICTURES.items():
            where = f"file://{folder}/report.html#{asked}"
            shot = f"--screenshot={ROOT}/docs/images/{picture}"
            run([*BROWSER, *SMALL, f"--user-data-dir={folder}/{picture}.d", shot, where])


if __name__ == "__main__":
    main()
