# SPDX-License-Identifier: MIT
"""The census: every token found, and what became of it.

Knows counts and words; must not know how a decision was made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instrument.diagnostics import Finding
from instrument.model import CALLS, DEFINITIONS, Api, Fate, Form, KeyPlan, Mode, Refusal, Scanned, SitePlan, Token

SCHEMA_VERSION = 1

_HEADER = "the header's own macro"
_DIRECTIVE = "named in a directive"
_UNACCOUNTED = "unaccounted"
_ASKED_FOR = "IN035"
_KINDS = {
    Api.DECLARE: "declaration",
    Api.UPDATE: "update",
    Api.QUERY: "query",
    **dict.fromkeys(CALLS, "call"),
    **dict.fromkeys(DEFINITIONS, "definition"),
    **dict.fromkeys((Api.EXPORT, Api.EXPORT_GPL, Api.EXPORT_TRAMP, Api.EXPORT_TRAMP_GPL), "export"),
    **dict.fromkeys((Api.KEY, Api.TRAMP, Api.TRAMP_STR), "name"),
}
_PLURAL = {"query": "queries"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One token and its fate; `site` is set exactly for the calls that a plan speaks of."""

    token: Token
    fate: str
    site: SitePlan | None = None

    @property
    def kind(self) -> str:
        return _KINDS[self.token.api]

    @property
    def form(self) -> Form | None:
        return self.site.form if self.site else None

    @property
    def refusal(self) -> Refusal | None:
        return self.site.refusal if self.site else None


def entries(scanned: Mapping[str, Scanned], sites: Mapping[str, Sequence[SitePlan]]) -> tuple[Entry, ...]:
    """Every token in the order of files and lines."""
    planned = {(path, site.token.name.start): site for path, plans in sites.items() for site in plans}
    return tuple(
        _entry(token, planned.get((path, token.name.start)))
        for path in sorted(scanned)
        for token in sorted(scanned[path].tokens, key=lambda token: token.name.start)
    )


def _entry(token: Token, site: SitePlan | None) -> Entry:
    if site is not None:
        return Entry(token, site.fate.value, site)
    if token.directive is not None and token.macro is None:
        return Entry(token, _DIRECTIVE)
    if token.is_call or token.parens is None:
        return Entry(token, _UNACCOUNTED)
    return Entry(token, _HEADER)


# ---- strict ---------------------------------------------------------------------------------------


def violations(found: Iterable[Entry], mode: Mode) -> tuple[Finding, ...]:
    """What --strict does not forgive: a token without a fate, a form below `mode`, a text left as it was."""
    return tuple(finding for entry in found if (finding := _violation(entry, mode)) is not None)


def _violation(entry: Entry, mode: Mode) -> Finding | None:
    token, site, refusal = entry.token, entry.site, entry.refusal
    what = f"{token.api}({token.key})" if token.parens else str(token.api)
    if entry.fate == _UNACCOUNTED:
        return Finding("IN003", f"{what} is not accounted for", token.place)
    if site is None or site.fate is Fate.INACTIVE:
        return None
    if lower(site, mode):
        code, reason = (refusal.code, refusal.reason) if refusal else ("IN035", "no reason given")
        return Finding(code, f"{what} is left on the {site.form} form: {reason}", token.place)
    if site.fate is Fate.MACRO and token.macro is None and refusal is not None and refusal.code != _ASKED_FOR:
        return Finding(refusal.code, f"{what} is left as it is written: {refusal.reason}", token.place)
    return None


def lower(plan: SitePlan | KeyPlan, mode: Mode) -> bool:
    """Whether the form is below what `mode` asks for."""
    return mode is Mode.INLINE_ASM and plan.form is Form.TRAMPOLINE


# ---- for people -----------------------------------------------------------------------------------


