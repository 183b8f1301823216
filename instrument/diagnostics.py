# SPDX-License-Identifier: MIT
"""Diagnostic codes and how a finding is shown.

`path:line:col: error: lower-case message [IN002]`, the source line, a caret, notes, a fix. explain.py knows
what each code means.
"""

from __future__ import annotations

from instrument.model import Place
from instrument.terminal import visible
from instrument.value import dataclass


class InstrumentError(Exception):
    """Something the user must hear about; carries one or more findings and the exit status."""

    def __init__(self, *findings: Finding, status: int = 1) -> None:
        super().__init__("; ".join(f.message for f in findings))
        self.findings = findings
        self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        """A worker's error comes to us through a pipe."""
        return _error, (self.findings, self.status)


def _error(findings: tuple[Finding, ...], status: int) -> InstrumentError:
    return InstrumentError(*findings, status=status)


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnostic. `detail` is text shown as it is beneath it (a compiler's own words); `also` are notes that have
    places of their own."""

    code: str
    message: str
    place: Place | None = None
    severity: str = "error"
    notes: tuple[str, ...] = ()
    fix: str | None = None
    detail: str = ""
    also: tuple[Finding, ...] = ()

    def render(self, source_line: str | None = None, prefix: str = "") -> str:
        """The finding as text; `source_line` is the line that `place` names, `prefix` goes before its path."""
        where = f"{prefix}{self.place.path}:{self.place.line}:{self.place.column}: " if self.place else "instrument: "
        lines = [f"{where}{self.severity}: {self.message} [{self.code}]"]
        if self.place and source_line is not None:
            shown = source_line.rstrip("\r\n")
            pad = "".join("\t" if c == "\t" else " " for c in visible(shown[: self.place.column - 1]))
            lines += [f"  {shown}", f"  {pad}^"]
        if self.detail:
            lines += ["  | " + line for line in self.detail.rstrip().splitlines()]
        lines += [f"  note: {note}" for note in self.notes]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(map(visible, lines))
