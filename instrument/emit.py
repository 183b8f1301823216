# SPDX-License-Identifier: MIT
"""An output tree on disk: only what differs is written, and each file is whole or untouched at any moment.

Knows files, modes and times; must not know what is in them. `compare` reads and decides, `apply` writes.

Times are make's: new content is new now; equal content whose source is newer takes the source's time, so
that touching a header reaches whatever depends on its copy. Objects and programs keep their sources' time.

What is not changed is copied: a hard link would carry an edit of the copy back into the source. File systems that can
share the blocks of two files do so here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from instrument import depfile, whole, workers
from instrument.diagnostics import Finding, InstrumentError
from instrument.files import digest
from instrument.inputs import State, changed
from instrument.manifest import CONTROL, MANIFEST, Manifest, load

DEPFILE = f"{CONTROL}/static_call.d"
STAMP = f"{CONTROL}/stamp"
KEYS = f"{CONTROL}/static_call_keys.h"

_UNLISTED = frozenset({MANIFEST, DEPFILE, STAMP})
# The manifest before the files, so that a killed run leaves a tree known as ours; the stamp after them, so
# that make runs us again.
_ORDER = {MANIFEST: 0, DEPFILE: 2, STAMP: 3}


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that is to be copied, as it was when it was read."""

    path: str
    state: State
    digest: str


@dataclass(frozen=True, slots=True)
class Output:
    """One file to be: `content`, or a copy of `copy_of`, or a symbolic link to `link`; or, if `gone`, none.

    `mode` is None for what has no source. `newer_than` is its source's time in ns, 0 if it has none. What is `built`
    has that time: with the copy's own it would be up to date with the rewritten sources, and make would leave it so.
    """

    content: bytes = b""
    copy_of: Copied | None = None
    link: str | None = None
    mode: int | None = None
    newer_than: int = 0
    built: bool = False
    gone: bool = False

    def time(self, now: int) -> int:
        """The time of the file if it is written now."""
        return self.newer_than if self.built else max(now, self.newer_than)


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


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, and the states of all outputs since; no states if somebody may have written meanwhile."""

    changes: Changes
    states: Mapping[str, State] = field(default_factory=dict)


def compare(out: Path, outputs: Mapping[str, Output], jobs: int = 1) -> Changes:
    """What stands between the directory `out` and `outputs`. Nothing is written."""
    return _compare(out, outputs, jobs)[0]


def _compare(out: Path, outputs: Mapping[str, Output], jobs: int) -> tuple[Changes, dict[str, State]]:
    """The changes, and the states of what is as it should be, from before it was looked into."""
    with _reporting(out):
        earlier = _earlier(out)
        found = {path: _found(f"{out}/{path}") for path in sorted(set(earlier) - set(outputs) - _UNLISTED)}
        gone = found.keys()
        unwanted = {path for path, output in outputs.items() if output.gone and _is_file(out / path)}
        remove = (*sorted(unwanted, key=_removal), *(path for path in gone if found[path] == earlier[path]))
        _refuse_detours(out, [*outputs, *gone], remove)
        wanted = sorted((path for path, output in outputs.items() if not output.gone), key=_order)
        # What is seen through a link that is about to go is not there.
        seen = [path for path in wanted if not _below(path, gone)]

        def each(part: Sequence[str]) -> list[State | None]:
            return [_same(f"{out}/{path}", outputs[path]) for path in part]

        same = {path: state for path, state in zip(seen, workers.spread(each, seen, jobs), strict=True) if state}
    changes = Changes(
        tuple(path for path in wanted if path not in same),
        tuple(path for path in wanted if path in same and _older(f"{out}/{path}", outputs[path])),
        remove,
        tuple(path for path in gone if found[path] not in (None, earlier[path])),
    )
    return changes, same


def apply(out: Path, outputs: Mapping[str, Output], jobs: int = 1) -> Applied:
    """Make `out` hold `outputs`, and tell what that took: another run may have written since somebody compared."""
    with _reporting(out):
        (out / CONTROL).mkdir(parents=True, exist_ok=True)
    with _locked(out):
        # One odd time for all that is written: whoever writes to it again leaves another.
        now = time.time_ns()
        changes, same = _compare(out, outputs, jobs)
        _clean(out, outputs)
        for path in changes.remove:
            _remove(out, path)
        writes = frozenset(changes.write)

        def each(part: Sequence[str]) -> list[None]:
            for path in part:
                with _reporting(f"{out}/{path}"):
                    if path in writes:
                        _write(f"{out}/{path}", outputs[path], now)
                    else:
                        os.utime(f"{out}/{path}", ns=(outputs[path].newer_than, outputs[path].newer_than))
            return [None] * len(part)

        steps: dict[int, list[str]] = {}
        for path in sorted({*changes.write, *changes.touch}, key=_order):
            steps.setdefault(_order(path)[0], []).append(path)
        for _, paths in sorted(steps.items()):
            for folder in _folders(path for path in paths if path in writes):
                with _reporting(f"{out}/{folder}"):
                    os.makedirs(f"{out}/{folder}", exist_ok=True)
            workers.spread(each, paths, jobs)
        states = {path: State.of(os.lstat(f"{out}/{path}")) for path in (*changes.write, *same)}
    sure = all(states[path].mtime == outputs[path].time(now) for path in changes.write)
    sure = sure and all(states[path] == state and not state.young(now) for path, state in same.items())
    return Applied(changes, states if sure else {})


def _folders(paths: Iterable[str]) -> list[str]:
    """The directories that `paths` lie in, outermost first."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return sorted(found)


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
        _write(os.path.abspath(to), Output((out / DEPFILE).read_bytes()), time.time_ns())


