# SPDX-License-Identifier: MIT
"""All candidates of a tree, each with a key of its own. Knows which files are C."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from instrument.inputs import Inputs
from instrument.suggest import members, pointers
from instrument.suggest.model import Candidate, Doubt
from instrument.suggest.project import Project
from instrument.value import replace

_C = (".c", ".h")
_OTHERS = frozenset(
    [
        ".cc",
        ".cpp",
        ".cxx",
        ".hh",
        ".hpp",
        ".hxx",
        ".inc",
        ".def",
        ".m",
        ".mm",
        ".S",
        ".s",
        ".y",
        ".l",
        ".map",
        ".sym",
        ".ver",
        ".lds",
        ".exp",
        ".in",
        ".rl",
        ".tcc",
    ]
)
_LARGE = 16 << 20


def contents_of(found: Inputs) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The C files and headers of the tree, and the other files that could name what they declare."""
    sources: dict[str, bytes] = {}
    others: dict[str, bytes] = {}
    for name in found.files:
        path = found.root / name
        if path.suffix in _C:
            sources[name] = path.read_bytes()
        elif Path(name).suffix in _OTHERS and path.stat().st_size < _LARGE:
            others[name] = path.read_bytes()
    return sources, others


def candidates(project: Project) -> list[Candidate]:
    """Every function pointer that is called by name, in the order of the files."""
    found = [*pointers.candidates(project), *members.candidates(project)]
    known = Counter(candidate.key for candidate in found)
    taken = Doubt("another candidate would have the same key")
    return [replace(c, refusals=(*c.refusals, taken)) if known[c.key] > 1 else c for c in found]
