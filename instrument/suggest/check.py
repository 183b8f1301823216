# SPDX-License-Identifier: MIT
"""The compiler's word on the edits: what does not compile with them, or does not link, is no proposal.

Knows what compilers answer. Must not know C; what an edit does is no matter here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from instrument import objectfile
from instrument.model import Place, Unit
from instrument.suggest.model import Candidate, Doubt, Role
from instrument.suggest.patch import Conflict, changed
from instrument.suggest.units import Units
from instrument.value import replace

# What a wrong type is told by, whatever the user's flags make of it.
_STRICT = ("-Werror=incompatible-pointer-types", "-Werror=implicit-function-declaration", "-Werror=int-conversion")
_ERROR = re.compile(r"error: (.*)")
_KEY = "__SCK__"


class Checker:
    """Compiles what `contents` become; `seen` are the places of which the preprocessor has seen the text."""

    def __init__(self, units: Units, contents: Mapping[str, bytes], seen: frozenset[Place]) -> None:
        self._units, self.contents, self._seen = units, contents, seen

    def checked(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, those refused whose edit the compiler rejects or that another's edit rules out."""
        good: list[Candidate] = []
        told: dict[str, Doubt] = {}
        for candidate in candidates:
            try:
                if not candidate.refusals:
                    changed(self.contents, [*good, candidate])
                    good.append(candidate)
            except Conflict:
                told[candidate.key] = Doubt("its edit and that of a candidate before it are about the same text")
        strict = self._units.of(path for candidate in good for path in candidate.edits)
        before = self._units.errors(strict, {}, _STRICT)
        loose = [unit for unit in strict if unit in before]
        broken = self._units.errors(loose, {}, ()) if loose else {}
        ways = {unit: () if unit in before else _STRICT for unit in strict if unit not in broken}
        wrong = self._wrong(good, ways)
        wrong.update(self._unlinked([c for c in good if c.key not in wrong], list(ways)))
        left = [candidate for candidate in good if candidate.key not in wrong]
        doubts = {c.key: self._unchecked(c, broken) for c in left}
        own = {candidate.key: candidate.place.path for candidate in left}
        failing = {self._units.name(unit) for unit in broken}
        for key, place in self._left_out(left):
            if place.path not in failing:
                doubts[key].append(self._skipped(place, strict, own[key]))
        return [self._told(c, {**told, **wrong}, doubts.get(c.key, [])) for c in candidates]

    def _skipped(self, place: Place, units: Sequence[Unit], own: str) -> Doubt:
        """That no unit has what stands there, and why; `own` is the file that defines the pointer."""
        alone = place.path.endswith(".c") and place.path not in {self._units.name(unit) for unit in units}
        why = "no command is known that compiles its file" if alone else "these flags leave it out"
        return Doubt(f"the edit there is right: {why}, so it is not compiled", place, not alone or place.path != own)

    def _told(self, candidate: Candidate, wrong: Mapping[str, Doubt], doubts: Sequence[Doubt]) -> Candidate:
        if candidate.refusals:
            return candidate
        if candidate.key in wrong:
            return replace(candidate, refusals=(wrong[candidate.key],))
        return replace(candidate, conditions=(*candidate.conditions, *doubts))

    def _unchecked(self, candidate: Candidate, broken: Mapping[Unit, str]) -> list[Doubt]:
        """What stands in for the compiler's word on files with it that do not compile as they are. That is another
        system's file, perhaps; if the pointer's own is one, the flags are wrong and nothing is known."""
        reach = self._reach([candidate])
        names = {self._units.name(unit): text for unit, text in broken.items() if self._units.name(unit) in reach}
        if not names:
            return []
        own = candidate.place.path in names
        name = candidate.place.path if own else min(names)
        more = f", nor do {len(names) - 1} more" if len(names) > 1 else ""
        m = _ERROR.search(names[name])
        what = f"its edit is right in {name}, which does not compile with these flags as it is{more}"
        return [Doubt(f"{what}: {m[1]}" if m else what, granted=not own)]

    def _left_out(self, good: Sequence[Candidate]) -> Iterator[tuple[str, Place]]:
        """The places of edits that the preprocessor leaves out of every unit, by the candidates' keys."""
        return ((c.key, use.place) for c in good for use in c.uses if use.edits and use.place not in self._seen)

    def _unlinked(self, good: Sequence[Candidate], units: Sequence[Unit]) -> dict[str, Doubt]:
        """The candidates whose keys some object of the edited program lacks, or several define."""
        reached = self._reach(good)
        linked = [unit for unit in units if self._units.name(unit) in reached]
        objects = self._units.objects(linked, changed(self.contents, good))
        defined: dict[str, set[str]] = {}
        missing: dict[str, str] = {}
        for unit, data in zip(linked, objects, strict=True):
            for symbol in _keys(data):
                name = symbol.name.removeprefix(_KEY)
                if symbol.defined:
                    defined.setdefault(name, set()).add(self._units.name(unit))
                else:
                    missing[name] = self._units.name(unit)
        wrong: dict[str, Doubt] = {}
        for candidate in good:
            key, place = candidate.key, next((u.place for u in candidate.of(Role.DEFINE)), candidate.place)
            if key in missing and key not in defined:
                what = f"its edit does not link: {missing[key]} has the key, and these flags leave its definition out"
                wrong[key] = Doubt(what, place)
            elif len(defined.get(key, ())) > 1:
                wrong[key] = Doubt(
                    f"its edit does not link: {' and '.join(sorted(defined[key]))} define the key", place
                )
        return wrong

    def _wrong(self, good: Sequence[Candidate], ways: Mapping[Unit, tuple[str, ...]]) -> dict[str, Doubt]:
        """All at once, and one by one only where that fails."""
        if not self._failing(good, ways):
            return {}
        wrong: dict[str, Doubt] = {}
        for candidate in good:
            if errors := self._failing([candidate], ways):
                m = _ERROR.search(errors)
                wrong[candidate.key] = Doubt(f"the compiler rejects its edit: {m[1] if m else errors.strip()}")
        left = [candidate for candidate in good if candidate.key not in wrong]
        if errors := self._failing(left, ways):
            m = _ERROR.search(errors)
            what = Doubt(f"the compiler rejects the edits together: {m[1] if m else errors.strip()}")
            wrong.update((candidate.key, what) for candidate in left)
        return wrong

    def _failing(self, candidates: Sequence[Candidate], ways: Mapping[Unit, tuple[str, ...]]) -> str:
        after = changed(self.contents, candidates)
        reached = self._reach(candidates)
        for flags in sorted(set(ways.values())):
            units = [unit for unit, own in ways.items() if own == flags and self._units.name(unit) in reached]
            if errors := self._units.errors(units, after, flags):
                return next(iter(errors.values()))
        return ""

    def _reach(self, candidates: Iterable[Candidate]) -> set[str]:
        return self._units.reach(path for candidate in candidates for path in candidate.edits)


def _keys(data: bytes) -> Iterator[objectfile.Symbol]:
    """The keys among an object's symbols; none if it is for another machine."""
    try:
        found = objectfile.symbols(objectfile.sections(data)) if objectfile.is_x86_64(data) else []
    except (struct.error, IndexError, ValueError):
        found = []
    return (symbol for symbol in found if symbol.name.startswith(_KEY))
