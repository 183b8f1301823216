# SPDX-License-Identifier: MIT
"""`instrument config`: each setting's value and where it comes from, for the run and for the launcher."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from instrument import launcher, options, settings, terminal
from instrument.arguments import Parser, processors
from instrument.diagnostics import Finding, InstrumentError
from instrument.settings import File, Value

_EPILOG = "\n".join(
    [
        "The settings, in .instrument.toml or in the table [tool.instrument] of pyproject.toml:",
        "",
        *(f"  {name:<12} {setting.help}" for name, setting in settings.SETTINGS.items()),
        "",
        "The nearest such file in the sources' directory (without sources: in this one) or above it is read.",
        "",
        "Exit status: 0 fine; 2 a setting that cannot be used.",
    ]
)


def parser() -> Parser:
    made = Parser(
        prog="instrument config",
        usage="instrument config [SRC...] [options]",
        description="Show each setting and where it comes from, given the same sources and options as the run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("sources", metavar="SRC", nargs="*", help="C files and directories")
    options.add_settings(made)
    made.add_argument("--json", action="store_true", help="the same for programs")
    return made


def main(words: Sequence[str]) -> int:
    cut = list(words).index("--") if "--" in words else len(words)
    arguments = parser().parse_intermixed_args(words[:cut])
    file = options.file(arguments)
    run = options.settled(arguments, words[cut + 1 :], file)
    compile_ = _launcher(file)
    run["jobs"] = run["jobs"] if run["jobs"].value else run["jobs"]._replace(value=processors())
    heads = {"instrument SRC": run, "instrument cc": compile_}
    if arguments.json:
        path = file.path if file else None
        print(json.dumps({"file": path, "run": _plain(run), "cc": _plain(compile_)}, indent=1))
    else:
        print(f"# file: {os.path.relpath(file.path) if file else 'none'}")
        for head, values in heads.items():
            print(f"\n# {head}")
            lines = [(f"{name} = {_toml(value.value)}", value.origin) for name, value in values.items()]
            width = max(len(line) for line, _ in lines)
            print("\n".join(f"{line:<{width}}  # {origin}" for line, origin in lines))
    sys.stdout.flush()
    clashes = {head: settings.clash(values["layout"], values["mode"].value) for head, values in heads.items()}
    wrong = [Finding("IN016", f"{head}: {why}").render() for head, why in clashes.items() if why]
    aside = "" if file or arguments.isolated else settings.misspelt(options.start(arguments))
    odd = [f"instrument: warning: {aside} [IN016]"] if aside else []
    for line in settings.warnings() + odd + wrong:
        terminal.say(line)
    return 2 if wrong else 0


def _launcher(file: File | None) -> dict[str, Value]:
    chosen = launcher.Options()
    try:
        launcher.read_defaults(chosen)
    except launcher.UsageError as error:
        raise InstrumentError(Finding("IN016", str(error)), status=2) from None
    given = {name: getattr(chosen, name) for name in settings.LAUNCHER if name in chosen.given}
    values = options.settle_some(settings.LAUNCHER, given, file)
    return values | {name: values[name]._replace(origin=launcher.DEFAULTS) for name in given}


def _plain(values: dict[str, Value]) -> dict[str, dict[str, object]]:
    return {name: {"value": value.value, "origin": value.origin} for name, value in values.items()}


def _toml(value: object) -> str:
    """None, which TOML does not have, as a comment would have it."""
    if value is None:
        return "(none)"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
