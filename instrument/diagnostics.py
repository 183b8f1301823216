# SPDX-License-Identifier: MIT
"""Diagnostic codes and how a finding is shown.

`path:line:col: error: lower-case message [IN002]`, the source line, a caret, notes, a fix. Codes below
IN020 are errors of the input or the setting; from IN020 on they are reasons for a lower form.
"""

from __future__ import annotations

from dataclasses import dataclass

from instrument.model import Place

CODES: dict[str, str] = {
    "IN001": "the compiler rejects the file",
    "IN002": "the key is not declared in this translation unit",
    "IN003": "the name is used in a way that is no static call",
    "IN005": "the target is not x86-64 with 64-bit pointers",
    "IN006": "a header outside of the tree uses static calls",
    "IN007": "the compiler was asked for a key's type and gave none",
    "IN008": "the output cannot be written",
    "IN009": "the input and an output overlap",
    "IN010": "the compiler cannot be run",
    "IN011": "an input cannot be read",
    "IN012": "compile_commands.json cannot be used",
    "IN013": "the key has two types in one program",
    "IN014": "the key is declared with what no static call can reach",
    "IN015": "static_call.h is not included",
    "IN020": "an argument or a result is passed in memory",
    "IN021": "how a type is passed is not known",
    "IN022": "the function is variadic",
    "IN023": "the function has no prototype",
    "IN024": "the function has another calling convention",
    "IN025": "the key has different types in different translation units",
    "IN026": "a type has no name that a wrapper could spell",
    "IN027": "the key is declared inside a function",
    "IN028": "the callee is used as a value",
    "IN029": "the call stands in a file where an asm cannot take the place of a call",
    "IN030": "the call is written inside a macro",
    "IN031": "the call's own text ends up in a string",
    "IN032": "the call reaches different keys in different places",
    "IN033": "no translation unit compiles this call",
    "IN034": "the key's name is itself a macro",
    "IN035": "the mode is trampoline",
    "IN036": "a preprocessor directive stands inside of the call's text",
    "IN037": "not every file that includes this one was asked",
    "IN038": "compilers pass the type in different ways",
    "IN039": "the call's text does not read the same in every dialect of C",
    "IN040": "the assembly has the trampoline otherwise than in a call that can be patched",
    "IN041": "the file begins with a precompiled header",
    "IN042": "the compiler makes the code without an assembler",
    "IN050": "a process cannot be looked into",
    "IN051": "a binary's tables and its text disagree",
}


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
            pad = "".join("\t" if c == "\t" else " " for c in shown[: self.place.column - 1])
            lines += [f"  {shown}", f"  {pad}^"]
        if self.detail:
            lines += ["  | " + line for line in self.detail.rstrip().splitlines()]
        lines += [f"  note: {note}" for note in self.notes]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)
