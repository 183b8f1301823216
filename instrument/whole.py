# SPDX-License-Identifier: MIT
"""Files that are there whole or not at all: written beside their place and moved there.

A compile loads this, so it imports next to nothing.
"""

from __future__ import annotations

import os

TEMPORARY = ".instrument-tmp"
"""How the names end of what a killed process leaves behind."""


def write(path: str, data: bytes, mode: int = 0o666) -> None:
    """Put `data` at `path`, in place of what is there. Raises OSError, and then all is as it was."""
    temporary = f"{os.path.dirname(path) or '.'}/.{os.getpid()}{TEMPORARY}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
