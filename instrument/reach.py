# SPDX-License-Identifier: MIT
"""Whether a translation unit may have static calls, by the text of its files alone.

Knows `#include` lines and search paths. Too much is found rather than too little: conditions are not evaluated, and
an include whose name is computed counts as one that leads to static calls. What it says no to is compiled as if
there were no launcher, so it has to be quick: it reads each file once, and imports nothing.

The system's own directories are not searched: who includes such a header and has static calls in no file of the
project's gets pointer calls there, which are right, only slower.
"""

from __future__ import annotations

import os

from instrument.ccwords import Call

_TOKENS = (b"static_call", b"STATIC_CALL")
# What static_call.h makes of a call and of a definition. A declaration, or an update, needs nothing of ours.
_MADE = (b"(&__SCT__", b"&__static_call_object }")


def may_call(call: Call) -> bool:
    """Whether a source of `call` mentions the API, or includes a file that does."""
    if call.reaches is None:
        call.reaches = _Search(call).finds([*call.sources, *call.headers])
    return call.reaches


def calls(text: bytes) -> bool:
    """Whether preprocessed text, of the instrumented flavour or of a copy, calls or defines keys."""
    return any(made in text for made in _MADE) or any(map(_is_called, text.split(b"__SCT__")[1:]))


def _is_called(after: bytes) -> bool:
    """Whether a key's name and a parenthesis come next: so a copy has a call, and nobody a declaration."""
    name, parenthesis, _ = after.partition(b"(")
    word = os.fsdecode(name.rstrip()).replace("$", "_").replace("\\", "_")
    return bool(parenthesis) and f"_{word}".isidentifier()


def calls_in(path: str) -> bool:
    """The same of a file; yes if it cannot be read, so that the compiler says why."""
    data = _text(path)
    return data is None or calls(data)


def _text(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


class _Search:
    """The files that were read, and where further ones may be."""

    def __init__(self, call: Call) -> None:
        # Quotes and brackets are not told apart: what the compilers search is among these.
        self.directories = [value for flag, value in call.search if flag not in ("-include", "-imacros")]
        for variable in ("CPATH", "C_INCLUDE_PATH"):
            self.directories += filter(None, os.environ.get(variable, "").split(os.pathsep))
        self.forced = [value for flag, value in call.search if flag in ("-include", "-imacros")]
        self.seen: set[str] = set()

    def finds(self, sources: list[str]) -> bool:
        ahead = list(sources)
        for name in self.forced:
            ahead += self._candidates("", name)
        while ahead:
            path = ahead.pop()
            if path in self.seen:
                continue
            self.seen.add(path)
            # Standard input is a file of ours then (keep_stdin), and opened anew is read from its beginning.
            data = _text("/proc/self/fd/0" if path == "-" else path)
            if data is None:
                continue
            if any(token in data for token in _TOKENS):
                return True
            for included in _included(data):
                if included is None:
                    return True
                ahead += self._candidates(path.rpartition("/")[0], included)
        return False

    def _candidates(self, beside: str, name: str) -> list[str]:
        """Every path that the name may mean; most of them are not there."""
        if name.startswith("/"):
            return [name]
        return [f"{folder}/{name}" if folder else name for folder in (beside, *self.directories)]


def _included(data: bytes) -> list[str | None]:
    """The names in the text's `#include` lines; None for one that is computed."""
    if b"\\\n" in data:
        data = data.replace(b"\\\n", b"")
    found: list[str | None] = []
    at = data.find(b"include")
    while at >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        if data[start:at].strip() == b"#":
            end = data.find(b"\n", at)
            found += _name(data[at + len(b"include") : end if end >= 0 else len(data)])
        at = data.find(b"include", at + 1)
    return found


def _name(rest: bytes) -> list[str | None]:
    """What stands behind the word `include` in its line."""
    rest = rest.removeprefix(b"_next").strip()
    close = {b'"': b'"', b"<": b">"}.get(rest[:1])
    if close:
        return [os.fsdecode(rest[1:].partition(close)[0])]
    return [None] if rest else []
