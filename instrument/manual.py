# SPDX-License-Identifier: MIT
"""The manual pages, made from the parsers of the commands: `python -m instrument.manual DIRECTORY`, or `make man`.

Without argparse-manpage, which wants its commands in one tree of parsers, and a setuptools hook to run it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from instrument import SPDX, __version__, settings
from instrument.commands import COMMANDS, RUN, Command

_STATUS = "Exit status:"
_COLOURS = {"NO_COLOR, FORCE_COLOR": "diagnostics without colours, or with them, whatever standard error is"}


def main(folder: str) -> int:
    """Write all pages into `folder`."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (out / name).write_text(text)
    return 0


def pages() -> dict[str, str]:
    """The pages by their files' names."""
    named = {"instrument": RUN} | {f"instrument-{name}": command for name, command in COMMANDS.items()}
    return {f"{name}.1": "\n".join(_page(name, command, [*named])) + "\n" for name, command in named.items()}


def _page(name: str, command: Command, names: list[str]) -> Iterator[str]:
    parser = command.options()
    yield f'.\\" {SPDX}'
    # No date: the page is to be the same whenever it is built.
    yield f'.TH {name.upper()} 1 "" "instrument {__version__}" "User Commands"'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(command.summary)}"
    yield ".SH SYNOPSIS"
    yield _text(" ".join(parser.format_usage().removeprefix("usage: ").split()))
    yield ".SH DESCRIPTION"
    yield _text(" ".join((parser.description or "").split()))
    yield ".SH OPTIONS"
    for action in parser._actions:
        yield from _option(action, parser)
    yield from _rest(parser.epilog or "")
    yield from _surroundings(name)
    yield ".SH SEE ALSO"
    others = [f"\\fB{_text(other)}\\fR(1)" for other in names if other != name]
    yield ",\n".join(others)


def _option(action: argparse.Action, parser: argparse.ArgumentParser) -> Iterator[str]:
    value = str(action.metavar or (action.choices and "{" + ",".join(map(str, action.choices)) + "}") or action.dest)
    if action.option_strings:
        flags = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in action.option_strings)
        head = flags if action.nargs == 0 else f"{flags} \\fI{_text(value)}\\fR"
    else:
        head = f"\\fI{_text(value)}\\fR"
    told = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    yield f".TP\n{head}"
    yield _text(told) if told else "\\&"


def _rest(epilog: str) -> Iterator[str]:
    """The paragraphs behind the options: lines that are set in stay lines, the exit status has a section."""
    paragraphs = [part for part in re.split(r"\n\s*\n", epilog) if part.strip()]
    told = [part for part in paragraphs if not part.startswith(_STATUS)]
    if told:
        yield ".SH NOTES"
    for number, part in enumerate(told):
        if number:
            yield ".PP"
        if re.search(r"^\s|\S {2,}\S", part, re.MULTILINE):
            yield ".nf\n" + "\n".join(_text(line.rstrip()) for line in part.strip("\n").split("\n")) + "\n.fi"
        else:
            yield _text(" ".join(part.split()))
    for part in paragraphs:
        if part.startswith(_STATUS):
            yield ".SH EXIT STATUS\n" + _text(" ".join(part.removeprefix(_STATUS).split()))


_VARIABLES = {
    "instrument": {"CC": "the compiler that is asked where no compile_commands.json tells", **_COLOURS},
    "instrument-cc": {
        "INSTRUMENT_CC": "options that come before those of the command line",
        "TMPDIR": "where small files are kept from one compile to the next",
        **_COLOURS,
    },
}
_SETTINGS = {"instrument": settings.RUN, "instrument-cc": settings.LAUNCHER}


def _surroundings(name: str) -> Iterator[str]:
    """The variables and files that a command reads which takes settings."""
    if name not in _SETTINGS:
        return
    yield ".SH ENVIRONMENT"
    told = {settings.variable(each): settings.SETTINGS[each].help for each in _SETTINGS[name]}
    for variable, what in (told | _VARIABLES[name]).items():
        yield f".TP\n\\fB{_text(variable)}\\fR\n{_text(what)}"
    yield ".SH FILES"
    names = ", ".join(f"\\fI{_text(file)}\\fR" for file in (settings.FILE, settings.SHARED_FILE))
    yield f".TP\n{names}\nsettings: \\fBinstrument\\-config\\fR(1)"


def _text(text: str) -> str:
    """Nothing in it is a request or an escape, and a '-' can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
