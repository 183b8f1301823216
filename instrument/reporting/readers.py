# SPDX-License-Identifier: MIT
"""The report for readers, by the templates: text, and one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar
from urllib.parse import quote

from instrument import explain, templates
from instrument.reporting.model import Excerpt, Report, Site, said, shown
from instrument.terminal import visible

_BARS = 20
"""Files that have a bar of their own."""


_Part = TypeVar("_Part")


def _visible(part: _Part) -> _Part:
    """`part` of a report with all of its text fit for a terminal or a page, and its carets where they belong."""
    value: object = part
    if isinstance(value, str):
        value = visible(value)
    elif isinstance(value, Excerpt):
        value = Excerpt(visible(value.text), len(visible(value.text[: value.caret])), value.whole)
    elif isinstance(value, tuple):
        value = tuple(map(_visible, value))
    elif is_dataclass(value) and not isinstance(value, type):
        value = replace(value, **{field.name: _visible(getattr(value, field.name)) for field in fields(value)})
    return value  # type: ignore[return-value]


def as_text(report: Report) -> str:
    """A table of the keys, and each call with its line."""
    report = _visible(report)
    return templates.render("report.txt.j2", report=report, forms=_forms(report), said=said).decode(errors="replace")


def as_html(report: Report) -> str:
    """The page. Its table of calls is made by its script, some hundred at a time, from data in the page."""
    report = _visible(report)
    titles = _titles(report)
    page = templates.page(
        "report.html.j2",
        report=report,
        forms=_forms(report),
        bars=bars(report.sites),
        reasons=reasons(report.sites),
        data={"titles": titles, "sites": [_row(site) for site in report.sites]},
        link=link,
        titles=titles,
    )
    return page.decode()


def _titles(report: Report) -> dict[str, str]:
    """What each code of the report means, in half a line."""
    codes = {problem.code for problem in report.problems}
    codes |= {code for site in report.sites for code, _ in site.reasons}
    codes |= {key.code for key in report.keys if key.code}
    return {code: f"{explain.title(code) or code} (instrument explain {code})" for code in sorted(codes)}


def _forms(report: Report) -> list[tuple[str, int]]:
    return [(shown(form), count) for form, count in report.forms().items()]


def link(**filters: str) -> str:
    """The address in the page that shows the calls which `filters` let through."""
    return "#" + "&".join(f"{name}={quote(value, safe='')}" for name, value in filters.items())


def _row(site: Site) -> list[object]:
    """In the order of report.js; an object would repeat its names ten thousand times."""
    place, excerpt = site.place, site.excerpt
    return [
        place.path,
        place.line,
        place.column,
        site.function or "",
        list(site.keys),
        shown(site.form),
        site.fate,
        site.level or "",
        [code for code, _ in site.reasons],
        [words for _, words in site.reasons],
        excerpt.text if excerpt else None,
        excerpt.pointer if excerpt else "",
        site.became,
    ]


@dataclass(frozen=True)
class Bar:
    """A file's calls, or those of `others` files. Each part is a form, where it begins and its width, both in percent
    of the longest bar, and its count."""

    path: str
    others: int
    calls: int
    parts: tuple[tuple[str, float, float, int], ...]


def bars(sites: tuple[Site, ...]) -> list[Bar]:
    """The files with the most calls first, the rest in one bar."""
    counts: dict[str, Counter[str]] = {}
    for site in sites:
        counts.setdefault(site.place.path, Counter())[shown(site.form)] += 1
    order = sorted(counts, key=lambda path: (-counts[path].total(), path))
    rest: Counter[str] = sum((counts[path] for path in order[_BARS:]), Counter())
    longest = max((count.total() for count in counts.values()), default=1)
    found = [Bar(path, 0, counts[path].total(), _parts(counts[path], longest)) for path in order[:_BARS]]
    if rest:
        # Without parts: together they would dwarf every file.
        found.append(Bar("", len(order) - _BARS, rest.total(), ()))
    return found


def _parts(count: Counter[str], longest: int) -> tuple[tuple[str, float, float, int], ...]:
    parts, at = [], 0
    for form in sorted(count, key=lambda form: (form == "inactive", form)):
        parts.append((form, 100 * at / longest, 100 * count[form] / longest, count[form]))
        at += count[form]
    return tuple(parts)


def reasons(sites: tuple[Site, ...]) -> list[tuple[str, str, int]]:
    """Codes with a reason's words and how many calls have it, the most frequent first."""
    counts = Counter(reason for site in sites for reason in site.reasons)
    return sorted(((code, words, n) for (code, words), n in counts.items()), key=lambda reason: (-reason[2], reason))
