# SPDX-License-Identifier: MIT
"""How often the places of a program run, as a profiler has counted it.

Reads callgrind.out files, the text of `perf script`, and that of `perf report --stdio`. Must not know what the places
are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from instrument.diagnostics import Finding, InstrumentError

_NAME = re.compile(r"(c?(?:fl|fi|fe|fn))=(?:\((\d+)\))?\s*(.*)")
_FRAME = re.compile(r"\s+[0-9a-f]+ (\S+?)(?:\+0x[0-9a-f]+)? \(.*\)$")
_SAMPLE = re.compile(r"\s*\S.*?:\s+[0-9a-f]+ (\S+?)(?:\+0x[0-9a-f]+)? \(.*\)$")
"""The line of a sample without a stack."""
_REPORT = re.compile(r"\s+(\d+\.\d+)%\s.*\[[.k]\]\s+(\S+)")


@dataclass(slots=True)
class Profile:
    """`lines` counts the calls that a line of a file makes, by base name and line; `functions` what is known of a
    function only: calls of it, samples in it and in what it calls, or per cent. `unit` says what is counted."""

    unit: str
    lines: Counter[tuple[str, int]] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)

    def weight(self, path: str, line: int, function: str | None) -> float:
        """How much a call on that line counts."""
        return self.lines[path.rpartition("/")[2], line] if self.lines else self.functions[function or ""]


def read(path: Path) -> Profile:
    """Raises InstrumentError, status 2, for a file that is none of these."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    if data.startswith(b"PERFILE2"):
        raise _unusable(path, f"it is perf's own: give its text, by `perf script -i {path} > FILE`")
    text = data.decode(errors="replace")
    if re.search(r"^(?:events|positions|cmd): ", text, re.MULTILINE) and "fn=" in text:
        found = _callgrind(text)
    elif any(_FRAME.match(line) or _SAMPLE.match(line) for line in text.splitlines()):
        found = _script(text)
    else:
        found = Profile("%")
        for m in map(_REPORT.match, text.splitlines()):
            if m:
                found.functions[m[2]] += float(m[1])  # type: ignore[assignment]
    if not found.lines and not found.functions:
        raise _unusable(path, "no callgrind.out, no text of `perf script` or `perf report --stdio`")
    return found


def _unusable(path: Path, why: str) -> InstrumentError:
    return InstrumentError(Finding("IN011", f"cannot use the profile {path}: {why}"), status=2)


# ---- callgrind ------------------------------------------------------------------------------------


class _Positions:
    """The numbers that a line of costs starts with; `+n`, `-n` and `*` count from the line before."""

    def __init__(self, names: str) -> None:
        self._names = names.split()
        self._last = [0] * len(self._names)

    def line(self, words: list[str]) -> int:
        for i, word in enumerate(words[: len(self._names)]):
            if word == "*":
                continue
            number = int(word.lstrip("+-"), 0)
            self._last[i] = (
                self._last[i] + number if word[0] == "+" else self._last[i] - number if word[0] == "-" else number
            )
        return self._last[self._names.index("line")] if "line" in self._names else 0


def _callgrind(text: str) -> Profile:
    found = Profile("calls")
    names: dict[tuple[bool, str], str] = {}
    positions = _Positions("line")
    file, called, calls = "", "", 0
    for row in text.splitlines():
        if row.startswith("positions:"):
            positions = _Positions(row.partition(":")[2])
        elif m := _NAME.match(row):
            function = m[1].endswith("fn")
            name = names.setdefault((function, m[2]), m[3]) if m[2] else m[3]
            if m[1] == "cfn":
                called = name
            elif m[1] in ("fl", "fi", "fe"):
                file = name.rpartition("/")[2]
        elif row.startswith("calls="):
            calls = int(row[6:].split()[0])
        elif row[:1].isdigit() or row[:1] in ("+", "-", "*"):
            line = positions.line(row.split())
            if calls:
                found.functions[called] += calls
                if line:
                    found.lines[file, line] += calls
            calls = 0
    return found


# ---- perf -----------------------------------------------------------------------------------------


def _script(text: str) -> Profile:
    """A sample counts for the function it is in, and for that function's caller, whose call it may be."""
    found = Profile("samples")
    for stack in _stacks(text):
        for function in dict.fromkeys(stack[:2]):
            found.functions[function] += 1
    return found


def _stacks(text: str) -> Iterator[list[str]]:
    """The functions of each sample, innermost first."""
    stack: list[str] = []
    for row in text.splitlines():
        m = _FRAME.match(row)
        if m:
            stack.append(m[1])
            continue
        if stack:
            yield stack
            stack = []
        if m := _SAMPLE.match(row):
            yield [m[1]]
    if stack:
        yield stack
