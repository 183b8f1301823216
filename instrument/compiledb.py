# SPDX-License-Identifier: MIT
"""The compiler command of each file: from compile_commands.json, else the default one.

Knows command lines; must not know what is asked of the compiler. Nothing here runs it.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from instrument import ccflags, ccwords
from instrument.diagnostics import Finding, InstrumentError


@dataclass(frozen=True, slots=True)
class Command:
    """The compiler with its flags: no input, no output, no -c. `cwd` is what relative flags start from."""

    words: tuple[str, ...]
    cwd: Path


@dataclass(frozen=True, slots=True)
class Commands:
    """`known` is by resolved path; one file may be compiled in several ways. `default` is for what it leaves out,
    None if nobody compiles that."""

    default: Command | None
    known: Mapping[Path, tuple[Command, ...]] = field(default_factory=dict)

    def of(self, source: Path) -> tuple[Command, ...]:
        default = (self.default,) if self.default else ()
        return self.known.get(_real(source), default) if self.known else default


def _real(path: Path) -> Path:
    """`path.resolve()`, but quick for many files of one directory."""
    whole = _real_folder(path.parent) / path.name
    return whole.resolve() if whole.is_symlink() or path.name == ".." else whole


@cache
def _real_folder(path: Path) -> Path:
    return path.resolve()


def load(build_dir: Path | None, flags: Sequence[str]) -> Commands:
    """The commands of `build_dir`'s database, else the default one; `flags` are added to each."""
    flags = ccflags.quiet(flags, Path.cwd())
    if build_dir is None:
        return Commands(Command((*compiler(), *flags), Path.cwd()))
    path = build_dir / "compile_commands.json" if build_dir.is_dir() else build_dir
    known: dict[Path, list[Command]] = {}
    for index, entry in enumerate(_entries(path)):
        source, command = _command(path, index, entry, flags)
        same = known.setdefault(source, [])
        if command not in same:
            same.append(command)
    return Commands(None, {source: tuple(commands) for source, commands in known.items()})


def without_launcher(words: Sequence[str]) -> tuple[str, ...]:
    """`ccache compiler_check=content gcc -O2` -> `gcc -O2`."""
    return tuple(words[ccwords.compiler_at(words) :])


def compiler() -> tuple[str, ...]:
    """The words of CC, or cc."""
    try:
        return without_launcher(shlex.split(os.environ.get("CC", ""))) or ("cc",)
    except ValueError as error:
        what = f"CC={os.environ['CC']} is no command: {error}"
        raise InstrumentError(Finding("IN010", what, fix="set CC to a C compiler"), status=2) from None


def _entries(path: Path) -> list[Any]:
    try:
        entries = json.loads(path.read_bytes())
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except ValueError as error:
        raise _unusable(path, f"not JSON: {error}") from None
    if not isinstance(entries, list):
        raise _unusable(path, "not an array of entries")
    return entries


def _command(path: Path, index: int, entry: Any, flags: Sequence[str]) -> tuple[Path, Command]:
    try:
        directory = (path.parent / entry["directory"]).resolve()
        source = (directory / entry["file"]).resolve()
        words = entry["arguments"] if "arguments" in entry else shlex.split(_text(entry["command"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(path, f"entry {index}: {type(error).__name__}: {error}") from None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise _unusable(path, f"entry {index}: no command line")
    compiler, *rest = without_launcher(words)
    return source, Command((compiler, *ccflags.compile_flags(rest, source, directory), *flags), directory)


def _text(value: Any) -> str:
    # shlex.split(None) reads standard input.
    if not isinstance(value, str):
        raise TypeError("'command' is not a string")
    return value


def _unusable(path: Path, why: str) -> InstrumentError:
    fix = "let the build write it anew, or leave -p out and give the flags after --"
    return InstrumentError(Finding("IN012", f"cannot use {path}: {why}", fix=fix), status=2)
