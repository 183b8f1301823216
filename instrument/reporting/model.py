# SPDX-License-Identifier: MIT
"""What a report is made of. Every form of it says the same; none of them knows where it was read.

All text is fit to be shown: bytes that are no UTF-8 have been replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Place:
    """`path` as seen from the working directory, `line` from 1; `column` counts characters from 1, bytes where
    the source is not at hand."""

    path: str
    line: int
    column: int


@dataclass(frozen=True)
class Excerpt:
    """A line of the source, shortened where it is very long; the caret goes below character `caret`, from 0. `whole`
    is whether it is not shortened."""

    text: str
    caret: int
    whole: bool = True

    @property
    def pointer(self) -> str:
        """The line with the caret. Tabs stay, so that it stands below whatever they amount to."""
        return "".join("\t" if c == "\t" else " " for c in self.text[: self.caret]) + "^"


@dataclass(frozen=True)
class Site:
    """One call in the source. `form` is what it became: a form, two joined by " or ", "" where nothing compiles it.

    `level` is set where somebody should look. `why` tells of a lower form, `left` why the text is as it was written;
    both with a code. `became` is what the text was replaced by. `function` is None where it is not known.
    """

    place: Place
    call: str
    keys: tuple[str, ...]
    function: str | None
    form: str
    fate: str
    level: Level | None
    code: str | None
    why: str | None
    left_code: str | None
    left: str | None
    excerpt: Excerpt | None
    became: str | None

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        """Codes with their words, the form's first."""
        pairs = ((self.code, self.why), (self.left_code, self.left))
        return tuple((code, words) for code, words in pairs if code and words)


@dataclass(frozen=True)
class Key:
    """`type` is the function's, spelled without a name; None where it has none that could be written down. `defined`
    are the places of its definitions, `updates` and `calls` count those in the source."""

    name: str
    form: str
    type: str | None
    code: str | None
    why: str | None
    calls: int
    updates: int
    defined: tuple[Place, ...]


@dataclass(frozen=True)
class Problem:
    """What the run has complained about; `place` is None where that is nowhere in the tree."""

    place: Place | None
    level: Level
    code: str
    message: str
    excerpt: Excerpt | None = None
    notes: tuple[str, ...] = ()
    fix: str | None = None

    @property
    def advice(self) -> tuple[str, ...]:
        """The lines beneath the message."""
        return (*(f"note: {note}" for note in self.notes), *([f"fix: {self.fix}"] if self.fix else []))


@dataclass(frozen=True)
class Report:
    """`failed` are files that the run left out, `unseen` those whose source is gone or no longer what was read."""

    version: str
    mode: str
    layout: str
    keys: tuple[Key, ...]
    sites: tuple[Site, ...]
    problems: tuple[Problem, ...]
    failed: tuple[str, ...]
    unseen: tuple[str, ...]

    def forms(self) -> dict[str, int]:
        """How many calls have each form; "" for what nothing compiles. In the order in which they are shown."""
        every = sorted({site.form for site in self.sites}, key=lambda form: (not form, form))
        return {form: sum(site.form == form for site in self.sites) for form in every}


def advice(report: Report) -> list[Problem]:
    """Everything that somebody should look at: what the run complained about, then calls on a lower form or on none.

    Why the text of a call on a lower form stayed as it was is no concern here."""
    sites = []
    for site in report.sites:
        if site.level and site.reasons:
            code, words = site.reasons[0]
            sites.append(Problem(site.place, site.level, code, f"{said(site)}: {words}", site.excerpt))
    return [*report.problems, *sites]


def said(site: Site) -> str:
    """What became of a call, as a sentence."""
    where = f" in {site.function}" if site.function else ""
    return f"{site.call}{where} is {shown(site.form)}"


def shown(form: str) -> str:
    """The name of a form, also of none."""
    return form or "inactive"
