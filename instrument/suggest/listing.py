# SPDX-License-Identifier: MIT
"""What `suggest` has found, as text and as JSON. Knows no C."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from instrument.model import Place
from instrument.suggest.elsewhere import Elsewhere
from instrument.suggest.model import Candidate, Doubt, Role
from instrument.suggest.rank import Ranked

_SHOWN = 3
_UPDATES = """\
An assignment becomes static_call_update(): it returns 0 or a negative errno, after which the old function goes on
being called, and takes microseconds where an assignment takes none. A signal handler may make it if the program has
updated before. Keys are the program's: two parts of it with a key of one name do not link, or share it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to tell: `chosen` are the candidates whose edits the diff has, `elsewhere` what is no candidate;
    `unit` is what a profile counts."""

    found: Sequence[Ranked]
    chosen: Sequence[Candidate]
    elsewhere: Sequence[Elsewhere]
    unit: str | None


def text(told: Told, prefix: str) -> Iterator[str]:
    """The proposals in their order, then what is not proposed and why."""
    found, unit = told.found, told.unit
    good = [r for r in found if not r.candidate.refusals]
    bad = [r for r in found if r.candidate.refusals]
    pointers = "pointer is" if len(found) == 1 else "pointers are"
    yield f"{len(found)} function {pointers} called by name: {len(good)} could be static calls, {len(bad)} not"
    for number, r in enumerate(good, 1):
        yield ""
        yield f"{number}. {_head(r, unit, prefix)}"
        yield from _calls(r.candidate, prefix)
        yield from (f"   only if {_told(doubt, prefix)}" for doubt in _once(r.candidate.conditions))
        yield from (f"   note: {_told(doubt, prefix)}" for doubt in _once(r.candidate.notes))
    if any(r.candidate.of(Role.ASSIGN) for r in good):
        yield ""
        yield _UPDATES
    if bad:
        yield ""
        yield "not proposed:"
    for r in bad:
        yield f"   {_head(r, unit, prefix)}"
        yield from (f"      {_told(doubt, prefix)}" for doubt in _once(r.candidate.refusals)[:_SHOWN])
    if told.elsewhere:
        yield ""
        yield "no candidates, though called:"
    for why in dict.fromkeys(one.why for one in told.elsewhere):
        same = [one for one in told.elsewhere if one.why == why]
        yield f"   {why}:"
        yield from (
            f"      {_at(one.place, prefix)}: {one.name}: {_number(one.calls, 'call')}" for one in same[:_SHOWN]
        )
        if len(same) > _SHOWN:
            yield f"      and {len(same) - _SHOWN} more, called at fewer places"


def _head(r: Ranked, unit: str | None, prefix: str) -> str:
    candidate = r.candidate
    calls, changes = len(candidate.of(Role.CALL)), len(candidate.of(Role.ASSIGN))
    said = unit[:-1] if unit and r.calls == 1 and unit.endswith("s") else unit
    counted = f" (profile: {r.calls:g} {said})" if r.calls is not None else ""
    name = candidate.name if candidate.name == candidate.key else f"{candidate.name} (key {candidate.key})"
    return (
        f"{_at(candidate.place, prefix)}: {name}: {_number(calls, 'call')}{counted}, {_number(changes, 'assignment')}"
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _calls(candidate: Candidate, prefix: str) -> Iterator[str]:
    calls = candidate.of(Role.CALL)
    for use in calls[:_SHOWN]:
        loops = f", in {_number(use.depth, 'loop')}" if use.depth else ""
        yield f"   called at {_at(use.place, prefix)} in {use.function}{loops}"
    if len(calls) > _SHOWN:
        yield f"   called at {len(calls) - _SHOWN} more places"


def _once(doubts: Sequence[Doubt]) -> list[Doubt]:
    """The first of those that say the same."""
    return list({doubt.what: doubt for doubt in reversed(doubts)}.values())[::-1]


def _told(doubt: Doubt, prefix: str) -> str:
    return f"{_at(doubt.place, prefix)}: {doubt.what}" if doubt.place else doubt.what


def _at(place: Place, prefix: str) -> str:
    return f"{prefix}{place.path}:{place.line}:{place.column}"


def as_json(told: Told, root: str) -> dict[str, Any]:
    """Everything, for programs; `applied` are the candidates whose edits the diff has, and paths start at `root`."""
    keys = {candidate.key for candidate in told.chosen}
    return {
        "root": root,
        "unit": told.unit,
        "candidates": [{**_candidate(r), "applied": r.candidate.key in keys} for r in told.found],
        "elsewhere": [
            {"name": one.name, "why": one.why, "calls": one.calls, **_place(one.place)} for one in told.elsewhere
        ],
    }


def _candidate(r: Ranked) -> dict[str, Any]:
    candidate = r.candidate
    return {
        "key": candidate.key,
        "name": candidate.name,
        **_place(candidate.place),
        "proposed": not candidate.refusals,
        "score": round(r.score, 3),
        "counted": r.calls,
        "uses": [
            {"role": use.role.value, **_place(use.place), "function": use.function, "loops": use.depth}
            for use in candidate.uses
        ],
        **{
            name: [{"what": doubt.what, **_place(doubt.place)} for doubt in doubts]
            for name, doubts in (
                ("refusals", candidate.refusals),
                ("conditions", candidate.conditions),
                ("notes", candidate.notes),
            )
        },
    }


def _place(place: Place | None) -> dict[str, str | int | None]:
    if place is None:
        return {"path": None, "line": None, "column": None}
    return {"path": place.path, "line": place.line, "column": place.column}
