# SPDX-License-Identifier: MIT
"""All translation units, asked -> what every call and every key of the tree is.

Knows how the units' answers come together. Must not know how a unit is asked, or how sites are rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

from instrument import terminal, unify
from instrument.diagnostics import Finding
from instrument.model import (
    DECLARATIONS,
    DEFINITIONS,
    Api,
    Function,
    Key,
    Place,
    Resolution,
    Scanned,
    Target,
    Unit,
    Use,
)
from instrument.probe import Answer, ask
from instrument.shadow import Shadow, shadow
from instrument.surroundings import OTHER_REGISTERS
from instrument.value import dataclass, replace


@dataclass(frozen=True, slots=True)
class Resolved:
    """`resolution` is what the sound units say. `failed` are the sources, relative to the root, of the others, and
    `findings` why; a source that was compiled in several ways fails if one of them does. `outside` are the
    files that were read and do not lie in the tree."""

    resolution: Resolution
    findings: tuple[Finding, ...] = ()
    failed: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A finding and the sources of the units that cannot be done because of it."""

    finding: Finding
    sources: frozenset[str]


def resolve(
    root: Path,
    files: Iterable[str],
    scanned: Mapping[str, Scanned],
    contents: Mapping[str, bytes],
    units: Sequence[Unit],
    include_dir: Path,
    jobs: int,
    links: Mapping[str, str] | None = None,
    copied: bool = True,
    ups: int = 0,
    folders: Iterable[str] = (),
) -> Resolved:
    """What the user's compiler says of the tree at `root`.

    `files` is what a compiler may read of the tree, relative to `root`, `links` its symbolic links with their
    targets; `scanned` and `contents` hold at least the files that mention the API, and nothing at all where no copy
    of them will be compiled (`copied`). `ups` and `folders` are as in `shadow`. What is wrong with a unit is a
    finding of the result; raises InstrumentError, with status 2, where the compiler cannot be run.
    """
    if not units:
        return Resolved(Resolution())
    with shadow(root, files, scanned, contents, links or {}, ups, folders) as tree:
        answers = _forgiven(_asked(units, tree, include_dir, jobs, copied), tree)
    trouble = [*_troubles(answers, tree, scanned), *_torn(answers, tree)]
    failed = _failed(answers, tree, trouble)
    answers = _without(answers, tree, failed)
    # A type that only a failed unit tells is no type to hold another one against.
    disagreements = list(_disagreements(answers, tree, scanned, failed))
    failed = _failed(answers, tree, [*trouble, *disagreements])
    answers = _without(answers, tree, failed)
    mixed = _mixed(answers)
    resolution = Resolution(
        _keys(answers, tree, mixed),
        _uses(answers, tree, mixed),
        frozenset().union(*(a.reached for a in answers)),
        frozenset().union(*(a.hidden for a in answers)),
        frozenset().union(*(a.defined for a in answers)),
    )
    findings = dict.fromkeys(found.finding for found in (*trouble, *disagreements))
    return Resolved(resolution, tuple(findings), failed, frozenset().union(*(a.outside for a in answers)))


def _asked(units: Sequence[Unit], tree: Shadow, include_dir: Path, jobs: int, copied: bool) -> list[Answer]:
    what = "asking the compiler"
    if jobs == 1:
        answers = (ask(unit, tree, include_dir, i, copied) for i, unit in enumerate(units))
        return list(terminal.tracked(answers, len(units), what))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        asked = [pool.submit(ask, unit, tree, include_dir, i, copied) for i, unit in enumerate(units)]
        try:
            return [answer.result() for answer in terminal.tracked(asked, len(asked), what)]
        finally:
            # Whoever stops us, or a compiler that is not there, need not wait for the units still to be asked.
            pool.shutdown(wait=False, cancel_futures=True)


def _forgiven(answers: Sequence[Answer], tree: Shadow) -> list[Answer]:
    """The answers that count: a .c file that others include need not make sense by itself."""
    read = frozenset().union(*(a.reached for a in answers if a.sound))
    return [a for a in answers if a.sound or _source(a, tree) not in read]


def _failed(answers: Sequence[Answer], tree: Shadow, trouble: Sequence[_Trouble]) -> frozenset[str]:
    """The sources that cannot be done; with a .c file that is not there, what includes it is not whole either."""
    failed = frozenset[str]().union(*(found.sources for found in trouble))
    while more := {_source(a, tree) for a in answers if a.reached & failed} - failed:
        failed |= more
    return failed


