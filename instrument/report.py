# SPDX-License-Identifier: MIT
"""The census: every token found, and what became of it.

Knows counts and words; must not know how a decision was made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from instrument import __version__
from instrument.diagnostics import Finding
from instrument.model import (
    CALLS,
    DEFINITIONS,
    Api,
    Fate,
    Form,
    KeyPlan,
    Layout,
    Mode,
    Refusal,
    Scanned,
    SitePlan,
    Token,
)
from instrument.value import dataclass

SCHEMA_VERSION = 1

_HEADER = "the header's own macro"
_DIRECTIVE = "named in a directive"
_ALONE = "the name alone"
"""Without its parentheses: another name for a macro of the header, or a name of the program's own."""
_KINDS = {
    Api.DECLARE: "declaration",
    Api.UPDATE: "update",
    Api.QUEUE: "update",
    Api.QUERY: "query",
    **dict.fromkeys(CALLS, "call"),
    **dict.fromkeys(DEFINITIONS, "definition"),
    **dict.fromkeys((Api.EXPORT, Api.EXPORT_GPL, Api.EXPORT_TRAMP, Api.EXPORT_TRAMP_GPL), "export"),
    **dict.fromkeys((Api.KEY, Api.TRAMP, Api.TRAMP_STR), "name"),
}
_PLURAL = {"query": "queries"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One token and its fate; `site` is set exactly for the calls."""

    token: Token
    fate: str
    site: SitePlan | None = None

    @property
    def kind(self) -> str:
        return _KINDS[self.token.api] if self.token.parens else "name"

    @property
    def form(self) -> str:
        """The form of all the keys that the call reaches, "" for none."""
        forms = sorted(set(self.site.forms)) if self.site else []
        return " or ".join(forms)

    @property
    def refusal(self) -> Refusal | None:
        return self.site.refusal if self.site else None

    @property
    def stay(self) -> Refusal | None:
        return self.site.stay if self.site else None


def entries(scanned: Mapping[str, Scanned], sites: Mapping[str, Sequence[SitePlan]]) -> tuple[Entry, ...]:
    """Every token in the order of files and lines. A plan that does not speak of every call once, and of nothing
    else, is a mistake of the tool's own: LookupError, before anything is written."""
    planned = {(path, site.token.name.start): site for path, plans in sites.items() for site in plans}
    found = tuple(
        _entry(token, planned.pop((path, token.name.start), None))
        for path in sorted(scanned)
        for token in sorted(scanned[path].tokens, key=lambda token: token.name.start)
    )
    if planned or sum(map(len, sites.values())) != sum(entry.site is not None for entry in found):
        raise LookupError("a call is planned that is not there, or twice")
    return found


def _entry(token: Token, site: SitePlan | None) -> Entry:
    if token.is_call:
        if site is None or not _accounts(site):
            place = f"{token.place.path}:{token.place.line}:{token.place.column}"
            raise LookupError(f"{place}: {_what(token)} is not accounted for")
        return Entry(token, site.fate.value, site)
    if token.directive is not None and token.macro is None:
        return Entry(token, _DIRECTIVE)
    return Entry(token, _HEADER if token.parens else _ALONE)


def _accounts(site: SitePlan) -> bool:
    """Whether the plan rewrites the call or says why not, and tells the form of each key that it reaches."""
    rewritten = site.fate is Fate.REWRITTEN
    if rewritten != (site.span is not None) or rewritten == (site.stay is not None):
        return False
    return len(site.forms) == len(site.use.keys) and bool(site.forms) != (site.fate is Fate.INACTIVE)


# ---- strict ---------------------------------------------------------------------------------------


def violations(found: Iterable[Entry], mode: Mode) -> tuple[Finding, ...]:
    """What --strict does not forgive: a form below `mode`, calls by a name that hides them.

    A text that is left as it is written is no violation: the header's macro gives it the same form.
    """
    return tuple(finding for entry in found if (finding := _violation(entry, mode)) is not None)


def _violation(entry: Entry, mode: Mode) -> Finding | None:
    token, site = entry.token, entry.site
    if entry.fate == _ALONE and token.api in CALLS:
        return Finding("IN003", f"'{token.api}' stands alone, so which calls it makes is not known", token.place)
    if site and site.refusal and _lower(entry, mode):
        said = f"{_what(token)} is left on the {entry.form} form: {site.refusal.reason}"
        return Finding(site.refusal.code, said, token.place)
    return None


def _lower(entry: Entry, mode: Mode) -> bool:
    """Whether the call is somewhere on a form below what `mode` asks for."""
    return mode is Mode.INLINE_ASM and entry.site is not None and Form.TRAMPOLINE in entry.site.forms


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
    lower = Counter(_why(entry.refusal) for entry in calls if entry.refusal and _lower(entry, mode))
    lines += [f"  on the trampoline: {number}, {why}" for why, number in sorted(lower.items())]
    stay = Counter(_why(entry.stay) for entry in calls if entry.stay and entry.fate == Fate.MACRO.value)
    lines += [f"  left as written: {number}, {why}" for why, number in sorted(stay.items())]
    if keys:
        forms = Counter(str(key.form) for key in keys)
        lines.append("  keys: " + ", ".join(f"{number} {form}" for form, number in sorted(forms.items())))
    return lines


def listing(found: Iterable[Entry], prefix: str = "") -> list[str]:
    """A line for each token."""
    return [_line(entry, prefix) for entry in found]


def _kinds(kinds: Counter[str]) -> str:
    order = dict.fromkeys(_KINDS[api] for api in Api)
    return ", ".join(_count(kinds[kind], kind) for kind in order if kinds[kind])


def _fates(calls: Sequence[Entry]) -> Iterator[str]:
    fates = dict.fromkeys([*(fate.value for fate in Fate), _DIRECTIVE])
    for fate in fates:
        forms = Counter(entry.form for entry in calls if entry.fate == fate and entry.form)
        total = sum(entry.fate == fate for entry in calls)
        detail = ", ".join(f"{number} {form}" for form, number in sorted(forms.items()))
        if total:
            yield f"{total} {fate} ({detail})" if detail else f"{total} {fate}"


def _why(refusal: Refusal) -> str:
    return f"{refusal.reason} [{refusal.code}]"


def _line(entry: Entry, prefix: str) -> str:
    token = entry.token
    became = ", ".join(str(part) for part in (entry.fate, entry.form) if part)
    why = "; ".join(_why(reason) for reason in (entry.refusal, entry.stay) if reason)
    where = f"{prefix}{token.place.path}:{token.place.line}:{token.place.column}"
    return f"{where}: note: {_what(token)}: {became}" + (f": {why}" if why else "")


def _what(token: Token) -> str:
    return f"{token.api}({token.key})" if token.parens else str(token.api)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {_PLURAL.get(noun, noun + 's')}"


# ---- for programs ---------------------------------------------------------------------------------


def as_json(
    found: Iterable[Entry], keys: Iterable[KeyPlan], rewritten: Iterable[str], about: Mapping[str, Any]
) -> str:
    """The census as one JSON object; `about` adds top-level members. Equal runs give equal text."""
    return json.dumps(_value(found, keys, rewritten, about), indent=1, sort_keys=True) + "\n"


def as_file(
    found: Iterable[Entry], keys: Iterable[KeyPlan], rewritten: Iterable[str], about: Mapping[str, Any]
) -> bytes:
    """The same on one line, which takes a tenth of the time: a run leaves it in every output."""
    return json.dumps(_value(found, keys, rewritten, about), sort_keys=True).encode() + b"\n"


def about(mode: Mode, layout: Layout, failed: Iterable[str], findings: Iterable[Finding]) -> dict[str, Any]:
    """What a census says of its run."""
    return {
        "tool": "instrument",
        "version": __version__,
        "mode": mode.value,
        "layout": layout.value,
        "failed": list(failed),
        "findings": [_finding(finding) for finding in findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    place = finding.place
    elsewhere = [f"{note.place.path}:{note.place.line}: {note.message}" for note in finding.also if note.place]
    return {
        "code": finding.code,
        "message": finding.message,
        "path": place.path if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "notes": [*finding.notes, *elsewhere],
        "fix": finding.fix,
    }


def _value(
    found: Iterable[Entry], keys: Iterable[KeyPlan], rewritten: Iterable[str], about: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        **about,
        "schema_version": SCHEMA_VERSION,
        "keys": [_key(key) for key in sorted(keys, key=lambda plan: plan.key.name)],
        "tokens": [_token(entry) for entry in found],
        "rewritten": sorted(rewritten),
    }


def _key(plan: KeyPlan) -> dict[str, Any]:
    from instrument import declare  # pycparser, which a tree without calls does without

    kind = plan.key.type
    spelled = declare.prototype("", kind, ()) if kind and not declare.unnameable(kind) else None
    return {"name": plan.key.name, "form": plan.form.value, "type": spelled, **_reason(plan.refusal)}


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
        "replaced": [site.span.start, site.span.end] if site and site.span else None,
        "replacement": site.text if site and site.span else None,
        "keys": dict(zip(site.use.keys, site.forms, strict=True)) if site else {},
        "function": site.function if site else None,
        "unevaluated": site.unevaluated if site else False,
        **_reason(entry.refusal),
        "left_code": entry.stay.code if entry.stay else None,
        "left_reason": entry.stay.reason if entry.stay else None,
    }


def _reason(refusal: Refusal | None) -> dict[str, str | None]:
    return {"code": refusal.code if refusal else None, "reason": refusal.reason if refusal else None}
