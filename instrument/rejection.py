# SPDX-License-Identifier: MIT
"""Why the compiler rejects a translation unit, said at the user's own line and column.

Knows the messages of gcc and clang. Must not know what the unit was asked.

What the compiler was asked about is preprocessed text of ours, in which a macro's expansion stands on one line:
its columns mean nothing to anybody else. So the user's own file is compiled as it is, and those words are told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from instrument import compiler
from instrument.diagnostics import Finding
from instrument.model import Place, Unit
from instrument.value import replace

if TYPE_CHECKING:
    from instrument.shadow import Shadow

_MESSAGE = re.compile(
    r"^(?P<path>[^\n:]+):(?P<line>\d+):(?:(?P<column>\d+):)? (?P<kind>(?:fatal )?error|note): (?P<text>[^\n]*)$",
    re.MULTILINE,
)
_FROM = re.compile(r"(?:^In file included| +) from (?P<path>[^\n:]+):(?P<line>\d+)[:,]", re.MULTILINE)
_SNIPPET = re.compile(r"^ *\d* \|.*\n?", re.MULTILINE)
# clang tells of each step of an expansion, in a header that nobody who reads this has written.
_STEPS = re.compile(
    r"^(?:[^\n:]*:\d+:\d+: note: expanded from |note: \(skipping |<scratch space>)[^\n]*\n?", re.MULTILINE
)
_OWN = re.compile(r"__SC[KT]__(?=\w)")
# The plain header's callee, as gcc writes it.
_CALLEE = re.compile(r"'[^']*__static_call_load(?:_cond)?\([^']*&(\w+)\)'")
_BYTES = "-fdiagnostics-column-unit=byte"
"""gcc counts a tab as eight columns otherwise."""


def finding(unit: Unit, tree: Shadow, include_dir: Path, said: str) -> Finding:
    """IN001 for `unit`; `said` are the compiler's words about the text that it was asked about."""

    def inside(path: str) -> str | None:
        return tree.inside(path, unit.cwd)

    main = tree.source(unit)
    words = _retold(unit, include_dir)
    if exact := place(words, inside):
        return Finding("IN001", _message(main, words), exact, detail=_STEPS.sub("", words))
    said = tree.original(said)
    where = place(said, inside) or Place(main, 1, 1)
    if where.column > _width(tree.root / where.path, where.line):
        where = replace(where, column=1)
        said = _SNIPPET.sub("", said)
    return Finding("IN001", _message(main, said), where, detail=said)


def place(words: str, inside: Callable[[str], str | None]) -> Place | None:
    """Where in the tree the compiler's `words` see the first error, None if they do not tell.

    `inside` makes a path of the tree's from one of the compiler's, None if it leads out of the tree.
    """
    return next(_places(words, inside), None)


def _message(main: str, words: str) -> str:
    errors = (m["text"] for m in _MESSAGE.finditer(words) if m["kind"] != "note")
    first = _CALLEE.sub(r"'static_call(\1)'", _OWN.sub("", next(errors, "")))
    return f"the compiler rejects {main}" + (f": {first}" if first else "")


def _retold(unit: Unit, include_dir: Path) -> str:
    """What the compiler says of the user's own file; nothing if it takes that."""
    how = ["-w", "-fsyntax-only", *_columns(compiler.driver(unit.command), unit.cwd)]
    # As a system header ours is no part of an expansion that gcc shows.
    done = compiler.attempt([*unit.command, *how, "-isystem", str(include_dir), str(unit.source)], unit.cwd)
    return done.stderr.decode("utf-8", "replace") if done.returncode else ""


@cache
def _columns(driver: tuple[str, ...], cwd: Path) -> tuple[str, ...]:
    done = compiler.attempt([*driver, _BYTES, "-fno-diagnostics-show-caret", "-E", "-x", "c", os.devnull], cwd)
    return (_BYTES, "-fno-diagnostics-show-caret") if done.returncode == 0 else ("-fno-caret-diagnostics",)


def _places(words: str, inside: Callable[[str], str | None]) -> Iterator[Place]:
    """Best first: of the first error, else of a note to it, else of the include that leads out of the tree to it."""
    messages = list(_MESSAGE.finditer(words))
    errors = [i for i, m in enumerate(messages) if m["kind"] != "note"]
    if not errors:
        return
    for m in messages[errors[0] : errors[1] if errors[1:] else None]:
        if path := inside(m["path"]):
            yield Place(path, int(m["line"]), int(m["column"] or 1))
    includes = list(_FROM.finditer(words, 0, messages[errors[0]].start()))
    # gcc begins with the innermost and goes on with "from"; clang repeats the whole phrase and ends with it.
    chain = reversed(includes) if sum(m[0].startswith("In") for m in includes) > 1 else includes
    for m in chain:
        if path := inside(m["path"]):
            yield Place(path, int(m["line"]), 1)


def _width(path: Path, line: int) -> int:
    """How many columns the line has, the one behind it counted, as gcc counts them."""
    try:
        lines = path.read_bytes().split(b"\n", line)
    except OSError:
        return 0
    return len(lines[line - 1].expandtabs()) + 1 if line <= len(lines) else 0
