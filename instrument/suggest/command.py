# SPDX-License-Identifier: MIT
"""`instrument suggest SRC...`: the command. Which candidates are applied, and where to; it writes only if asked."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from instrument import compiledb, inputs, paths
from instrument.arguments import Parser, jobs, processors
from instrument.diagnostics import Finding, InstrumentError
from instrument.inputs import Inputs
from instrument.meant import meant
from instrument.suggest import find, listing, patch, profile, rank, tree
from instrument.suggest.census import census
from instrument.suggest.check import Checker
from instrument.suggest.elsewhere import elsewhere
from instrument.suggest.missed import missed
from instrument.suggest.model import Candidate
from instrument.suggest.project import Project
from instrument.suggest.rank import Ranked
from instrument.suggest.units import Units

_ABOUT = """\
Finds function pointers of the program that are called often and assigned rarely, and shows how each would become a
static call. A proposal that rests on something outside of the sources says so ("only if") and is left out of the diff
unless --whole-program or --only asks for it."""
_EPILOG = """\
The compiler checks every edit; flags that the files need go after --, or are in the compile_commands.json of -p:

    instrument suggest src include --profile callgrind.out.123 -- -Iinclude
    instrument suggest src include --diff -- -Iinclude | patch -p0

Exit status: 0 fine, whether or not there is a proposal; 2 usage, configuration or internal error.
"""


def main(words: Sequence[str]) -> int:
    """Run the command; InstrumentError for what the user must mend."""
    cut = words.index("--") if "--" in words else len(words)
    options = parser()
    try:
        arguments = options.parse_intermixed_args(words[:cut])
        _refuse(options, arguments)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    _run(arguments, words[cut + 1 :])
    return 0


def parser() -> Parser:
    made = Parser(
        prog="instrument suggest",
        usage="instrument suggest SRC... [options] [-- compiler flags]",
        description=_ABOUT,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("sources", metavar="SRC", nargs="+", help="C files and directories, headers too: best the whole program")
    add("--profile", metavar="FILE", help="a callgrind.out, or the text of perf script or perf report --stdio")
    add(
        "--whole-program",
        action="store_true",
        help="SRC is all there is, nobody else uses what it exports; and its updates succeed",
    )
    add(
        "--only",
        metavar="KEY",
        action="append",
        default=[],
        help="apply this candidate, whatever it rests on; again for more",
    )
    add("--top", metavar="N", type=_count, help="apply the first N at most")
    add("--diff", action="store_true", help="the diff alone, without the list")
    add("--list", action="store_true", help="the list alone, without the diff")
    add("--json", action="store_true", help="the list for programs")
    add("--apply", action="store_true", help="make the edits: in a copy (-o) or in place")
    add("-o", "--output-dir", metavar="OUT", dest="out", help="a new directory for the copy")
    add("--in-place", action="store_true", help="edit the sources themselves")
    add("--no-check", action="store_true", help="do not ask the compiler")
    add("-p", metavar="BUILD_DIR", dest="build_dir", help="where compile_commands.json is")
    add(
        "--exclude",
        metavar="GLOB",
        action="append",
        default=[],
        help="files and directories that are no input; repeatable",
    )
    add("--root", metavar="DIR", help="what paths in OUT are relative to (default: what the sources share)")
    add("-j", "--jobs", metavar="N", type=jobs, default=processors(), help="compilers at a time")
    return made


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of proposals, which is at least 1")
    return int(text)


def _refuse(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if sum((arguments.diff, arguments.list, arguments.json)) > 1:
        parser.error("--diff, --list and --json each say what goes to standard output: ask for one of them")
    if arguments.apply and bool(arguments.out) == arguments.in_place:
        parser.error("--apply needs either -o OUT or --in-place")
    if not arguments.apply and (arguments.out or arguments.in_place):
        parser.error("-o and --in-place go with --apply")


def _run(arguments: argparse.Namespace, flags: Sequence[str]) -> None:
    commands = compiledb.load(Path(arguments.build_dir) if arguments.build_dir else None, flags)
    out = Path(arguments.out) if arguments.out else None
    if out is not None:
        tree.fresh(out)
    counted = profile.read(Path(arguments.profile)) if arguments.profile else None
    found = inputs.gather(
        [Path(source) for source in arguments.sources], out, _path(arguments.root), arguments.exclude
    )
    if found.named and not arguments.no_check:
        found = inputs.with_headers(found, commands, paths.INCLUDE_DIR, out, arguments.jobs)
    sources, others = find.contents_of(found)
    project = Project(sources, others)
    units = Units(found, commands, sources, arguments.jobs)
    if not arguments.no_check:
        project.census = census(units, project.sources, project.names)
    candidates = find.candidates(project)
    order = rank.ranked(candidates, rank.called(sources.values()), counted)
    if not arguments.no_check:
        checked = Checker(units, sources, frozenset(project.census.seen)).checked([r.candidate for r in order])
        order = rank.ranked(checked, rank.called(sources.values()), counted)
    if counted and order and not any(r.calls for r in order):
        what = "the profile has none of these calls: is it of this program, built with -g?"
        print(f"instrument: warning: {what}", file=sys.stderr)
    _warn_of_missed(found, commands, sources)
    chosen = _chosen(arguments, order)
    after = patch.changed(sources, chosen)
    told = listing.Told(order, chosen, elsewhere(project, candidates), counted.unit if counted else None)
    _show(arguments, found, told, sources, after)
    if arguments.in_place:
        tree.edit(found.root, sources, after)
    elif out is not None:
        tree.copy(found, out, after)
    _conclude(arguments, order, chosen)


def _warn_of_missed(found: Inputs, commands: compiledb.Commands, sources: Mapping[str, bytes]) -> None:
    """Below the working directory and beside the tree are the program's own headers, elsewhere libraries'."""
    headers = [os.path.relpath(path) for path in missed(found, commands, sources, [Path.cwd(), found.root.parent])]
    if headers:
        more = f" and {len(headers) - 1} more" if len(headers) > 1 else ""
        folders = " ".join(sorted({str(Path(header).parent) for header in headers}))
        what = f"{headers[0]}{more}: included, but no input, so pointers that are declared there are missed"
        print(f"instrument: warning: {what}; add {folders} to the inputs", file=sys.stderr)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _chosen(arguments: argparse.Namespace, order: Sequence[Ranked]) -> list[Candidate]:
    candidates = [r.candidate for r in order]
    for key in arguments.only:
        known = [c for c in candidates if c.key == key]
        if not known:
            raise _wrong(f"--only {key}: no candidate has this key{meant(key, [c.key for c in candidates])}")
        if known[0].refusals:
            raise _wrong(f"--only {key}: not proposed: {known[0].refusals[0].what}")
    good = [c for c in candidates if not c.refusals]
    if arguments.only:
        good = [c for c in good if c.key in arguments.only]
    elif not arguments.whole_program:
        good = [c for c in good if not c.conditions]
    else:
        good = [c for c in good if all(doubt.granted for doubt in c.conditions)]
    return good[: arguments.top] if arguments.top is not None else good


def _wrong(what: str) -> InstrumentError:
    return InstrumentError(Finding("IN011", what), status=2)


def _show(
    arguments: argparse.Namespace,
    found: Inputs,
    told: listing.Told,
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
) -> None:
    prefix = f"{os.path.relpath(found.root)}/".removeprefix("./")
    if arguments.json:
        print(json.dumps(listing.as_json(told, str(found.root)), indent=1))
        return
    if not arguments.diff:
        print("\n".join(listing.text(told, prefix)))
    sys.stdout.flush()
    if not arguments.list and not (arguments.apply and not arguments.diff):
        blank = b"" if arguments.diff or not after else b"\n"
        sys.stdout.buffer.write(b"".join([blank, *patch.diff(before, after, prefix)]))
        sys.stdout.buffer.flush()


def _conclude(arguments: argparse.Namespace, order: Sequence[Ranked], chosen: Sequence[Candidate]) -> None:
    left = sum(not r.candidate.refusals for r in order) - len(chosen)
    verb = "applied" if arguments.apply else "in the diff"
    said = f"instrument: {verb}: {len(chosen)} of {len(chosen) + left} proposals"
    if left and (arguments.only or arguments.top is not None):
        said += "; the others were not asked for"
    elif left:
        said += f"; {'' if arguments.whole_program else '--whole-program or '}--only KEY takes the others"
    print(said, file=sys.stderr)