def _without(answers: Sequence[Answer], tree: Shadow, failed: Set[str]) -> list[Answer]:
    return [answer for answer in answers if _source(answer, tree) not in failed]


# ---- what went wrong ------------------------------------------------------------------------------


def _troubles(answers: Sequence[Answer], tree: Shadow, scanned: Mapping[str, Scanned]) -> Iterator[_Trouble]:
    """What is wrong with single units."""
    for answer in answers:
        source = frozenset({_source(answer, tree)})
        findings = [answer.failure] if answer.failure else []
        findings += [*answer.findings, *_bare(answer, tree, scanned), *_undeclared(answer, tree, scanned)]
        if answer.sound and not answer.findings:
            findings += [*_unanswered(answer, tree, scanned), *_no_functions(answer, scanned, tree)]
        yield from (_Trouble(finding, source) for finding in findings)


def _bare(answer: Answer, tree: Shadow, scanned: Mapping[str, Scanned]) -> Iterator[Finding]:
    if answer.bare:
        source = _source(answer, tree)
        places = (token.place for token in scanned.get(source, Scanned()).tokens if token.api in DECLARATIONS)
        what = f"{source} declares static calls, but does not include static_call.h"
        yield Finding("IN015", what, next(places, Place(source, 1, 1)), fix="#include <static_call.h>")


def _undeclared(answer: Answer, tree: Shadow, scanned: Mapping[str, Scanned]) -> Iterator[Finding]:
    for number in sorted({*answer.uses, *answer.nameless}):
        place = tree.sites[number].token.place
        if number in answer.nameless:
            yield Finding("IN002", f"'{answer.nameless[number]}' is not the name of a key", place)
        for key in sorted(answer.uses.get(number, frozenset()) - answer.declared):
            yield _unknown(key, answer, tree, place)
    for key in sorted(answer.undeclared):
        yield _unknown(key, answer, tree, _mention(key, answer, scanned) if scanned else _own(key, answer, tree))


def _own(key: str, answer: Answer, tree: Shadow) -> Place | None:
    """Where the unit's own file uses the key, if nothing was scanned: only for a mistake does the launcher do so."""
    from instrument.scan import scan

    tokens = scan(answer.unit.source.read_bytes(), _source(answer, tree)).tokens
    return next((token.place for token in tokens if token.key == key), None)


def _torn(answers: Sequence[Answer], tree: Shadow) -> Iterator[_Trouble]:
    """Calls whose text is ours in some units and something of the project's own in another."""
    ours: dict[int, list[str]] = {}
    for answer in answers:
        for number in answer.uses:
            ours.setdefault(number, []).append(_source(answer, tree))
    for answer in answers:
        theirs = _source(answer, tree)
        for number in sorted(answer.strangers & ours.keys()):
            finding = Finding(
                "IN003",
                f"this is a static call in {ours[number][0]}, but {theirs} does not include static_call.h",
                tree.sites[number].token.place,
                fix="include static_call.h in both, or keep the two meanings in different files",
            )
            yield _Trouble(finding, frozenset({theirs, *ours[number]}))


def _unknown(key: str, answer: Answer, tree: Shadow, place: Place | None) -> Finding:
    from difflib import get_close_matches

    close = get_close_matches(key, sorted(answer.declared), 1)
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


