# SPDX-License-Identifier: MIT
"""Headers of the program that are no input, though they may declare pointers: those would seem not to be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from instrument import ccflags, ccwords
from instrument.compiledb import Command, Commands
from instrument.includes import facts
from instrument.inputs import Inputs

_POINTER = re.compile(rb"\([\s\w]*\*[\s\w]*\)\s*\(")


def missed(inputs: Inputs, commands: Commands, sources: Mapping[str, bytes], own: Sequence[Path]) -> list[Path]:
    """The headers below the directories `own` that `sources` include and `inputs` have not, with a pointer to a
    function in their text. Sorted; what a macro includes is not looked for."""
    known = {(inputs.root / name).resolve() for name in inputs.files}
    found = [
        path
        for name, text in sources.items()
        for command in commands.of(inputs.root / name)
        for path in _reached((inputs.root / name).parent, text, _folders(command), own, known)
    ]
    return sorted(path for path in found if _POINTER.search(path.read_bytes()))


def _folders(command: Command) -> list[Path]:
    found = [ccflags.search(option) for option in ccwords.options(command.words)]
    return [command.cwd / path for flag, path in filter(None, found) if flag in ("-I", "-iquote")]


def _reached(
    folder: Path, text: bytes, folders: Sequence[Path], own: Sequence[Path], known: set[Path]
) -> Iterator[Path]:
    """The headers that `text`, a file of `folder`, includes, and those that they do; `known` are not gone into."""
    for name in facts(text).names:
        path = next((way.resolve() for place in (folder, *folders) if (way := place / name).is_file()), None)
        if path is None or path in known or not any(path.is_relative_to(top) for top in own):
            continue
        known.add(path)
        yield path
        yield from _reached(path.parent, path.read_bytes(), folders, own, known)
