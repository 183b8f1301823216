# SPDX-License-Identifier: MIT
"""The compiler command of each file: from compile_commands.json, else the default one.

Knows command lines; must not know what is asked of the compiler. Nothing here runs it.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instrument.diagnostics import Finding, InstrumentError

LAUNCHERS = frozenset({"ccache", "distcc", "icecc", "sccache"})

_DROPPED = frozenset({"-c", "-S", "-E", "-M", "-MM", "-MD", "-MMD", "-MP", "-MG", "-MV", "--"})
_DROPPED_WITH_VALUE = frozenset({"-o", "-MF", "-MT", "-MQ", "-MJ"})
_DROPPED_JOINED = ("-o", "-MF", "-MT", "-MQ", "-MJ", "-Wp,-MD", "-Wp,-MMD", "-save-temps")
# Options whose value is a word of its own and could be taken for the input or for one of the above.
_KEPT_WITH_VALUE = frozenset({
    "-I", "-D", "-U", "-include", "-imacros", "-isystem", "-iquote", "-idirafter", "-isysroot", "-x",
    "-Xclang", "-Xpreprocessor", "-Xassembler", "-Xlinker", "-target", "-arch", "--param", "-mllvm",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """The compiler with its flags: no input, no output, no -c. `cwd` is what relative flags start from."""

    words: tuple[str, ...]
    cwd: Path


@dataclass(frozen=True, slots=True)
class Commands:
    """`known` is by resolved path; one file may be compiled in several ways."""

    default: Command
    known: Mapping[Path, tuple[Command, ...]] = field(default_factory=dict)

    def of(self, source: Path) -> tuple[Command, ...]:
        return self.known.get(source.resolve(), (self.default,))


def load(build_dir: Path | None, flags: Sequence[str]) -> Commands:
    """The commands of `build_dir`'s database, if any; `flags` are added to each and to the default."""
    default = Command((*_compiler(), *flags), Path.cwd())
    if build_dir is None:
        return Commands(default)
    path = build_dir / "compile_commands.json" if build_dir.is_dir() else build_dir
    known: dict[Path, list[Command]] = {}
    for index, entry in enumerate(_entries(path)):
        source, command = _command(path, index, entry, flags)
        same = known.setdefault(source, [])
        if command not in same:
            same.append(command)
    return Commands(default, {source: tuple(commands) for source, commands in known.items()})


def without_launcher(words: Sequence[str]) -> tuple[str, ...]:
    """`ccache compiler_check=content gcc -O2` -> `gcc -O2`."""
    rest = list(words)
    while len(rest) > 1 and Path(rest[0]).name in LAUNCHERS:
        del rest[0]
        while len(rest) > 1 and "=" in rest[0] and not rest[0].startswith("-"):
            del rest[0]
    return tuple(rest)


def compile_flags(words: Sequence[str], source: Path, directory: Path) -> tuple[str, ...]:
    """`words` without what names the input or an output, and without what stops the compiler early."""
    return tuple(_kept(iter(words), source, directory))


def _kept(words: Iterator[str], source: Path, directory: Path) -> Iterator[str]:
    for word in words:
        if word in _DROPPED_WITH_VALUE:
            next(words, None)
        elif word in _KEPT_WITH_VALUE:
            yield word
            yield from (value for value in [next(words, None)] if value is not None)
        elif word in _DROPPED or word.startswith(_DROPPED_JOINED):
            continue
        elif word.startswith("-") or (directory / word).resolve() != source:
            yield word


def _compiler() -> tuple[str, ...]:
    return without_launcher(shlex.split(os.environ.get("CC", ""))) or ("cc",)


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
        words = entry["arguments"] if "arguments" in entry else shlex.split(entry["command"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(path, f"entry {index}: {type(error).__name__}: {error}") from None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise _unusable(path, f"entry {index}: no command line")
    compiler, *rest = without_launcher(words)
    return source, Command((compiler, *compile_flags(rest, source, directory), *flags), directory)


def _unusable(path: Path, why: str) -> InstrumentError:
    fix = "let the build write it anew, or leave -p out and give the flags after --"
    return InstrumentError(Finding("IN012", f"cannot use {path}: {why}", fix=fix), status=2)
