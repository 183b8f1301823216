# SPDX-License-Identifier: MIT
"""All translation units, asked -> what every call and every key of the tree is.

Knows how the units' answers come together. Must not know how a unit is asked, or how sites are rewritten.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from instrument import unify
from instrument.diagnostics import Finding, InstrumentError
from instrument.model import DECLARATIONS, Api, Function, Key, Place, Resolution, Scanned, Target, Unit, Use
from instrument.probe import Answer, ask
from instrument.shadow import Shadow, shadow


def resolve(
    root: Path,
    files: Sequence[str],
    scanned: Mapping[str, Scanned],
    contents: Mapping[str, bytes],
    units: Sequence[Unit],
    include_dir: Path,
    jobs: int,
    links: Mapping[str, str] | None = None,
) -> Resolution:
    """What the user's compiler says of the tree at `root`.

    `files` is every file of the tree, relative to `root`, `links` its symbolic links with their targets;
    `scanned` and `contents` hold at least the files that mention the API. Raises InstrumentError with all
    findings together.
    """
    with (
        shadow(root, files, scanned, contents, links or {}) as tree,
        ThreadPoolExecutor(max_workers=max(1, jobs)) as pool,
    ):
        asked = [pool.submit(ask, unit, tree, include_dir, i) for i, unit in enumerate(units)]
        answers = [answer.result() for answer in asked]
    answers = _forgiven(answers, tree)
    findings = list(dict.fromkeys((*_findings(answers, tree, scanned), *_torn(answers, tree))))
    if findings:
        raise InstrumentError(*findings)
    return Resolution(
        _keys(answers, tree),
        _uses(answers, tree),
        frozenset().union(*(a.reached for a in answers)),
    )


def _forgiven(answers: Sequence[Answer], tree: Shadow) -> list[Answer]:
    """The answers that count: a .c file that others include need not make sense by itself."""
    read = frozenset().union(*(a.reached for a in answers if a.sound))
    return [a for a in answers if a.sound or _source(a, tree) not in read]


# ---- what went wrong ------------------------------------------------------------------------------


def _findings(answers: Sequence[Answer], tree: Shadow, scanned: Mapping[str, Scanned]) -> Iterator[Finding]:
    for answer in answers:
        if answer.failure:
            yield answer.failure
        yield from answer.findings
        yield from _undeclared(answer, tree, scanned)
        if answer.sound and not answer.findings:
            yield from _unanswered(answer, tree, scanned)


def _undeclared(answer: Answer, tree: Shadow, scanned: Mapping[str, Scanned]) -> Iterator[Finding]:
    for number in sorted({*answer.uses, *answer.nameless}):
        place = tree.sites[number].token.place
        if number in answer.nameless:
            yield Finding("IN002", f"'{answer.nameless[number]}' is not the name of a key", place)
        for key in sorted(answer.uses.get(number, frozenset()) - answer.declared):
            yield _unknown(key, answer, tree, place)
    for key in sorted(answer.undeclared):
        yield _unknown(key, answer, tree, _mention(key, answer, scanned))


def _torn(answers: Sequence[Answer], tree: Shadow) -> Iterator[Finding]:
    """Calls whose text is ours in one unit and something of the project's own in another."""
    ours = {number: answer for answer in answers for number in answer.uses}
    for answer in answers:
        for number in sorted(answer.strangers & ours.keys()):
            yield Finding(
                "IN003",
                f"this is a static call in {_source(ours[number], tree)}, but {_source(answer, tree)}"
                " does not include static_call.h",
                tree.sites[number].token.place,
                fix="include static_call.h in both, or keep the two meanings in different files",
            )


def _unknown(key: str, answer: Answer, tree: Shadow, place: Place | None) -> Finding:
    close = difflib.get_close_matches(key, sorted(answer.declared), 1)
    return Finding(
        "IN002",
        f"the key '{key}' is not declared in {_source(answer, tree)}",
        place,
        notes=tuple(f"did you mean '{name}'?" for name in close),
        fix=f"include the header that has DECLARE_STATIC_CALL({key}, ...)" if not close else None,
    )


def _unanswered(answer: Answer, tree: Shadow, scanned: Mapping[str, Scanned]) -> Iterator[Finding]:
    for key in sorted(answer.declared - answer.keys.keys()):
        yield Finding(
            "IN007",
            f"the compiler does not tell the type of the key '{key}' in {_source(answer, tree)}",
            _mention(key, answer, scanned, DECLARATIONS),
        )


def _mention(
    key: str, answer: Answer, scanned: Mapping[str, Scanned], apis: Set[Api] = frozenset(Api)
) -> Place | None:
    """Where a unit uses one of `apis` with `key`, if that is written out."""
    places = (
        token.place
        for path in sorted(answer.reached & scanned.keys())
        for token in scanned[path].tokens
        if token.api in apis and token.key == key
    )
    return next(places, None)


def _source(answer: Answer, tree: Shadow) -> str:
    unit = answer.unit
    return tree.inside(str(unit.source), unit.cwd) or str(unit.source)


# ---- what comes together --------------------------------------------------------------------------


def _uses(answers: Sequence[Answer], tree: Shadow) -> dict[tuple[str, int], Use]:
    uses = {}
    for number, site in enumerate(tree.sites):
        keys = frozenset().union(*(a.uses.get(number, frozenset()) for a in answers))
        stringized = any(number in a.stringized for a in answers)
        wider = any(number in a.wider for a in answers)
        uses[site.path, site.token.name.start] = Use(tuple(sorted(keys)), stringized, wider)
    return uses


def _keys(answers: Sequence[Answer], tree: Shadow) -> dict[str, Key]:
    told: dict[str, list[tuple[str, Key]]] = {}
    targets: dict[str, set[Target | None]] = {}
    for answer in answers:
        for name, key in answer.keys.items():
            told.setdefault(name, []).append((_source(answer, tree), key))
            if name in answer.defined:
                targets.setdefault(name, set()).add(key.symbol)
    return {name: _merged(told[name], targets.get(name, set())) for name in sorted(told)}


def _merged(told: Sequence[tuple[str, Key]], targets: Set[Target | None]) -> Key:
    """One key from what each unit, by name, says of it; `targets` has what each definition starts with."""
    first, merged = told[0]
    for unit, key in told[1:]:
        if merged.type is not None and key.type is not None:
            both = unify.function(merged.type, key.type)
            trouble = None if both else f"{_shown(merged.type)} in {first}, {_shown(key.type)} in {unit}"
            merged = replace(merged, type=both, trouble=trouble)
        elif merged.type is not None:
            merged = replace(merged, type=None, trouble=key.trouble)
    symbol = next(iter(targets)) if len(targets) == 1 else None
    return replace(
        merged,
        symbol=symbol,
        block=any(key.block for _, key in told),
        inexact=any(key.inexact for _, key in told),
    )


def _shown(fn: Function) -> str:
    from instrument.declare import spell

    try:
        return f"'{spell(fn)}'"
    except ValueError:
        return "a type that has no name"