def _no_functions(answer: Answer, scanned: Mapping[str, Scanned], tree: Shadow) -> Iterator[Finding]:
    """Keys that nobody can call: with a misplaced `&`, with the name of a struct, of a vectorcall function."""
    for name, key in sorted(answer.keys.items()):
        if key.type is None:
            yield Finding(
                "IN014",
                f"the key '{name}' is declared with what no static call can reach in {_source(answer, tree)}",
                _mention(name, answer, scanned, DECLARATIONS) or Place(_source(answer, tree), 1, 1),
                notes=(key.trouble,) if key.trouble else (),
                fix="give a function, or a type or an expression of one's type, without '&'",
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
    return tree.source(answer.unit)


# ---- a key with two types -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Teller:
    """What one unit says of one key."""

    source: str
    type: Function
    defines: bool
    answer: Answer


def _disagreements(
    answers: Sequence[Answer], tree: Shadow, scanned: Mapping[str, Scanned], failed: Set[str]
) -> Iterator[_Trouble]:
    """Keys that units of one program declare with two types.

    A key that several units define belongs to as many programs, each with its own type; a unit that only declares
    it is part of one of them. A failed unit that defines it may be another program.
    """
    tellers: dict[str, list[_Teller]] = {}
    for answer in answers:
        source = _source(answer, tree)
        for name, key in answer.keys.items():
            if key.type is not None:
                tellers.setdefault(name, []).append(_Teller(source, key.type, name in answer.defined, answer))
    for name, told in sorted(tellers.items()):
        if not _defines(name, failed, scanned):
            yield from _contradictions(name, told, scanned)


def _defines(name: str, sources: Set[str], scanned: Mapping[str, Scanned]) -> bool:
    tokens = (token for source in sources & scanned.keys() for token in scanned[source].tokens)
    return any(token.api in DEFINITIONS and token.key == name for token in tokens)


def _contradictions(name: str, told: Sequence[_Teller], scanned: Mapping[str, Scanned]) -> Iterator[_Trouble]:
    definers = [teller for teller in told if teller.defines]
    programs = len({teller.source for teller in definers})
    # A source that is compiled in several ways may well tell several types.
    against = definers or [teller for teller in told if teller.source == told[0].source]
    for teller in told:
        if (programs > 1 and teller.defines) or any(unify.function(teller.type, one.type) for one in against):
            continue
        concerned = {teller.source} if programs > 1 else {teller.source, against[0].source}
        yield _Trouble(_contradiction(name, teller, against[0], scanned), frozenset(concerned))


def _contradiction(name: str, one: _Teller, other: _Teller, scanned: Mapping[str, Scanned]) -> Finding:
    places = [
        _mention(name, teller.answer, scanned, DECLARATIONS) or Place(teller.source, 1, 1) for teller in (one, other)
    ]
    here, there = _shown(one.type), _shown(other.type)
    verb = "defined" if other.defines else "declared"
    same = (
        ("what the two call by one name is not one type: its members or their types differ",) if here == there else ()
    )
    return Finding(
        "IN013",
        f"the key '{name}' is {here} in {one.source}, but {there} in {other.source}",
        places[0],
        notes=same,
        fix="declare it once, in a header that every file with the key includes",
        also=(Finding("IN013", f"{verb} as {there} here", places[1], severity="note"),),
    )


# ---- what comes together --------------------------------------------------------------------------


def _uses(answers: Sequence[Answer], tree: Shadow, mixed: bool) -> dict[tuple[str, int], Use]:
    uses = {}
    for number, site in enumerate(tree.sites):
        keys = frozenset().union(*(a.uses.get(number, frozenset()) for a in answers))
        stringized = any(number in a.stringized for a in answers)
        barred = next(
            (why for a in answers if number in a.uses and (why := _barred(a, mixed, number in a.exposed))), None
        )
        whole = any(number in a.whole for a in answers)
        uses[site.path, site.token.name.start] = Use(tuple(sorted(keys)), stringized, barred, whole)
    return uses


def _mixed(answers: Sequence[Answer]) -> bool:
    """Whether link-time optimisation may inline functions into others that have more registers."""
    whole = any(flag.startswith("-flto") for a in answers for flag in a.unit.command)
    return whole and len({a.avx512 for a in answers}) > 1


def _barred(answer: Answer, mixed: bool, exposed: bool) -> str | None:
    if exposed:
        return OTHER_REGISTERS
    if mixed and not answer.avx512:
        return "-flto may inline it into files that are compiled for other registers"
    return answer.barred


def _keys(answers: Sequence[Answer], tree: Shadow, mixed: bool) -> dict[str, Key]:
    told: dict[str, list[tuple[str, Key]]] = {}
    targets: dict[str, set[Target | None]] = {}
    for answer in answers:
        for name, key in answer.keys.items():
            if name in answer.hidden:
                key = replace(key, barred=_barred(answer, mixed, name in answer.exposed_keys))
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
    symbol = next(iter(targets)) if len(targets) == 1 else None
    return replace(
        merged,
        symbol=symbol,
        block=any(key.block for _, key in told),
        inexact=any(key.inexact for _, key in told),
        barred=next((key.barred for _, key in told if key.barred), None),
        option=next((key.option for _, key in told if key.option), None),
    )


def _shown(fn: Function) -> str:
    from instrument.declare import spell

    try:
        return f"'{spell(fn)}'"
    except ValueError:
        return "a type that has no name"
