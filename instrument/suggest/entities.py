# SPDX-License-Identifier: MIT
"""Which declarations mean one variable, and every place that means it. Knows C's linkage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from instrument.suggest.declared import Variable
from instrument.suggest.finding import Finding
from instrument.suggest.project import Occurrence, Project, declaration_of
from instrument.suggest.uses import Deed, seen_in_macro


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


def places(
    project: Project, found: Finding, variables: Sequence[Variable], same: Sequence[Variable]
) -> Iterator[Occurrence]:
    """Every place but its declarations that means the variable; `same` are all declarations of its name. Where one
    may mean it or not, `found` says so."""
    first = variables[0]
    static = "static" in definition(variables).storage
    own = {(v.source.path, v.declarator.name.start_byte) for v in variables}
    others = {v.source.path for v in same} - {v.source.path for v in variables}
    for path, source in project.sources.items():
        if path in others or first.name not in source.named:
            continue
        elsewhere = list(project.occurrences(source, first.name))
        if static and path != first.source.path:
            if not first.source.path.endswith(".c"):
                yield from elsewhere  # it is refused as a header's; who uses it shows that it is called
            elif not path.endswith(".c") and any(not _another(one) for one in elsewhere):
                found.refuse("a header names it, which may mean this one", elsewhere[0].place)
        elif static or not _hides(elsewhere, own):
            yield from (one for one in elsewhere if (path, one.word.span.start) not in own)


def _another(one: Occurrence) -> bool:
    return (
        one.node is None
        and one.word.line is not None
        and seen_in_macro(one.source, one.word)[0].deed is Deed.ELSEWHERE
    )


def _hides(occurrences: Sequence[Occurrence], own: set[tuple[str, int]]) -> bool:
    """Whether a .c file means something of its own by the name: a static function or variable, an enumerator, a
    type."""
    for one in occurrences:
        declares = declaration_of(one.node) if one.node else None
        if declares is None or (one.source.path, one.word.span.start) in own or not one.source.path.endswith(".c"):
            continue
        words = {one.source.text(c) for c in declares.children if c.type == "storage_class_specifier"}
        if "static" in words or declares.type in ("enumerator", "type_definition"):
            return True
    return False
