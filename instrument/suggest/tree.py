# SPDX-License-Identifier: MIT
"""The edits, made: in a copy of the tree or in the tree itself, where all of them are made or none.

Knows files and directories. Must not know what is in them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from instrument import whole
from instrument.diagnostics import Finding, InstrumentError
from instrument.inputs import Inputs


def edit(root: Path, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> None:
    """Give the files of `after` below `root`, which were as `before` has them, their new contents.

    Everything that can fail is done before the first file is changed, but for the renames; those that were made are
    taken back if one fails. Raises InstrumentError, status 2.
    """
    # Where a link leads, so that it stays one.
    places = {Path(os.path.realpath(root / name)): (before[name], data) for name, data in after.items()}
    ready: dict[Path, Path] = {}
    done: list[Path] = []
    try:
        for place, (old, new) in places.items():
            at = place
            if place.read_bytes() != old:
                raise _cannot(f"{place} has changed since it was read", "run it again")
            ready[place] = place.with_name(f".{os.getpid()}.{place.name}{whole.TEMPORARY}")
            _beside(place, ready[place], new)
        for place, temporary in ready.items():
            at = place
            temporary.replace(place)
            done.append(place)
    except BaseException as error:
        for place in done:
            whole.write(str(place), places[place][0], place.stat().st_mode & 0o7777)
        if isinstance(error, OSError):
            raise _cannot(f"cannot write {at}: {error.strerror}; no file is changed") from None
        raise
    finally:
        for temporary in ready.values():
            with suppress(OSError):
                temporary.unlink()


def _beside(place: Path, temporary: Path, data: bytes) -> None:
    """A file like `place` but for its contents."""
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    shutil.copymode(place, temporary)
    was = place.stat()
    if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.chown(temporary, was.st_uid, was.st_gid)


def fresh(out: Path) -> None:
    """Refuse an `out` that is there and is no empty directory."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise _cannot(f"{out} is not {'empty' if out.is_dir() else 'a directory'}", "name a new directory")


def copy(found: Inputs, out: Path, after: Mapping[str, bytes]) -> None:
    """The tree of `found` in `out`, which is new or empty, with the files of `after` in place of its own."""
    fresh(out)
    try:
        for name in found.files:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found.root / name, out / name)
            if name in after:
                (out / name).write_bytes(after[name])
        for name, target in found.links.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).symlink_to(target)
    except OSError as error:
        raise _cannot(f"cannot write {error.filename2 or error.filename}: {error.strerror}") from None


def _cannot(what: str, fix: str | None = None) -> InstrumentError:
    return InstrumentError(Finding("IN008", what, fix=fix), status=2)
