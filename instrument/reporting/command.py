# SPDX-License-Identifier: MIT
"""`instrument report`: words in, a report out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from instrument import whole
from instrument.arguments import Parser
from instrument.diagnostics import Finding, InstrumentError
from instrument.reporting import load, programs, readers

_FORMATS = {
    "text": readers.as_text,
    "html": readers.as_html,
    "json": programs.as_json,
    "sarif": programs.as_sarif,
    "github": programs.as_github,
}

_ABOUT = """\
What the run that wrote OUT found, what it made of each call, and why. `instrument SRC -o OUT` first; its sources are
read again for the lines that are shown, if they are still the same.
"""

_EPILOG = """\
text and html are the whole report, and json is for programs. sarif and github have what somebody should look at:
errors of the run, calls on a lower form than was asked for, calls that nothing compiles.

Exit status: 0 fine; 2 there is no such output, or the report cannot be written.
"""


def parser() -> Parser:
    made = Parser(
        prog="instrument report",
        description=_ABOUT,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("out", metavar="OUT", type=Path, help="what the run has written")
    add("--format", choices=_FORMATS, help="default: what FILE's name ends in, or text")
    add("-o", "--output", metavar="FILE", type=Path, help="where the report goes (default: -, standard output)")
    add("--root", metavar="DIR", type=Path, help="where the sources are (default: where the run had them)")
    return made


def main(words: Sequence[str]) -> int:
    """Run `instrument report` with `words` and return its exit status."""
    arguments = parser().parse_args(words)
    report = load.load(arguments.out, arguments.root)
    text = _FORMATS[arguments.format or _named(arguments.output)](report)
    if report.unseen:
        more = f" and {len(report.unseen) - 1} more" if len(report.unseen) > 1 else ""
        why = "not the source that was instrumented, so its lines are not shown"
        if not any(map(os.path.exists, report.unseen)):
            why = "not found, so no lines are shown; --root DIR says where the sources are"
        what = f"{report.unseen[0]}{more}: {why}"
        print(f"instrument: warning: {what}", file=sys.stderr)
    data = text.encode(errors="replace")
    if arguments.output and str(arguments.output) != "-":
        _write(arguments.output, data)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return 0


def _named(output: Path | None) -> str:
    suffix = output.suffix.lower().lstrip(".") if output else ""
    return suffix if suffix in _FORMATS else "text"


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a server may be showing the last one. What is no file, a pipe say, is written to."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            whole.write(str(path.resolve()), data)
    except OSError as error:
        raise InstrumentError(Finding("IN008", f"cannot write {path}: {error.strerror}"), status=2) from None
