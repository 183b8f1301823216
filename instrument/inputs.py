# SPDX-License-Identifier: MIT
"""Which files go in, and which translation units show them to the compiler.

Knows directories, `#include` as text and compiler commands; must not know what a static call is.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from instrument import manifest
from instrument.compiledb import Command, Commands
from instrument.diagnostics import Finding, InstrumentError
from instrument.model import Place, Unit

_VCS = frozenset({".git", ".hg", ".svn"})
_INCLUDERS = 3
_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include(?:_next)?[ \t]*[<\"]([^>\"\r\n]+)[>\"]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Inputs:
    """`files` and the keys of `links` are relative to `root`, sorted, with '/'.

    `links` are the symbolic links that stay links, with their relative targets.
    `named` are the files that were named one by one: their headers have to be looked for.
    `instrumented` are the files below an already instrumented tree.
    `skipped` are the links that lead out of the tree to a directory, or nowhere.
    """

    root: Path
    files: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    instrumented: frozenset[str] = frozenset()
    skipped: tuple[str, ...] = ()


def root_of(sources: Sequence[Path], root: Path | None = None) -> Path:
    """`root` itself if given; one directory: itself; one file: its directory; several: what they share."""
    if root is not None:
        return root.resolve()
    tops = [str(path.resolve() if path.is_dir() else path.parent.resolve()) for path in sources]
    return Path(os.path.commonpath(tops))


def gather(sources: Sequence[Path], out: Path | None = None, root: Path | None = None) -> Inputs:
    """The files of `sources`; `out` is never one of them."""
    for source in sources:
        if not source.exists():
            raise _unreadable(source, "no such file or directory")
    top = root_of(sources, root)
    found = _Found(top)
    for source in sources:
        path = _within(top, source)
        _refuse_overlap(source, path, out)
        if source.is_dir():
            found.walk(path)
        else:
            found.named.add(found.name(path))
    return found.inputs()


def with_headers(
    inputs: Inputs, commands: Commands, include_dir: Path, out: Path | None = None, jobs: int = 1
) -> Inputs:
    """`inputs` and the headers below its root that the files named one by one include."""

    def headers(name: str) -> set[str]:
        source = inputs.root / name
        every = (_includes(source, command, include_dir, name) for command in commands.of(source))
        return {header for includes in every for header in includes}

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        candidates: set[str] = set().union(*pool.map(headers, [n for n in inputs.named if n.endswith(".c")]))
    outside = [path.resolve() for path in (include_dir, out) if path is not None]
    extra = {
        os.path.relpath(path, inputs.root)
        for path in candidates
        if Path(path).is_relative_to(inputs.root)
        and Path(path).is_file()
        and not any(Path(path).resolve().is_relative_to(directory) for directory in outside)
    }
    return replace(inputs, files=tuple(sorted({*inputs.files, *extra} - set(inputs.links))))


def units(
    inputs: Inputs, mentioning: Iterable[str], contents: Mapping[str, bytes], commands: Commands
) -> tuple[Unit, ...]:
    """Every .c file of `mentioning`, and some .c files that include the headers no such file includes."""
    wanted = set(mentioning)
    sources = {name for name in wanted if name.endswith(".c")}
    rest = wanted - sources
    if rest:
        sources |= _includers(rest, sources, contents)
    return tuple(
        Unit(inputs.root / name, command.words, command.cwd)
        for name in sorted(sources)
        for command in commands.of(inputs.root / name)
    )


class _Found:
    """What a walk has found so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: set[str] = set()
        self.named: set[str] = set()
        self.links: dict[str, str] = {}
        self.instrumented: set[str] = set()
        self.skipped: list[str] = []

    def name(self, path: Path | str) -> str:
        return os.path.relpath(path, self.root)

    def walk(self, directory: Path, ours: bool = False) -> None:
        ours = ours or manifest.load(directory) is not None
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(directory, error.strerror or str(error)) from None
        for entry in entries:
            if entry.is_symlink():
                self._link(entry)
            elif entry.is_dir():
                if entry.name not in _VCS:
                    self.walk(Path(entry.path), ours)
            elif entry.is_file():
                self._file(entry.path, ours)

    def _file(self, path: str, ours: bool) -> None:
        self.files.add(self.name(path))
        if ours:
            self.instrumented.add(self.name(path))

    def _link(self, entry: os.DirEntry[str]) -> None:
        target = os.path.realpath(entry.path)
        inside = Path(target).is_relative_to(self.root) and _VCS.isdisjoint(Path(target).parts)
        if inside and os.path.lexists(target):
            self.links[self.name(entry.path)] = os.path.relpath(target, os.path.realpath(Path(entry.path).parent))
        elif entry.is_file():
            self._file(entry.path, ours=False)
        else:
            self.skipped.append(self.name(entry.path))

    def inputs(self) -> Inputs:
        return Inputs(
            self.root,
            tuple(sorted(self.files | self.named)),
            dict(sorted(self.links.items())),
            tuple(sorted(self.named)),
            frozenset(self.instrumented),
            tuple(self.skipped),
        )