def _refuse_detours(out: Path, paths: Iterable[str], remove: Collection[str]) -> None:
    """Through a directory that is somebody's symbolic link we would write into what it points to."""
    for folder in _folders(paths):
        if folder not in remove and os.path.islink(f"{out}/{folder}"):
            what = f"{out / folder} is a symbolic link, and files are to be written below it"
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
            yield from (inner for inner in path.iterdir() if not inner.name.endswith(whole.TEMPORARY))
        else:
            yield path


def _same(path: str, output: Output) -> State | None:
    """The state of what is at `path` if that is the output."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if _differs(path, found, output) else State.of(found)


def _differs(path: str, found: os.stat_result, output: Output) -> bool:
    if output.link is not None:
        return not stat.S_ISLNK(found.st_mode) or os.readlink(path) != output.link
    if not stat.S_ISREG(found.st_mode) or output.mode not in (None, stat.S_IMODE(found.st_mode)):
        return True
    if output.copy_of is not None:
        return found.st_size != output.copy_of.state.size or _found(path) != _digest(output)
    return found.st_size != len(output.content) or _content(path) != output.content


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _is_file(path: Path) -> bool:
    """Whether something is at `path` that a compiler could take for a file of ours."""
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())


def _older(path: str, output: Output) -> bool:
    try:
        return output.link is None and os.lstat(path).st_mtime_ns < output.newer_than
    except (FileNotFoundError, NotADirectoryError):
        return False


def _digest(output: Output) -> str:
    if output.link is not None:
        return f"link:{output.link}"
    return output.copy_of.digest if output.copy_of else digest(output.content)


def _found(path: str) -> str | None:
    """The digest of what is at `path`; None if nothing is."""
    try:
        kind = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(kind):
        return _digest(Output(link=os.readlink(path)))
    return digest(_content(path)) if stat.S_ISREG(kind) else "other"


# ---- writing --------------------------------------------------------------------------------------


def _write(path: str, output: Output, now: int) -> None:
    temporary = f"{path.rpartition('/')[0]}/.{os.getpid()}{whole.TEMPORARY}"
    try:
        if output.link is not None:
            os.symlink(output.link, temporary)
        else:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                _fill(descriptor, output)
            finally:
                os.close(descriptor)
        written = output.time(now)
        os.utime(temporary, ns=(written, written), follow_symlinks=False)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _fill(descriptor: int, output: Output) -> None:
    if output.copy_of is None:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(output.content)
    else:
        _copy(output.copy_of, descriptor)
    if output.mode is not None:
        os.fchmod(descriptor, output.mode)


def _copy(source: Copied, descriptor: int) -> None:
    with open(source.path, "rb", buffering=0) as file:
        left = source.state.size
        try:
            while left and (copied := os.copy_file_range(file.fileno(), descriptor, left)):
                left -= copied
        except OSError:
            # Not within one file system, or not on this one.
            with open(descriptor, "wb", closefd=False) as target:
                shutil.copyfileobj(file, target, 1 << 20)
        if State.of(os.fstat(file.fileno())) != source.state:
            raise changed(source.path)


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
                if entry.name.startswith(".") and entry.name.endswith(whole.TEMPORARY):
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
def _reporting(path: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"cannot write {path}: {error.strerror or error}"
        fix = "choose an output directory that can be written, with -o"
        raise InstrumentError(Finding("IN008", what, fix=fix), status=2) from None
