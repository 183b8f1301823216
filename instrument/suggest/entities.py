# SPDX-License-Identifier: MIT
"""Which declarations mean one variable, and every place that means it. Knows C's linkage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set

from instrument.model import Place, Span
from instrument.suggest.accesses import Access
from instrument.suggest.declared import Variable
from instrument.suggest.finding import Finding
from instrument.suggest.project import Occurrence, Project
from instrument.suggest.scopes import declaration_of
from instrument.suggest.source import line_start

THREAD = re.compile(rb"\b(?:__thread|_Thread_local|thread_local)\b")
"""What makes a variable one of each thread's own."""


def entities(variables: Sequence[Variable]) -> list[list[Variable]]:
    """The declarations of one name that mean one variable: those of a file that has a static one, and all others
    together."""
    own = {v.source.path for v in variables if "static" in v.storage}
    groups = [[v for v in variables if v.source.path == path] for path in sorted(own)]
    shared = [v for v in variables if v.source.path not in own]
    return [group for group in (*groups, shared) if group]


def key_of(name: str, variables: Sequence[Variable], several: bool) -> str:
    """The name of the static call. Keys are the program's, so what is its file's own may need the file's name."""
    if not several or "static" not in variables[0].storage:
        return name
    stem = variables[0].source.path.rpartition("/")[2].rpartition(".")[0]
    return re.sub(r"[^\w$]", "_", f"{stem}_{name}", flags=re.ASCII)


def definition(variables: Sequence[Variable]) -> Variable:
    """The declaration that says what the variable starts with."""
    definitions = [v for v in variables if not v.extern]
    return next((v for v in definitions if v.declarator.value is not None), (definitions or list(variables))[0])


def line_of(v: Variable) -> Span:
    """The declaration, from the start of its line: macros may stand before it."""
    return Span(line_start(v.source.data, v.node.start_byte), v.node.end_byte)


def places(
    project: Project, found: Finding, variables: Sequence[Variable], same: Sequence[Variable]
) -> Iterator[Occurrence]:
    """Every place but its declarations that means the variable; `same` are all declarations of its name. Where one
    may mean it or not, `found` says so."""
    first = variables[0]
    static = "static" in definition(variables).storage
    own = {(v.source.path, v.declarator.name.start_byte) for v in variables}
    others = {v.source.path for v in same} - {v.source.path for v in variables}
    _strangers(project, found, first.name, first.source.path if static else None, others)
    for path, source in project.sources.items():
        if path in others or first.name not in source.named:
            continue
        elsewhere = list(project.occurrences(source, first.name))
        if static and path != first.source.path:
            if not first.source.path.endswith(".c"):
                yield from elsewhere  # it is refused as a header's; who uses it shows that it is called
            elif not path.endswith(".c") and elsewhere:
                found.refuse("a header names it, which may mean this one", elsewhere[0].place)
        elif static or not _hides(elsewhere, own):
            yield from (one for one in elsewhere if (path, one.word.span.start) not in own)


def _strangers(project: Project, found: Finding, name: str, own: str | None, others: Set[str]) -> None:
    """Refuse what is named by text that no edit reaches. `own` is the file that a static variable belongs to."""
    for stranger in sorted(project.census.strangers.get(name, ()), key=lambda s: (s.path, s.line)):
        if stranger.main in others or (own is not None and own.endswith(".c") and stranger.main != own):
            continue
        if stranger.path not in project.sources:
            found.refuse(f"{stranger.path}:{stranger.line} names it, and is none of the C files given")
        elif macro := project.pasting(stranger.path, stranger.line):
            found.refuse(f"the macro {macro} makes its name by ##", Place(stranger.path, stranger.line, 1))
        else:
            found.refuse("a macro makes its name", Place(stranger.path, stranger.line, 1))


def _hides(occurrences: Sequence[Occurrence], own: set[tuple[str, int]]) -> bool:
    """Whether a .c file means something of its own by the name: a static function or variable, an enumerator, a
    type."""
    for one in occurrences:
        declares = declaration_of(one.view.node) if one.view else None
        if declares is None or (one.source.path, one.word.span.start) in own or not one.source.path.endswith(".c"):
            continue
        words = {one.source.text(c) for c in declares.children if c.type == "storage_class_specifier"}
        if "static" in words or declares.type in ("enumerator", "type_definition"):
            return True
    return False


def constness(definitions: Sequence[Variable], calls: Sequence[Access]) -> str:
    """What a static call of something const is no gain over."""
    files = {v.source.path for v in definitions if v.declarator.value is not None}
    if {call.place.path for call in calls} <= files:
        return "it is const: compilers call what it points to already"
    return "it is const: compilers that see its definition call what it points to, others with -flto"
