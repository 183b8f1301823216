# SPDX-License-Identifier: MIT
"""Where the package's own files are: beside the modules in a wheel, one level up in a checkout.

Imported on the fast path of the command line, so it may import nothing heavy.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _data(name: str) -> Path:
    package = Path(__file__).resolve().parent
    for place in (package / name, package.parent / name):
        if place.is_dir():
            return place
    print(
        f"instrument: error: no directory {place}; compilers read there, so an archive will not do", file=sys.stderr
    )
    raise SystemExit(2)


C_RUNTIME = _data("c_runtime")
TEMPLATES = _data("templates")

INCLUDE_DIR = C_RUNTIME / "include"
RUNTIME_SOURCE = C_RUNTIME / "static_call_runtime.c"
MAKEFILE = C_RUNTIME / "instrument.mk"
CMAKE_DIR = C_RUNTIME / "cmake"
PKGCONFIG_DIR = C_RUNTIME / "pkgconfig"
GDB_SCRIPT = C_RUNTIME / "gdb" / "static_call-gdb.py"
