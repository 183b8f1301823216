# SPDX-License-Identifier: MIT
"""Small files by their content: one with the same bytes has the same name, in every run.

A compiler's command names them, so ccache finds again what it has compiled with them; they are never changed, and
as they stay a dependency file or a debugger may name them too. They are the only thing that a compile leaves behind.
"""

from __future__ import annotations

import os

from instrument import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.diagnostics import InstrumentError


def keep(name: str, content: bytes, mode: int = 0o600) -> str:
    """The path of a file `name` with `content`, in a directory of its own. Raises InstrumentError, status 2."""
    from hashlib import sha256

    top = os.path.join(above(), f"instrument-{os.geteuid()}")
    folder = f"{top}/{sha256(content).hexdigest()[:24]}"
    path = f"{folder}/{name}"
    try:
        _private(top)
        os.makedirs(folder, 0o700, exist_ok=True)
        if not os.path.exists(path):
            whole.write(path, content, mode)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    if mode & 0o100 and not os.access(path, os.X_OK):
        raise _unusable(path, "programs cannot be run from there")
    return path


def above() -> str:
    """The directory for temporary files; as for gcc, a TMPDIR that is none is as if it were not set."""
    asked = os.environ.get("TMPDIR", "")
    return asked if os.path.isdir(asked) else "/tmp"


def _private(top: str) -> None:
    """Nobody else may write there: what lies there is run."""
    os.makedirs(top, 0o700, exist_ok=True)
    state = os.lstat(top)
    if state.st_uid != os.geteuid() or state.st_mode & 0o170022 != 0o040000:
        raise PermissionError(1, "it is not a directory that only we can write to")


def _unusable(path: str, why: str) -> InstrumentError:
    from instrument.diagnostics import Finding, InstrumentError

    fix = "set TMPDIR to a directory of your own"
    return InstrumentError(Finding("IN008", f"cannot write {path}: {why}", fix=fix), status=2)
