# SPDX-License-Identifier: MIT
"""What build files ask for many times over: the version, and where the runtime is. Imports next to nothing."""

from __future__ import annotations

import os

from instrument import __version__, paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

QUESTIONS = {
    "--cflags": "compiler flags for static_call.h",
    "--libs": "what to compile and link with",
    "--makefile": "the file to include in a Makefile",
    "--include-dir": "where static_call.h is",
    "--cmakedir": "the StaticCall_DIR of CMake's find_package",
    "--pkgconfigdir": "the PKG_CONFIG_PATH of staticcall.pc",
    "--bazeldir": "the Bazel repository of the runtime",
    "--gdb": "the script that gdb is to source",
    "--version": "the version",
}
"""What prints one line and does no work."""


def quick(words: Sequence[str]) -> int | None:
    """The questions that need no work; None if this is none of them."""
    answers = {
        "--version": lambda: f"instrument {__version__}",
        "--cflags": lambda: f"-I{_quoted(paths.INCLUDE_DIR)}",
        "--libs": lambda: f"{_quoted(paths.RUNTIME_SOURCE)} -pthread",
        "--makefile": lambda: str(paths.MAKEFILE).replace(" ", "\\ "),
        "--include-dir": lambda: str(paths.INCLUDE_DIR),
        "--cmakedir": lambda: str(paths.CMAKE_DIR),
        "--pkgconfigdir": lambda: str(paths.PKGCONFIG_DIR),
        "--bazeldir": lambda: str(paths.C_RUNTIME),
        "--gdb": lambda: str(paths.GDB_SCRIPT),
    }
    if not words or any(word not in answers for word in words):
        return None
    print(" ".join(answers[word]() for word in words))
    return 0


def _quoted(path: os.PathLike[str]) -> str:
    import shlex

    return shlex.quote(os.fspath(path))
