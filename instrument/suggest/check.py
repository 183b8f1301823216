# SPDX-License-Identifier: MIT
"""Whether the compiler takes the edits: each translation unit that they reach, before and after, in a copy of the
tree.

Knows compilers and directories. Must not know C; what an edit does is no matter here.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from instrument import paths, terminal
from instrument.compiledb import Commands
from instrument.diagnostics import Finding, InstrumentError
from instrument.includes import Includes, facts
from instrument.inputs import Inputs
from instrument.model import Edit, Place, Unit
from instrument.shadow import Shadow, shadow
from instrument.suggest.model import Candidate, Doubt
from instrument.suggest.patch import Conflict, changed, patched
from instrument.value import replace

# What a wrong type is told by, whatever the user's flags make of it.
_STRICT = ("-Werror=incompatible-pointer-types", "-Werror=implicit-function-declaration", "-Werror=int-conversion")
_MARK = "__scs_seen_"
_MARKED = re.compile(rf"\b{_MARK}(\d+)\b".encode())
_ERROR = re.compile(r"error: (.*)")


class Checker:
    """Compiles what `contents`, below the root of `found`, becomes."""

    def __init__(self, found: Inputs, commands: Commands, contents: Mapping[str, bytes], jobs: int = 1) -> None:
        self.found, self.commands, self.contents, self.jobs = found, commands, contents, jobs
        told = {name: facts(text) for name, text in contents.items()}
        self._includes = Includes(found.files, found.links, told)

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
        strict = self._units(good)
        before = self._errors(strict, {}, _STRICT)
        loose = [unit for unit in strict if unit in before]
        broken = self._errors(loose, {}, ()) if loose else {}
        ways = {unit: () if unit in before else _STRICT for unit in strict if unit not in broken}
        wrong = self._wrong(good, ways)
        left = [candidate for candidate in good if candidate.key not in wrong]
        doubts = {c.key: self._unchecked(c, broken) for c in left}
        own = {candidate.key: candidate.place.path for candidate in left}
        for key, place in self._unseen(left, list(ways)):
            if place.path not in {self._name(unit) for unit in broken}:
                doubts[key].append(self._skipped(place, strict, own[key]))
        return [self._told(c, {**told, **wrong}, doubts.get(c.key, [])) for c in candidates]

    def _skipped(self, place: Place, units: Sequence[Unit], own: str) -> Doubt:
        """That no unit has what stands there, and why; `own` is the file that defines the pointer."""
        alone = place.path.endswith(".c") and place.path not in {self._name(unit) for unit in units}
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
        reach = self._reach(candidate)
        names = {self._name(unit): text for unit, text in broken.items() if self._name(unit) in reach}
        if not names:
            return []
        own = candidate.place.path in names
        name = candidate.place.path if own else min(names)
        more = f", nor do {len(names) - 1} more" if len(names) > 1 else ""
        m = _ERROR.search(names[name])
        what = f"its edit is right in {name}, which does not compile with these flags as it is{more}"
        return [Doubt(f"{what}: {m[1]}" if m else what, granted=not own)]

    def _unseen(self, good: Sequence[Candidate], units: Sequence[Unit]) -> Iterator[tuple[str, Place]]:
        """The places of edits that the preprocessor leaves out of every unit, by the candidates' keys."""
        marked = [(c, use) for c in good for use in c.uses if use.edits]
        edits: dict[str, list[Edit]] = {}
        for number, (_, use) in enumerate(marked):
            span = use.edits[0].span
            edits.setdefault(use.place.path, []).append(Edit(span, f" {_MARK}{number} ".encode()))
        after = {path: patched(self.contents[path], each) for path, each in edits.items()}
        names = {name for c in good for name in self._reach(c)}
        with self._copy(after) as copy, ThreadPoolExecutor(max(1, self.jobs)) as pool:
            texts = pool.map(_preprocessor(copy), [unit for unit in units if self._name(unit) in names])
            seen = {int(number) for text in texts for number in _MARKED.findall(text)}
        return ((c.key, use.place) for number, (c, use) in enumerate(marked) if number not in seen)

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
        reached = {name for candidate in candidates for name in self._reach(candidate)}
        for flags in sorted(set(ways.values())):
            units = [unit for unit, own in ways.items() if own == flags and self._name(unit) in reached]
            if errors := self._errors(units, after, flags):
                return next(iter(errors.values()))
        return ""

    # ---- translation units ------------------------------------------------------------------------

    def _name(self, unit: Unit) -> str:
        return str(unit.source.relative_to(self.found.root))

    def _reach(self, candidate: Candidate) -> set[str]:
        return {name for path in candidate.edits for name in self._includes.includers(path) if name.endswith(".c")}

    def _units(self, candidates: Sequence[Candidate]) -> list[Unit]:
        names = sorted({name for candidate in candidates for name in self._reach(candidate)})
        root = self.found.root
        return [
            Unit(root / name, command.words, command.cwd)
            for name in names
            for command in self.commands.of(root / name)
        ]

    def _errors(self, units: Sequence[Unit], after: Mapping[str, bytes], flags: Sequence[str]) -> dict[Unit, str]:
        """What the compiler says of those units that it rejects."""
        with self._copy(after) as copy, ThreadPoolExecutor(max(1, self.jobs)) as pool:
            answers = pool.map(_compiler(copy, flags), units)
            said = list(terminal.tracked(answers, len(units), "compiling"))
        return {unit: text for unit, text in zip(units, said, strict=True) if text}

    @contextmanager
    def _copy(self, after: Mapping[str, bytes]) -> Iterator[Shadow]:
        """The tree with the files of `after` as they are there."""
        with shadow(self.found.root, self.found.files, {}, self.contents, self.found.links) as copy:
            for path, data in after.items():
                (copy.top / path).unlink()
                (copy.top / path).write_bytes(data)
            yield copy


def _preprocessor(copy: Shadow) -> Callable[[Unit], bytes]:
    def preprocess(unit: Unit) -> bytes:
        words = [*copy.flags(unit), f"-I{paths.INCLUDE_DIR}", "-E", "-P", copy.main(unit)]
        done = subprocess.run(words, cwd=unit.cwd, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        return done.stdout

    return preprocess


def _compiler(copy: Shadow, flags: Sequence[str]) -> Callable[[Unit], str]:
    def compile_one(unit: Unit) -> str:
        words = [*copy.flags(unit), f"-I{paths.INCLUDE_DIR}", *flags, "-fsyntax-only", copy.main(unit)]
        try:
            done = subprocess.run(words, cwd=unit.cwd, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        except OSError as error:
            what = f"cannot run the compiler {words[0]}: {error.strerror}"
            raise InstrumentError(Finding("IN010", what, fix="set CC to a C compiler"), status=2) from None
        return copy.original(done.stderr.decode(errors="replace")) or "error" if done.returncode else ""

    return compile_one
