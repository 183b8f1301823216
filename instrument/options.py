# SPDX-License-Identifier: MIT
"""`instrument SRC... -o OUT`: its options, and which of them do not go together."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from instrument import settings, terminal
from instrument.arguments import Parser, jobs, processors
from instrument.ccwords import LAYOUTS, MODES
from instrument.commands import COMMANDS
from instrument.meant import meant
from instrument.questions import QUESTIONS
from instrument.settings import RUN, File, Value

_COMMANDS = "\n".join(f"    instrument {name:<12} {command.summary}" for name, command in COMMANDS.items())
_EPILOG = f"""\
Compiler flags for files that no compile_commands.json tells of go after --:

    instrument src include -o build -- -Iinclude -DNDEBUG

`instrument cc -- gcc ...` compiles without a copy (`instrument cc --help`); what --mode direct writes is compiled so.

For build files: --cflags, --libs, --makefile, --include-dir, --cmakedir, --pkgconfigdir and --bazeldir
print where the runtime is; --gdb prints the script for gdb. Options that a project always gives can stand in
.instrument.toml or pyproject.toml (`instrument config --help`).

Commands, each with a --help of its own:

{_COMMANDS}

A C file with an error is left out of OUT, the others are done all the same.

Exit status: 0 fine; 1 an error in the sources, or what --check, --diff or --strict found; 2 usage,
configuration or internal error.
"""

_NAMES = {"output-dir": "out"}
"""The settings that argparse has by another name."""


def parser() -> Parser:
    made = Parser(
        prog="instrument",
        usage="instrument SRC... -o OUT [options] [-- compiler flags]",
        description="Turn static_call(key)(args) into patched direct calls, in a copy of the sources.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("sources", metavar="SRC", nargs="*", help="C files and directories")
    add_settings(made)
    add("--depfile", metavar="FILE", help="write what OUT depends on there, too, as a rule for make or ninja")
    add("-n", "--dry-run", action="store_true", help="tell what would be written, write nothing")
    add("--check", action="store_true", help="write nothing; exit 1 if OUT is out of date or, without -o, "
        "if anything would be rewritten")  # fmt: skip
    add("--diff", action="store_true", help="write nothing; show the rewriting; exit 1 if there is any")
    add("--json", action="store_true", help="the census on stdout, for programs")
    add("-v", "--verbose", action="store_true", help="a line for each token; a traceback for an internal error")
    for flag, what in QUESTIONS.items():
        add(flag, action="store_true", help=f"print {what}")
    return made


def add_settings(made: Parser) -> None:
    """The options that a file or the environment may hold, too. What is not given is None."""
    add, switch = made.add_argument, argparse.BooleanOptionalAction
    add("-o", "--output-dir", metavar="OUT", dest="out", help="where the instrumented copy goes")
    add("--mode", choices=MODES, help=f"how calls are made (default: {MODES[0]})")
    add("--layout", choices=LAYOUTS, help=f"the bytes of a call site (default: {LAYOUTS[0]})")
    add("-p", "--build-dir", metavar="BUILD_DIR", dest="build_dir", help="where compile_commands.json is")
    add("--root", metavar="DIR", help="what paths in OUT are relative to (default: what the sources share)")
    add("--exclude", metavar="GLOB", action="append", help="files and directories that are no input; repeatable")
    add("--strict", action=switch, help="exit 1, and write nothing, if any call is on a lower form than asked")
    add("-j", "--jobs", metavar="N", type=jobs, help="compilers at a time (default: one for each processor)")
    add("-q", "--quiet", action=switch, help="errors only")
    add("--isolated", action="store_true", help="read no configuration file")


def file(arguments: argparse.Namespace) -> File | None:
    """The file with the settings for the sources. Raises InstrumentError, status 2."""
    with _told():
        return None if arguments.isolated else settings.find(start(arguments))


def start(arguments: argparse.Namespace) -> str:
    """The directory where the search for the file begins."""
    from instrument import inputs  # 30 ms, which --help need not wait for

    there = [Path(source) for source in arguments.sources if os.path.lexists(source)]
    return str(inputs.root_of(there)) if there else "."


def settled(arguments: argparse.Namespace, flags: Sequence[str], found: File | None) -> dict[str, Value]:
    """The settings of the run, each with its origin. Raises InstrumentError, status 2."""
    given = {name: getattr(arguments, _NAMES.get(name, name.replace("-", "_")), None) for name in RUN}
    given |= {"flags": tuple(flags) or None, "exclude": tuple(arguments.exclude) if arguments.exclude else None}
    return settle_some(RUN, given, found)


def settle_some(names: Sequence[str], given: Mapping[str, object], found: File | None) -> dict[str, Value]:
    """As settings.settle, but raises InstrumentError, status 2."""
    with _told():
        return settings.settle(names, given, found)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except settings.SettingError as error:
        from instrument.diagnostics import Finding, InstrumentError
        from instrument.model import Place

        place = Place(error.path, error.line, error.column) if error.path else None
        raise InstrumentError(Finding("IN016", str(error), place), status=2) from None


def settle(arguments: argparse.Namespace, flags: Sequence[str]) -> tuple[str, ...]:
    """Put the settings in force into `arguments`; returns the compiler's flags. Raises InstrumentError, status 2."""
    found = file(arguments)
    values = settled(arguments, flags, found)
    with _told():
        if why := settings.clash(values["layout"], values["mode"].value):
            raise settings.SettingError(why)
    for name, value in values.items():
        setattr(arguments, _NAMES.get(name, name.replace("-", "_")), value.value)
    arguments.jobs = arguments.jobs or processors()
    arguments.exclude = tuple(anchored(pattern, values["exclude"].folder) for pattern in arguments.exclude)
    arguments.config = found.path if found else None
    for line in () if arguments.quiet else settings.warnings():
        terminal.say(line)
    return tuple(arguments.flags)


def anchored(pattern: str, folder: str) -> str:
    """The pattern as it is held against whole paths, if it has a '/', and else against names."""
    pattern = pattern.rstrip("/")
    if "/" not in pattern or Path(pattern).is_absolute():
        return pattern
    return os.path.normpath(f"{glob.escape(os.path.realpath(folder))}/{pattern}")


def refuse_unknown(parser: Parser, unknown: Sequence[str]) -> None:
    """What the run's parser does not know, with what was meant."""
    if unknown:
        word = unknown[0].partition("=")[0]
        hint = meant(word, parser.flags()) if word.startswith("--") else "; flags for the compiler go behind --"
        hint = f"; did you mean -{word}?" if f"-{word}" in parser.flags() else hint
        parser.error(f"unknown option: {unknown[0]}{hint}")


def refuse(parser: Parser, arguments: argparse.Namespace) -> None:
    """What does not go together; `arguments` are settled."""
    asked = [flag for flag in QUESTIONS if getattr(arguments, flag[2:].replace("-", "_"))]
    if asked:
        parser.error(f"{asked[0]} goes alone")
    if arguments.json and arguments.diff:
        parser.error("--json and --diff both write to standard output: ask for one of them")
    if not arguments.sources:
        parser.error("no input: name C files or directories")
    word = arguments.sources[0]
    if not os.path.lexists(word) and ((hint := meant(word, COMMANDS)) or not arguments.out):
        parser.error(f"no such file or command: {word}{hint}")
    if not arguments.out and not (arguments.check or arguments.diff or arguments.dry_run or arguments.json):
        parser.error("no output: give a directory with -o, or --diff to see what would change")
    if arguments.depfile and not arguments.out:
        parser.error("--depfile tells what OUT depends on: give a directory with -o")
