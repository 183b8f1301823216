# SPDX-License-Identifier: MIT
"""What holds of the tool's own steps for any bytes at all: no compiler, every call taken for live.

Shared by the hypothesis tests and the atheris target.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from instrument import plan, report, rewrite, structure
from instrument.model import Api, Base, Encoding, Fate, Function, Key, Mode, Resolution, Scanned, SitePlan, Token, Use
from instrument.scan import mentions, scan

PATH, FOLDER = "a.c", "static_call"
_IDENTIFIER = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_TYPE = Function(Base("int", 4, Encoding.SIGNED), (), variadic=False)


class Run(NamedTuple):
    """One file before and after."""

    data: bytes
    scanned: Scanned
    sites: tuple[SitePlan, ...]
    out: bytes


def instrumented(data: bytes, mode: Mode) -> Run:
    """`data` rewritten as if a compiler had said that every call is live with the key that it spells."""
    scanned = scan(data, PATH)
    calls = [token for token in scanned.tokens if token.is_call]
    names = {token.key for token in calls if _IDENTIFIER.fullmatch(token.key)}
    live = {token.name.start for token in calls if token.key in names} - called_by_rewriting(scanned)
    uses = {(PATH, token.name.start): Use((token.key,) if token.name.start in live else ()) for token in calls}
    resolution = Resolution({name: Key(name, _TYPE) for name in names}, uses)
    sites = plan.plan({PATH: scanned}, {PATH: data}, resolution, mode).sites[PATH]
    return Run(data, scanned, sites, rewrite.rewrite(data, scanned, sites, FOLDER))


def called_by_rewriting(scanned: Scanned) -> set[int]:
    """Calls of static_call_cond(), which becomes `(void)...`, behind the bare name of a macro, which it would call.

    No C has that: of all words only return, else and do stand before such a call. What stands between the two may be
    rewritten itself, in a line that is a directive's, so any bare name before it counts.
    """
    bare = min((token.name.start for token in scanned.tokens if token.parens is None), default=None)
    conditional = (token.name.start for token in scanned.tokens if token.api is Api.COND)
    return {start for start in conditional if bare is not None and start > bare}


def check(data: bytes, mode: Mode = Mode.INLINE_ASM) -> None:
    """Everything that holds of `data`."""
    run = instrumented(data, mode)
    assert mentions(data) or run.scanned == Scanned()
    assert run.out == rebuilt(run)
    for line_end in (b"\n", b"\r", b"\r\n"):
        assert data.count(line_end) == run.out.count(line_end)
    check_census(run)
    again = instrumented(run.out, mode)
    assert again.out == run.out
    # What is left reads as it did: no rewriting has eaten or made a token beside it, or moved one out of its line.
    assert [outline(token) for token in again.scanned.tokens] == list(left(run))


def rebuilt(run: Run) -> bytes:
    """The output from the spans alone."""
    edits = [(i.header.start, i.header.end, f'"{FOLDER}/{i.name}"') for i in run.scanned.includes]
    edits += [(site.span.start, site.span.end, site.text) for site in run.sites if site.span]
    pieces, at = [], 0
    for start, end, text in sorted(edits):
        assert at <= start < end <= len(run.data)
        pieces += [run.data[at:start], text.encode("utf-8", "surrogateescape")]
        for mark in [*re.findall(rb"\r\n|\r|\n", run.data[start:end]), run.data[end : end + 1]]:
            # Two ends of lines must not become one.
            pieces += [b" "] * (mark[:1] == b"\n" and pieces[-1] == b"\r") + [mark]
        pieces.pop()
        at = end
    return b"".join((*pieces, run.data[at:]))


def check_census(run: Run) -> None:
    """It closes, and can be shown."""
    entries = report.entries({PATH: run.scanned}, {PATH: run.sites})
    assert len(entries) == len(run.scanned.tokens)
    told = json.loads(report.as_json(entries, (), (), {}))["tokens"]
    assert [token["offset"] for token in told] == [token.name.start for token in run.scanned.tokens]
    report.census(entries, (), Mode.INLINE_ASM, 1)
    "\n".join(report.listing(entries)).encode("utf-8", "backslashreplace")
    structure.structures(run.data, [token.name.start for token in run.scanned.tokens])


def left(run: Run) -> Iterator[tuple[object, ...]]:
    """The tokens whose text stays."""
    gone = {site.token.name.start for site in run.sites if site.fate is Fate.REWRITTEN}
    return (outline(token) for token in run.scanned.tokens if token.name.start not in gone)


def outline(token: Token) -> tuple[object, ...]:
    shape = (token.parens is None, token.rest is None, token.called)
    return (token.api, token.place.line, token.macro, token.directive, *shape)
