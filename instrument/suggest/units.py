# SPDX-License-Identifier: MIT
"""The program's translation units, and what the user's compiler makes of them in a copy of the tree.

Knows compilers and directories. Must not know C.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from instrument import paths, terminal
from instrument.compiledb import Commands
from instrument.diagnostics import Finding, InstrumentError
from instrument.includes import Includes, facts
from instrument.inputs import Inputs
from instrument.model import Unit
from instrument.shadow import Shadow, shadow

_T = TypeVar("_T")
# The options that add to what the user's own say, so that objects have symbols and nothing but them.
_OBJECT = ("-w", "-fno-lto", "-c")


class Units:
    """`contents` are the files below the root of `found` that edits may change."""

    def __init__(self, found: Inputs, commands: Commands, contents: Mapping[str, bytes], jobs: int = 1) -> None:
        self._found, self._commands, self._contents, self._jobs = found, commands, contents, jobs
        told = {name: facts(text) for name, text in contents.items()}
        self._includes = Includes(found.files, found.links, told)

    def name(self, unit: Unit) -> str:
        """Its main file, as `contents` has it."""
        return str(unit.source.relative_to(self._found.root))

    def relative(self, path: str) -> str:
        """A file of the tree as `contents` has it, any other as it is."""
        return path.removeprefix(f"{self._found.root}/")

    def reach(self, files: Iterable[str]) -> set[str]:
        """The .c files that have the text of one of `files`."""
        return {name for path in files for name in self._includes.includers(path) if name.endswith(".c")}

    def of(self, files: Iterable[str]) -> list[Unit]:
        """The units that have the text of one of `files`."""
        root = self._found.root
        return [
            Unit(root / name, command.words, command.cwd)
            for name in sorted(self.reach(files))
            for command in self._commands.of(root / name)
        ]

    def errors(self, units: Sequence[Unit], after: Mapping[str, bytes], flags: Sequence[str]) -> dict[Unit, str]:
        """What the compiler says of those units that it rejects, with the files of `after` as they are there."""
        with self._copy(after) as copy:
            said = self._each(units, partial(_error, copy, flags), "compiling")
        return {unit: text for unit, text in zip(units, said, strict=True) if text}

    def preprocessed(self, units: Sequence[Unit], after: Mapping[str, bytes]) -> list[bytes]:
        """Each unit's text with line markers, empty where the preprocessor fails."""
        with self._copy(after) as copy:
            texts = self._each(units, partial(_preprocessed, copy), "preprocessing")
            return [text.replace(os.fsencode(copy.top), os.fsencode(copy.root)) for text in texts]

    def objects(self, units: Sequence[Unit], after: Mapping[str, bytes]) -> list[bytes]:
        """Each unit's object, empty where the compiler fails."""
        with self._copy(after) as copy:
            places = {unit: copy.scratch / f"{number}.o" for number, unit in enumerate(units)}
            return self._each(units, lambda unit: _object(copy, places[unit], unit), "compiling")

    def _each(self, units: Sequence[Unit], ask: Callable[[Unit], _T], what: str) -> list[_T]:
        with ThreadPoolExecutor(max(1, self._jobs)) as pool:
            return list(terminal.tracked(pool.map(ask, units), len(units), what))

    @contextmanager
    def _copy(self, after: Mapping[str, bytes]) -> Iterator[Shadow]:
        with shadow(self._found.root, self._found.files, {}, self._contents, self._found.links) as copy:
            for path, data in after.items():
                (copy.top / path).unlink()
                (copy.top / path).write_bytes(data)
            yield copy


def _run(copy: Shadow, unit: Unit, flags: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    words = [*copy.flags(unit), f"-I{paths.INCLUDE_DIR}", *flags, copy.main(unit)]
    try:
        return subprocess.run(words, cwd=unit.cwd, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        what = f"cannot run the compiler {words[0]}: {error.strerror}"
        raise InstrumentError(Finding("IN010", what, fix="set CC to a C compiler"), status=2) from None


def _error(copy: Shadow, flags: Sequence[str], unit: Unit) -> str:
    done = _run(copy, unit, (*flags, "-fsyntax-only"))
    return copy.original(done.stderr.decode(errors="replace")) or "error" if done.returncode else ""


def _preprocessed(copy: Shadow, unit: Unit) -> bytes:
    done = _run(copy, unit, ("-w", "-E"))
    return b"" if done.returncode else done.stdout


def _object(copy: Shadow, place: Path, unit: Unit) -> bytes:
    done = _run(copy, unit, (*_OBJECT, "-o", str(place)))
    return b"" if done.returncode or not place.exists() else place.read_bytes()
