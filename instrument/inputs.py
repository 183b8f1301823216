# SPDX-License-Identifier: MIT
"""Which files go in, and which translation units show them to the compiler.

Knows directories and compiler commands; must not know what a static call is.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from instrument import ccflags, ccwords, manifest, rejection, terminal
from instrument.compiledb import Command, Commands
from instrument.diagnostics import Finding, InstrumentError
from instrument.includes import Includes, Reached
from instrument.model import Place, Unit
from instrument.value import dataclass, field, replace

_VCS = frozenset({".git", ".hg", ".svn"})
_INCLUDERS = 3
_COARSEST = 2_000_000_000
"""The step of the coarsest file system's times, FAT's, in ns."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """`files` and the keys of `links` are relative to `root`, sorted, with '/'.

    `links` are the symbolic links that stay links, with their relative targets.
    `named` are the files that were named one by one: their headers have to be looked for.
    `instrumented` are the files of an already instrumented tree that its run wrote, `strangers` all others in it.
    `skipped` are the links that lead out of the tree to a directory, or nowhere.
    `rejected` are the named files whose headers the compiler does not tell, with its reason.
    """

    root: Path
    files: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    instrumented: frozenset[str] = frozenset()
    skipped: tuple[str, ...] = ()
    strangers: frozenset[str] = frozenset()
    rejected: Mapping[str, Finding] = field(default_factory=dict)


def root_of(sources: Sequence[Path], root: Path | None = None) -> Path:
    """`root` itself if given; one directory: itself; one file: its directory; several: what they share."""
    if root is not None:
        return root.resolve()
    tops = [str(path.resolve() if path.is_dir() else path.parent.resolve()) for path in sources]
    return Path(os.path.commonpath(tops))


def gather(
    sources: Sequence[Path], out: Path | None = None, root: Path | None = None, exclude: Sequence[str] = ()
) -> Inputs:
    """The files of `sources`; `out` is never one of them.

    Of a directory is left out what matches one of `exclude`: patterns of whole paths, or without a '/' of names.
    """
    for source in sources:
        if not source.exists():
            raise _unreadable(source, "no such file or directory")
    top = root_of(sources, root)
    found = _Found(top, exclude)
    for source in sources:
        path = _within(top, source)
        _refuse_overlap(source, path, out, found)
        if source.is_dir():
            found.walk(path)
        else:
            found.named.add(found.name(path))
    return found.inputs()


def with_headers(
    inputs: Inputs, commands: Commands, include_dir: Path, out: Path | None = None, jobs: int = 1
) -> Inputs:
    """`inputs` and the headers below its root that the files named one by one include.

    Raises InstrumentError if the compiler cannot be run.
    """
    rejected: dict[str, Finding] = {}

    def headers(name: str) -> set[str]:
        ways = commands.of(inputs.root / name)
        every = (_includes(inputs.root, name, command, include_dir) for command in ways)
        try:
            return {header for includes in every for header in includes}
        except InstrumentError as error:
            if error.status != 1:
                raise
            rejected[name] = error.findings[0]
            return set()

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        named = [name for name in inputs.named if name.endswith(".c")]
        found = terminal.tracked(pool.map(headers, named), len(named), "looking for headers")
        candidates: set[str] = set().union(*found)
    outside = [path.resolve() for path in (include_dir, out) if path is not None]
    extra = {
        os.path.relpath(path, inputs.root)
        for path in candidates
        if Path(path).is_relative_to(inputs.root)
        and Path(path).is_file()
        and not any(Path(path).resolve().is_relative_to(directory) for directory in outside)
    }
    files = tuple(sorted({*inputs.files, *extra} - set(inputs.links)))
    return replace(inputs, files=files, rejected=dict(sorted(rejected.items())))


def units(inputs: Inputs, mentioning: Iterable[str], includes: Includes, commands: Commands) -> tuple[Unit, ...]:
    """Every .c file of `mentioning`, the .c files that include one of those (it need not make sense by itself), and
    some .c files that include the headers no such file includes. What no command compiles is no unit."""
    wanted = set(mentioning)
    named = {name for name in wanted if name.endswith(".c")}
    compiled = {name for name in inputs.files if name.endswith(".c") and commands.of(inputs.root / name)}
    sources = {*includes.includers(*named)} & compiled
    for header in sorted(wanted - named - includes.included(sources)) if compiled else ():
        sources.update(islice((name for name in includes.includers(header) if name in compiled), _INCLUDERS))
    return tuple(
        Unit(inputs.root / name, command.words, command.cwd)
        for name in sorted(sources)
        for command in commands.of(inputs.root / name)
    )


def incomplete(inputs: Inputs, asked: Iterable[Unit], includes: Includes, commands: Commands) -> frozenset[str]:
    """The files that a .c file may include which is not among the units `asked`: what they mean there is unknown."""
    known = {os.path.relpath(unit.source, inputs.root) for unit in asked}
    others = {name for name in inputs.files if name.endswith(".c")} - known
    ways = {command for name in others for command in commands.of(inputs.root / name)}
    return frozenset(includes.possible(others, {word for command in ways for word in command.words}))


def includable(inputs: Inputs, asked: Iterable[Unit], includes: Includes) -> Reached:
    """The files that the compiler can come to read for `asked`, and the directories that it goes through.

    Each costs a link, half a millisecond on some disks, and most of a tree is files that no unit here reads.
    """
    ways: dict[Command, list[str]] = {}
    for unit in asked:
        ways.setdefault(Command(unit.command, unit.cwd), []).append(os.path.relpath(unit.source, inputs.root))
    reached = Reached(set(), set())
    for command, sources in ways.items():
        searched = _searched(command, inputs.root)
        found = includes.found(inputs.root, sources, *searched) if searched else None
        if found is None:
            return _includable(inputs, [name for names in ways.values() for name in names], includes)
        reached.files.update(found.files)
        reached.folders.update(found.folders)
    return reached


def _includable(inputs: Inputs, sources: Iterable[str], includes: Includes) -> Reached:
    """The same where some text does not tell: a .c file only if it is asked or some file seems to include it."""
    if includes.some_computed():
        return Reached(set(inputs.files), set())
    wanted = includes.sources() | set(sources)
    return Reached({name for name in inputs.files if not name.endswith(".c") or name in wanted}, set())


def _searched(command: Command, root: Path) -> tuple[list[str], list[str]] | None:
    """The directories in the tree that a command has its headers looked for in, and the headers that it forces; None
    where that is said in a way that only the compiler knows."""
    folders: list[str] = []
    forced: list[str] = []
    for option in ccwords.options(command.words):
        if (search := ccflags.search(option)) is None:
            if any(word.startswith(("-X", "-Wp,", "-include", "-imacros")) for word in option):
                return None
            continue
        path = os.path.normpath(command.cwd / search[1])
        name = os.path.relpath(path if path.startswith(f"{root}/") else os.path.realpath(path), root)
        inside = [] if f"{name}/".startswith("../") else [name]
        if search[0].rstrip("=").endswith(("include", "macros")):
            forced += [search[1], *inside]
        else:
            folders += inside
    return folders, forced


class _Found:
    """What a walk has found so far."""

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        self.root = root
        self._exclude = [re.compile(fnmatch.translate(pattern)).match for pattern in exclude]
        self.files: set[str] = set()
        self.named: set[str] = set()
        self.links: dict[str, str] = {}
        self.instrumented: set[str] = set()
        self.strangers: set[str] = set()
        self.skipped: list[str] = []

    def name(self, path: Path | str) -> str:
        return os.path.relpath(path, self.root)

    def excludes(self, path: str, name: str) -> bool:
        return any(match(path) or match(name) for match in self._exclude)

    def walk(self, directory: Path) -> None:
        self._walk(str(directory), "" if directory == self.root else self.name(directory) + "/", None)

    def _walk(self, directory: str, prefix: str, written: Set[str] | None) -> None:
        """`prefix` is `directory` as names of files have it, `written` the names of what an earlier run wrote, if
        `directory` lies in its output."""
        try:
            with os.scandir(directory) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(directory, error.strerror or str(error)) from None
        if any(entry.name == manifest.CONTROL for entry in entries):
            earlier = manifest.load(Path(directory))
            if earlier is not None:
                written = {prefix + name for name in (*earlier.files, manifest.MANIFEST)} | (written or set())
        for entry in entries:
            if self._exclude and self.excludes(entry.path, entry.name):
                continue
            if entry.is_symlink():
                self._link(entry, prefix + entry.name)
            elif entry.is_dir():
                if entry.name not in _VCS:
                    self._walk(entry.path, f"{prefix}{entry.name}/", written)
            elif entry.is_file():
                self._file(prefix + entry.name, written)

    def _file(self, name: str, written: Set[str] | None = None) -> None:
        self.files.add(name)
        if written is not None:
            (self.instrumented if name in written else self.strangers).add(name)

    def _link(self, entry: os.DirEntry[str], name: str) -> None:
        target = os.path.realpath(entry.path)
        inside = Path(target).is_relative_to(self.root) and _VCS.isdisjoint(Path(target).parts)
        if inside and os.path.lexists(target):
            self.links[name] = os.path.relpath(target, os.path.realpath(Path(entry.path).parent))
        elif entry.is_file():
            self._file(name)
        else:
            self.skipped.append(name)

    def inputs(self) -> Inputs:
        return Inputs(
            self.root,
            tuple(sorted(self.files | self.named)),
            dict(sorted(self.links.items())),
            tuple(sorted(self.named)),
            frozenset(self.instrumented),
            tuple(self.skipped),
            frozenset(self.strangers),
        )


def _within(root: Path, source: Path) -> Path:
    """`source` below the resolved `root`; a link that is named as a file keeps its own name."""
    path = source.resolve() if source.is_dir() else source.parent.resolve() / source.name
    if not path.is_relative_to(root):
        raise InstrumentError(Finding("IN011", f"{source} lies outside of the root {root}"), status=2)
    return path


def _refuse_overlap(source: Path, path: Path, out: Path | None, found: _Found) -> None:
    if out is None:
        return
    target = out.resolve()
    between = [part for part in (target, *target.parents) if part != path and part.is_relative_to(path)]
    if any(found.excludes(str(part), part.name) for part in between):
        return
    if path.is_relative_to(target):
        what = f"the input {source} lies inside the output {out}"
    elif source.is_dir() and target.is_relative_to(path):
        what = f"the output {out} lies inside the input {source}"
    else:
        return
    raise InstrumentError(
        Finding("IN009", what, fix="choose an output directory beside the input, or --exclude it"), status=2
    )


def _inside(path: Path, root: Path) -> str | None:
    whole = os.path.normpath(path)
    return os.path.relpath(whole, root) if Path(whole).is_relative_to(root) else None


def _includes(root: Path, name: str, command: Command, include_dir: Path) -> Iterator[str]:
    """The absolute, lexically normal paths of what the file `name` includes, system headers left out."""
    source = root / name
    words = [*command.words, f"-I{include_dir}", "-MM", "-MG", "-MT", "x", str(source)]
    try:
        done = subprocess.run(words, cwd=command.cwd, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        what = f"cannot run the compiler {command.words[0]}: {error.strerror}"
        raise InstrumentError(Finding("IN010", what, fix="set CC to a C compiler"), status=2) from None
    if done.returncode:
        fix = "give the file's compiler flags after --, or a compile_commands.json with -p"
        what = f"the compiler {command.words[0]} cannot preprocess this file"
        detail = done.stderr.decode(errors="replace")
        place = rejection.place(detail, lambda path: _inside(command.cwd / path, root)) or Place(name, 1, 1)
        raise InstrumentError(Finding("IN001", what, place, fix=fix, detail=detail))
    for path in prerequisites(os.fsdecode(done.stdout)):
        yield os.path.normpath(command.cwd / path)


def prerequisites(rule: str) -> list[str]:
    """The words behind the first ':' of a rule as compilers write it."""
    words = re.findall(r"(?:\\[ #:]|\$\$|\\(?!\n)|[^\s\\])+", rule.partition(":")[2])
    return [re.sub(r"\\([ #:])|\$(\$)", r"\1\2", word) for word in words]


class State(NamedTuple):
    """What a file was when it was read; nobody can write to it without changing one of these. Times in ns."""

    mode: int
    size: int
    mtime: int
    ctime: int
    inode: int

    def young(self, now: int) -> bool:
        """Whether somebody could have written once more at `now` and left the times as they are."""
        return max(self.mtime, self.ctime) > now - _COARSEST

    @classmethod
    def of(cls, status: os.stat_result) -> State:
        return cls(status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def read(path: Path | str) -> tuple[bytes, State]:
    """A whole file, and what it was when it was read."""
    # Without a file object, which costs twice the system calls.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _unreadable(path, "not a regular file")
            data = os.read(descriptor, status.st_size + 1)
            if len(data) != status.st_size:
                data = b"".join([data, *iter(lambda: os.read(descriptor, 1 << 20), b"")])
            return data, State.of(status)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


def changed(path: Path | str) -> InstrumentError:
    """What there is to say where a file has become another one since it was read."""
    return _unreadable(path, "it was changed while it was being read")


def _unreadable(path: Path | str, why: str) -> InstrumentError:
    return InstrumentError(Finding("IN011", f"cannot read {path}: {why}"), status=2)
