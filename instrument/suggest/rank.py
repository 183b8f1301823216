# SPDX-License-Identifier: MIT
"""Which candidate is worth most: called often, assigned rarely.

Without a profile a call counts 8 for each loop around it, times the places that call its function; that says little,
but a profile says it all. What assigns is weighed likewise, for an update costs some microseconds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instrument.suggest.model import Candidate, Role, Spot, Use
from instrument.suggest.profile import Profile

_CALL = re.compile(rb"\b([A-Za-z_]\w*)[ \t]*\(")
_LOOP, _DEPTH, _CALLERS = 8, 3, 10


@dataclass(frozen=True, slots=True)
class Ranked:
    """`score` orders candidates; `calls` is what a profile has counted at its calls, None without one."""

    candidate: Candidate
    score: float
    calls: float | None


def called(contents: Iterable[bytes]) -> Counter[str]:
    """How many places seem to call each name."""
    return Counter(name.decode() for data in contents for name in _CALL.findall(data))


def ranked(candidates: Sequence[Candidate], callers: Counter[str], profile: Profile | None) -> list[Ranked]:
    """Highest score first; by place where they are equal."""
    found = [_ranked(candidate, callers, profile) for candidate in candidates]
    return sorted(found, key=lambda r: (-(r.calls or 0), -r.score, r.candidate.place.path, r.candidate.place.line))


def _ranked(candidate: Candidate, callers: Counter[str], profile: Profile | None) -> Ranked:
    calls = candidate.of(Role.CALL)
    changes = sum(_weight(use, callers) for use in candidate.of(Role.ASSIGN))
    score = sum(_weight(use, callers) for use in calls) / (1 + changes)
    if profile is None:
        return Ranked(candidate, score, None)
    # Several calls on one line are counted by it together, and so are those in one function where lines are unknown.
    spots = [spot for use in calls for spot in _spots(use)]
    places = {(spot.place.path, spot.place.line if profile.lines else 0, spot.function) for spot in spots}
    return Ranked(candidate, score, sum(profile.weight(*place) for place in places))


def _spots(use: Use) -> Sequence[Spot]:
    """A call in a macro's body is made where the macro is used."""
    return use.spots or (Spot(use.place, use.function, use.depth),)


def _weight(use: Use, callers: Counter[str]) -> float:
    return float(sum(_often(spot, callers) for spot in _spots(use)))


def _often(spot: Spot, callers: Counter[str]) -> int:
    # Its own definition looks like one more call.
    often = min(_CALLERS, max(1, callers[spot.function or ""] - 1))
    return int(_LOOP ** min(spot.depth, _DEPTH)) * often