def _within(root: Path, source: Path) -> Path:
    """`source` below the resolved `root`; a link that is named as a file keeps its own name."""
    path = source.resolve() if source.is_dir() else source.parent.resolve() / source.name
    if not path.is_relative_to(root):
        raise InstrumentError(Finding("IN011", f"{source} lies outside of the root {root}"), status=2)
    return path


def _refuse_overlap(source: Path, path: Path, out: Path | None) -> None:
    if out is None:
        return
    target = out.resolve()
    if path.is_relative_to(target):
        what = f"the input {source} lies inside the output {out}"
    elif source.is_dir() and target.is_relative_to(path):
        what = f"the output {out} lies inside the input {source}"
    else:
        return
    raise InstrumentError(Finding("IN009", what, fix="choose an output directory beside the input"), status=2)


def _includes(source: Path, command: Command, include_dir: Path, name: str) -> Iterator[str]:
    """The absolute, lexically normal paths of what `source` includes, system headers left out."""
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
        raise InstrumentError(Finding("IN001", what, Place(name, 1, 1), fix=fix, detail=detail))
    for path in prerequisites(os.fsdecode(done.stdout)):
        yield os.path.normpath(command.cwd / path)


def prerequisites(rule: str) -> list[str]:
    """The words behind the first ':' of a rule as compilers write it."""
    words = re.findall(r"(?:\\[ #:]|\$\$|\\(?!\n)|[^\s\\])+", rule.partition(":")[2])
    return [re.sub(r"\\([ #:])|\$(\$)", r"\1\2", word) for word in words]


def _includers(headers: set[str], sources: set[str], contents: Mapping[str, bytes]) -> set[str]:
    """.c files to see `headers` through, where `sources` do not include them already.

    By base name and through other headers: too many is only slow, and the compiler has the last word.
    """
    left = headers - _included(sources, contents)
    if not left:
        return set()
    included_by: dict[str, list[str]] = {}
    for name in sorted(contents):
        for base in _include_names(contents[name]):
            included_by.setdefault(base, []).append(name)
    reaching = (_reaching(header, included_by) for header in sorted(left))
    return {name for names in reaching for name in [n for n in names if n.endswith(".c")][:_INCLUDERS]}


def _included(sources: set[str], contents: Mapping[str, bytes]) -> set[str]:
    """What `sources` include, through other headers too."""
    by_base: dict[str, list[str]] = {}
    for name in contents:
        by_base.setdefault(name.rpartition("/")[2], []).append(name)
    seen = set(sources)
    for name in (queue := sorted(sources)):
        for base in _include_names(contents.get(name, b"")):
            new = [header for header in by_base.get(base, ()) if header not in seen]
            seen.update(new)
            queue.extend(new)
    return seen - sources


def _include_names(data: bytes) -> set[str]:
    """The base names of the `#include`s in `data`."""
    return {os.fsdecode(name.rpartition(b"/")[2]) for name in _INCLUDE.findall(data)}


def _reaching(header: str, included_by: Mapping[str, list[str]]) -> list[str]:
    """The files that include `header`, nearest first."""
    seen = {header: None}
    for name in (queue := [header]):
        for includer in included_by.get(name.rpartition("/")[2], ()):
            if includer not in seen:
                seen[includer] = None
                queue.append(includer)
    return list(seen)


def read(path: Path) -> tuple[bytes, os.stat_result]:
    """A whole file, and what it was when it was read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _unreadable(path, "not a regular file")
            return file.read(), status
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


def _unreadable(path: Path, why: str) -> InstrumentError:
    return InstrumentError(Finding("IN011", f"cannot read {path}: {why}"), status=2)