def census(found: Sequence[Entry], keys: Sequence[KeyPlan], mode: Mode, files: int) -> list[str]:
    """A few lines."""
    if not found:
        return [f"no static calls in {_count(files, 'file')}"]
    kinds = Counter(entry.kind for entry in found)
    where = len({entry.token.place.path for entry in found})
    lines = [f"{_count(len(found), 'token')} in {_count(where, 'file')}: {_kinds(kinds)}"]
    calls = [entry for entry in found if entry.kind == "call"]
    if calls:
        lines.append("  calls: " + ", ".join(_fates(calls)))
    left = Counter(_why(entry.refusal) for entry in calls if entry.refusal and _tells(entry, mode))
    lines += [f"  left: {number} because {why}" for why, number in sorted(left.items())]
    if keys:
        forms = Counter(_form(key, mode) for key in keys)
        lines.append("  keys: " + ", ".join(f"{number} {form}" for form, number in sorted(forms.items())))
    return lines


def listing(found: Iterable[Entry], prefix: str = "") -> list[str]:
    """A line for each token."""
    return [_line(entry, prefix) for entry in found]


def _kinds(kinds: Counter[str]) -> str:
    order = dict.fromkeys(_KINDS[api] for api in Api)
    return ", ".join(_count(kinds[kind], kind) for kind in order if kinds[kind])


def _fates(calls: Sequence[Entry]) -> Iterator[str]:
    fates = dict.fromkeys([*(fate.value for fate in Fate), _DIRECTIVE, _UNACCOUNTED])
    for fate in fates:
        forms = Counter(str(entry.form) for entry in calls if entry.fate == fate and entry.form)
        total = sum(entry.fate == fate for entry in calls)
        detail = ", ".join(f"{number} {form}" for form, number in sorted(forms.items()))
        if total:
            yield f"{total} {fate} ({detail})" if detail else f"{total} {fate}"


def _tells(entry: Entry, mode: Mode) -> bool:
    """Whether the site's reason says more than its fate does."""
    site = entry.site
    if site is None or site.refusal is None or site.refusal.code == _ASKED_FOR or site.fate is Fate.INACTIVE:
        return False
    return lower(site, mode) or site.fate is Fate.MACRO


def _form(key: KeyPlan, mode: Mode) -> str:
    return f"{key.form}: {_why(key.refusal)}" if key.refusal and lower(key, mode) else str(key.form)


def _why(refusal: Refusal) -> str:
    return f"{refusal.reason} [{refusal.code}]"


def _line(entry: Entry, prefix: str) -> str:
    token = entry.token
    what = f"{token.api}({token.key})" if token.parens else str(token.api)
    became = ", ".join(str(part) for part in (entry.fate, entry.form) if part)
    why = f": {_why(entry.refusal)}" if entry.refusal else ""
    return f"{prefix}{token.place.path}:{token.place.line}:{token.place.column}: note: {what}: {became}{why}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {_PLURAL.get(noun, noun + 's')}"


# ---- for programs ---------------------------------------------------------------------------------


def as_json(
    found: Iterable[Entry], keys: Iterable[KeyPlan], rewritten: Iterable[str], about: Mapping[str, Any]
) -> str:
    """The census as one JSON object; `about` adds top-level members. Equal runs give equal text."""
    value = {
        **about,
        "schema_version": SCHEMA_VERSION,
        "keys": [_key(key) for key in sorted(keys, key=lambda plan: plan.key.name)],
        "tokens": [_token(entry) for entry in found],
        "rewritten": sorted(rewritten),
    }
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _key(plan: KeyPlan) -> dict[str, Any]:
    return {"name": plan.key.name, "form": plan.form.value, **_reason(plan.refusal)}


def _token(entry: Entry) -> dict[str, Any]:
    token, site = entry.token, entry.site
    return {
        "path": token.place.path,
        "line": token.place.line,
        "column": token.place.column,
        "offset": token.name.start,
        "api": token.api.value,
        "kind": entry.kind,
        "key": token.key,
        "spelling": token.spelling.value if token.is_call else None,
        "macro": token.macro,
        "fate": entry.fate,
        "form": entry.form.value if entry.form else None,
        "keys": list(site.use.keys) if site else [],
        "function": site.function if site else None,
        **_reason(entry.refusal),
    }


def _reason(refusal: Refusal | None) -> dict[str, str | None]:
    return {"code": refusal.code if refusal else None, "reason": refusal.reason if refusal else None}
