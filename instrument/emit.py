# SPDX-License-Identifier: MIT
"""An output tree on disk: only what differs is written, and each file is whole or untouched at any moment.

Knows files, modes and times; must not know what is in them. `compare` reads and decides, `apply` writes.

Times are make's: new content is new now; equal content whose source is newer takes the source's time, so
that touching a header reaches whatever depends on its copy.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from instrument import depfile
from instrument.diagnostics import Finding, InstrumentError
from instrument.manifest import CONTROL, MANIFEST, Manifest, load
from instrument.value import dataclass

DEPFILE = f"{CONTROL}/static_call.d"
STAMP = f"{CONTROL}/stamp"
KEYS = f"{CONTROL}/static_call_keys.h"

_TEMPORARY = ".instrument-tmp"
_UNLISTED = frozenset({MANIFEST, DEPFILE, STAMP})
# The manifest before the files, so that a killed run leaves a tree known as ours; the stamp after them, so
# that make runs us again.
_ORDER = {MANIFEST: 0, DEPFILE: 2, STAMP: 3}


@dataclass(frozen=True, slots=True)
class Output:
    """One file to be: `content`, or a copy of the file `copy_of`, or a symbolic link to `link`; or, if `gone`, none.

    `mode` is None for what has no source. `newer_than` is its source's time in ns, 0 if it has none.
    """

    content: bytes = b""
    copy_of: Path | None = None
    link: str | None = None
    mode: int | None = None
    newer_than: int = 0
    gone: bool = False


GONE = Output(gone=True)


@dataclass(frozen=True, slots=True)
class Changes:
    """What `apply` will do. `kept` are files of an earlier run that somebody has changed since."""

    write: tuple[str, ...] = ()
    touch: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def stale(self) -> tuple[str, ...]:
        """The files that are out of date for a reader who does not care about times."""
        return tuple(sorted({*self.write, *self.remove} - {DEPFILE, STAMP}))


def complete(
    outputs: Mapping[str, Output],
    about: Manifest,
    out: Path,
    prerequisites: Mapping[str, int],
    failed: bool = False,
) -> dict[str, Output]:
    """`outputs` with manifest, depfile and stamp. `prerequisites` are paths as make shall see them, with times.

    A tree of which something has `failed` has no stamp, so that make runs us again.
    """
    files = {path: _digest(output) for path, output in outputs.items() if not output.gone}
    listed = Manifest(files, about.version, about.mode, about.layout)
    return {
        **outputs,
        MANIFEST: Output(listed.render()),
        DEPFILE: Output(depfile.render(str(out / STAMP), prerequisites)),
        STAMP: GONE if failed else Output(newer_than=max(prerequisites.values(), default=0)),
    }


def runtime(source: Path) -> dict[str, Output]:
    """The C runtime in `source`, as it lies in every output."""
    files = [path for top in ("include", "src") for path in source.glob(f"{top}/**/*") if path.is_file()]
    files += [path for path in [source / "static_call_runtime.c"] if path.is_file()]
    return {f"{CONTROL}/runtime/{path.relative_to(source).as_posix()}": Output(path.read_bytes()) for path in files}


def compare(out: Path, outputs: Mapping[str, Output]) -> Changes:
    """What stands between the directory `out` and `outputs`. Nothing is written."""
    with _reporting(out):
        earlier = _earlier(out)
        found = {path: _found(out / path) for path in sorted(set(earlier) - set(outputs) - _UNLISTED)}
        gone = found.keys()
        unwanted = {path for path, output in outputs.items() if output.gone and _is_file(out / path)}
        remove = (*sorted(unwanted, key=_removal), *(path for path in gone if found[path] == earlier[path]))
        _refuse_detours(out, {*outputs, *gone}, remove)
        wanted = {path for path, output in outputs.items() if not output.gone}
        # What is seen through a link that is about to go is not there.
        write = {path for path in wanted if _below(path, gone) or _differs(out / path, outputs[path])}
        touch = {path for path in wanted - write if _older(out / path, outputs[path])}
    return Changes(
        tuple(sorted(write, key=_order)),
        tuple(sorted(touch, key=_order)),
        remove,
        tuple(path for path in gone if found[path] not in (None, earlier[path])),
    )


def apply(out: Path, outputs: Mapping[str, Output]) -> None:
    """Make `out` hold `outputs`. What that takes is decided anew: another run may have written meanwhile."""
    with _reporting(out):
        (out / CONTROL).mkdir(parents=True, exist_ok=True)
    with _locked(out):
        changes = compare(out, outputs)
        _clean(out, outputs)
        for path in changes.remove:
            _remove(out, path)
        writes = set(changes.write)
        for path in sorted({*changes.write, *changes.touch}, key=_order):
            with _reporting(out / path):
                if path in writes:
                    _write(out / path, outputs[path])
                else:
                    os.utime(out / path, ns=(outputs[path].newer_than, outputs[path].newer_than))


def give_depfile(out: Path, to: Path, rewritten: Iterable[str]) -> None:
    """Have the dependencies of `out` in the file `to` as well, for build systems that say where it must be.

    Those go by the times of the outputs that they have been told of, so what was `rewritten` is made as new as the
    header of the keys, which stands in for a wrapper that has changed.
    """
    with _reporting(to):
        keys = (out / KEYS).stat().st_mtime_ns
        for path in (out / name for name in rewritten):
            if path.stat().st_mtime_ns < keys:
                os.utime(path, ns=(keys, keys))
        _write(to, Output(copy_of=out / DEPFILE))


def _refuse_detours(out: Path, paths: Iterable[str], remove: Collection[str]) -> None:
    """Through a directory that is somebody's symbolic link we would write into what it points to."""
    for parent in sorted({parent for path in paths for parent in Path(path).parents[:-1]}):
        if str(parent) not in remove and (out / parent).is_symlink():
            what = f"{out / parent} is a symbolic link, and files are to be written below it"
            raise InstrumentError(
                Finding("IN008", what, fix="remove it, or choose another output directory"), status=2
            )


