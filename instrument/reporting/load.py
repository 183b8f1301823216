# SPDX-License-Identifier: MIT
"""A report from what a run left in its output: the census, and the sources where they are still the same.

The census has no paths but those in the tree. Where the tree was is in the depfile, the one file of an output that
depends on the place; what it says is believed where the digests agree.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from instrument import depfile, manifest, structure
from instrument.diagnostics import Finding, InstrumentError
from instrument.emit import DEPFILE, STAMP
from instrument.files import digest
from instrument.reporting.model import Excerpt, Key, Level, Place, Problem, Report, Site

_WIDE = 160
"""Characters of a line that are shown; generated C has lines of many thousands."""


def load(out: Path, root: Path | None) -> Report:
    """The report of the output `out`; `root` is where its sources are, None to look for them."""
    census = _census(out)
    try:
        return _report(census, _Sources(census["digests"], root or _root(out, census["digests"])))
    except (LookupError, TypeError, ValueError, AttributeError):
        raise _error(f"{out / manifest.CENSUS} is damaged", "run instrument again") from None


def _census(out: Path) -> dict[str, Any]:
    if not out.is_dir():
        fix = "name the OUT of `instrument SRC -o OUT`, which makes none where every C file has an error"
        raise _error(f"there is no directory {out}", fix)
    if manifest.load(out) is None:
        raise _error(f"{out} was not written by instrument", "name the OUT of `instrument SRC -o OUT`")
    try:
        value = json.loads((out / manifest.CENSUS).read_bytes())
    except (OSError, ValueError):
        raise _error(f"{out / manifest.CENSUS} cannot be read", "run instrument again") from None
    return dict(value)


def _error(what: str, fix: str) -> InstrumentError:
    return InstrumentError(Finding("IN011", what, fix=fix), status=2)


# ---- sources --------------------------------------------------------------------------------------


def _root(out: Path, digests: Mapping[str, str]) -> Path:
    """Where the tree is: the run's depfile names every file of it, and the output, as seen from where the run was."""
    try:
        stamp, named = depfile.first((out / DEPFILE).read_bytes())
    except OSError:
        stamp, named = "", []
    here, found = Path(), str(Path.cwd() / out / STAMP)
    if stamp and found.endswith(f"/{stamp}"):
        here = Path(found.removesuffix(stamp))
    guesses: set[str] = set()
    for name in digests:
        guesses = {path[: -len(name)] for path in named if f"/{path}".endswith(f"/{name}")}
        for guess in sorted(guesses, key=len):
            if _same(here / guess / name, digests[name]):
                return here / guess
    return here / min(guesses, key=len, default="")


def _same(path: Path, expected: str) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if digest(data) == expected else None


class _Sources:
    """The text of the files that are as the run has read them."""

    def __init__(self, digests: Mapping[str, str], root: Path) -> None:
        self._prefix = f"{os.path.relpath(root)}/".removeprefix("./")
        found = {name: _same(root / name, value) for name, value in digests.items()}
        self.data = {name: data for name, data in found.items() if data is not None}
        self.unseen = tuple(sorted(self.path(name) for name in found.keys() - self.data.keys()))
        self._lines: dict[str, list[bytes]] = {}

    def path(self, name: str) -> str:
        return _text(self._prefix + name)

    def line(self, place: Mapping[str, Any]) -> tuple[str, int] | None:
        """The line of a place, and the characters before its column."""
        name = place["path"]
        if name not in self.data:
            return None
        if name not in self._lines:
            self._lines[name] = self.data[name].split(b"\n")
        line = self._lines[name][place["line"] - 1].rstrip(b"\r")
        return line.decode(errors="replace"), len(line[: place["column"] - 1].decode(errors="replace"))

    def place(self, value: Mapping[str, Any]) -> Place:
        line = self.line(value)
        return Place(self.path(value["path"]), value["line"], line[1] + 1 if line else value["column"])

    def excerpt(self, value: Mapping[str, Any]) -> Excerpt | None:
        if (line := self.line(value)) is None:
            return None
        text, caret = line
        start = max(0, caret - _WIDE // 2) if len(text) > _WIDE else 0
        part = text[start : start + _WIDE]
        before, after = "…" if start else "", "…" if start + _WIDE < len(text) else ""
        return Excerpt(before + part + after, caret - start + len(before), part == text)

    def functions(self, tokens: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], str | None]:
        """The function around each of `tokens`, by path and offset."""
        places: dict[str, list[int]] = {}
        for token in tokens:
            places.setdefault(token["path"], []).append(token["offset"])
        return {
            (name, offset): around.function
            for name, offsets in places.items()
            if name in self.data
            for offset, around in zip(offsets, structure.structures(self.data[name], offsets), strict=True)
        }


def _text(name: str) -> str:
    return os.fsencode(name).decode(errors="replace")


# ---- census to report -----------------------------------------------------------------------------


def _report(census: Mapping[str, Any], sources: _Sources) -> Report:
    calls = [token for token in census["tokens"] if token["kind"] == "call"]
    functions = sources.functions(calls)
    return Report(
        census["version"],
        census["mode"],
        census["layout"],
        _keys(census, sources),
        tuple(_site(token, functions, census["mode"], sources) for token in calls),
        tuple(_problem(finding, sources) for finding in census["findings"]),
        tuple(sources.path(name) for name in census["failed"]),
        sources.unseen,
    )


def _site(
    token: Mapping[str, Any], functions: Mapping[tuple[str, int], str | None], mode: str, sources: _Sources
) -> Site:
    function = functions.get((token["path"], token["offset"]))
    return Site(
        sources.place(token),
        _text(f"{token['api']}({token['key']})"),
        tuple(_text(name) for name in sorted(token["keys"]) or [token["key"]]),
        _text(function) if function else None,
        " or ".join(sorted(set(token["keys"].values()))),
        token["fate"],
        _level(token, mode),
        token["code"],
        _shown(token["reason"]),
        token["left_code"],
        _shown(token["left_reason"]),
        sources.excerpt(token),
        _shown(token["replacement"]),
    )


def _level(token: Mapping[str, Any], mode: str) -> Level | None:
    """A warning where --strict would complain. A text that is left as it is written becomes the same call."""
    if mode == "inline-asm" and "trampoline" in token["keys"].values():
        return "warning"
    return "note" if token["fate"] == "inactive" else None


def _shown(text: str | None) -> str | None:
    return None if text is None else _text(text)


def _keys(census: Mapping[str, Any], sources: _Sources) -> tuple[Key, ...]:
    calls = Counter(name for token in census["tokens"] for name in token["keys"])
    updates = Counter(token["key"] for token in census["tokens"] if token["kind"] == "update")
    defined: dict[str, list[Place]] = {}
    for token in census["tokens"]:
        if token["kind"] == "definition" and token["macro"] is None:
            defined.setdefault(token["key"], []).append(sources.place(token))
    return tuple(
        Key(
            _text(key["name"]),
            key["form"],
            _shown(key["type"]),
            key["code"],
            _shown(key["reason"]),
            calls[key["name"]],
            updates[key["name"]],
            tuple(defined.get(key["name"], ())),
        )
        for key in census["keys"]
    )


def _problem(finding: Mapping[str, Any], sources: _Sources) -> Problem:
    place = sources.place(finding) if finding["path"] is not None else None
    excerpt = sources.excerpt(finding) if place else None
    # An output of an older version has no notes.
    notes = tuple(map(_text, finding.get("notes", ())))
    return Problem(
        place, "error", finding["code"], _text(finding["message"]), excerpt, notes, _shown(finding.get("fix"))
    )