def _below(path: str, tops: Collection[str]) -> bool:
    return bool(tops) and any(str(parent) in tops for parent in Path(path).parents)


def _order(path: str) -> tuple[int, str]:
    return _ORDER.get(path, 1), path


def _removal(path: str) -> tuple[bool, str]:
    """The stamp before all else: from then on, make runs us again."""
    return path != STAMP, path


# ---- reading --------------------------------------------------------------------------------------


def _earlier(out: Path) -> Mapping[str, str]:
    """What the manifest of an earlier run lists; a directory that holds anything else is refused."""
    if not os.path.lexists(out):
        return {}
    if not out.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is not a directory", str(out))
    if (earlier := load(out)) is not None:
        return earlier.files
    if any(True for _ in _foreign(out)):
        what = f"{out} is not empty and was not written by instrument"
        raise InstrumentError(Finding("IN008", what, fix="choose another output directory"), status=2)
    return {}


def _foreign(out: Path) -> Iterator[Path]:
    """What a run killed before its first file cannot have left."""
    for path in out.iterdir():
        if path.name == CONTROL and path.is_dir() and not path.is_symlink():
            yield from (inner for inner in path.iterdir() if not inner.name.endswith(_TEMPORARY))
        else:
            yield path


def _differs(path: Path, output: Output) -> bool:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    if output.link is not None:
        return not stat.S_ISLNK(found.st_mode) or str(path.readlink()) != output.link
    if not stat.S_ISREG(found.st_mode) or output.mode not in (None, stat.S_IMODE(found.st_mode)):
        return True
    if output.copy_of is not None:
        return found.st_size != output.copy_of.stat().st_size or _found(path) != _digest(output)
    return found.st_size != len(output.content) or path.read_bytes() != output.content


def _is_file(path: Path) -> bool:
    """Whether something is at `path` that a compiler could take for a file of ours."""
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())


def _older(path: Path, output: Output) -> bool:
    try:
        return output.link is None and path.lstat().st_mtime_ns < output.newer_than
    except (FileNotFoundError, NotADirectoryError):
        return False


def _digest(output: Output) -> str:
    if output.link is not None:
        return f"link:{output.link}"
    if output.copy_of is None:
        return f"sha256:{hashlib.sha256(output.content).hexdigest()}"
    with output.copy_of.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _found(path: Path) -> str | None:
    """The digest of what is at `path`; None if nothing is."""
    try:
        kind = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(kind):
        return _digest(Output(link=str(path.readlink())))
    return _digest(Output(copy_of=path)) if stat.S_ISREG(kind) else "other"


# ---- writing --------------------------------------------------------------------------------------


def _write(path: Path, output: Output) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{os.getpid()}{_TEMPORARY}"
    try:
        if output.link is not None:
            temporary.symlink_to(output.link)
        else:
            with temporary.open("xb") as file:
                _fill(file.fileno(), output)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _fill(descriptor: int, output: Output) -> None:
    with open(descriptor, "wb", closefd=False) as file:
        if output.copy_of is None:
            file.write(output.content)
        else:
            with output.copy_of.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
    if output.mode is not None:
        os.fchmod(descriptor, output.mode)


def _remove(out: Path, name: str) -> None:
    """Remove a file of ours and the directories that it leaves empty."""
    with _reporting(out / name):
        (out / name).unlink()
    for parent in Path(name).parents[:-1]:
        try:
            (out / parent).rmdir()
        except OSError:
            return


def _clean(out: Path, outputs: Iterable[str]) -> None:
    """Remove what a killed run was writing."""
    for parent in sorted({Path(path).parent for path in (*outputs, MANIFEST)}):
        with _reporting(out / parent):
            for entry in _entries(out / parent):
                if entry.name.startswith(".") and entry.name.endswith(_TEMPORARY):
                    entry.unlink()


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One writer at a time; the lock is the directory itself and dies with its holder."""
    with _reporting(out):
        descriptor = os.open(out / CONTROL, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network file systems have no locks; there, two runs at once are the user's to avoid.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"cannot write {path}: {error.strerror or error}"
        fix = "choose an output directory that can be written, with -o"
        raise InstrumentError(Finding("IN008", what, fix=fix), status=2) from None
