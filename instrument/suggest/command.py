# SPDX-License-Identifier: MIT
"""`instrument suggest SRC...`: the command. Which candidates are applied, and where to; it writes only if asked."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from instrument import compiledb, inputs, paths
from instrument.arguments import Parser, jobs, processors
from instrument.diagnostics import Finding, InstrumentError
from instrument.inputs import Inputs
from instrument.meant import meant
from instrument.suggest import find, listing, patch, profile, rank
from instrument.suggest.check import Checker
from instrument.suggest.model import Candidate
from instrument.suggest.rank import Ranked

_ABOUT = """\
Finds function pointers of the program that are called often and assigned rarely, and shows how each would become a
static call. A proposal that rests on something outside of the sources says so ("only if") and is left out of the diff
unless --whole-program or --only asks for it."""
_EPILOG = """\
The compiler checks every edit; flags that the files need go after --, or are in the compile_commands.json of -p:

    instrument suggest src --profile callgrind.out.123 -- -Iinclude
    instrument suggest src --diff | patch -p0

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
    add("sources", metavar="SRC", nargs="+", help="C files and directories: best the whole program")
    add("--profile", metavar="FILE", help="a callgrind.out, or the text of perf script or perf report --stdio")
    add("--whole-program", action="store_true", help="SRC is all there is: what it exports, nobody else uses")
    add(
        "--only",
        metavar="KEY",
        action="append",
        default=[],
        help="apply this candidate, whatever it rests on; again for more",
    )
    add("--top", metavar="N", type=int, help="apply the first N at most")
    add("--diff", action="store_true", help="the diff alone, without the list")
    add("--list", action="store_true", help="the list alone, without the diff")
    add("--json", action="store_true", help="the list for programs")
    add("--apply", action="store_true", help="make the edits: in a copy (-o) or in place")
    add("-o", "--output-dir", metavar="OUT", dest="out", help="a new directory for the copy")
    add("--in-place", action="store_true", help="edit the sources themselves")
    add("--no-check", action="store_true", help="do not ask the compiler")
    add("-p", metavar="BUILD_DIR", dest="build_dir", help="where compile_commands.json is")
    add("--root", metavar="DIR", help="what paths in OUT are relative to (default: what the sources share)")
    add("-j", "--jobs", metavar="N", type=jobs, default=processors(), help="compilers at a time")
    return made


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
    if out is not None and out.exists() and any(out.iterdir()):
        raise InstrumentError(Finding("IN008", f"{out} is not empty", fix="name a new directory"), status=2)
    counted = profile.read(Path(arguments.profile)) if arguments.profile else None
    found = inputs.gather([Path(source) for source in arguments.sources], out, _path(arguments.root))
    if found.named and not arguments.no_check:
        found = inputs.with_headers(found, commands, paths.INCLUDE_DIR, out, arguments.jobs)
    sources, others = find.contents_of(found)
    candidates = find.candidates(sources, others)
    order = rank.ranked(candidates, rank.called(sources.values()), counted)
    if not arguments.no_check:
        checked = Checker(found, commands, sources, arguments.jobs).checked([r.candidate for r in order])
        order = rank.ranked(checked, rank.called(sources.values()), counted)
    chosen = _chosen(arguments, order)
    after = patch.changed(sources, chosen)
    _tell(arguments, found, order, chosen, sources, after, counted.unit if counted else None)
    if arguments.in_place:
        for name, data in after.items():
            (found.root / name).write_bytes(data)
    elif out is not None:
        _write(found, out, after)


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
    return good[: arguments.top] if arguments.top is not None else good


def _wrong(what: str) -> InstrumentError:
    return InstrumentError(Finding("IN011", what), status=2)


def _tell(
    arguments: argparse.Namespace,
    found: Inputs,
    order: Sequence[Ranked],
    chosen: Sequence[Candidate],
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    unit: str | None,
) -> None:
    prefix = f"{os.path.relpath(found.root)}/".removeprefix("./")
    if arguments.json:
        print(json.dumps(listing.as_json(order, unit, chosen), indent=1))
        return
    if not arguments.diff:
        print("\n".join(listing.text(order, unit, prefix)))
    sys.stdout.flush()
    if not arguments.list and not (arguments.apply and not arguments.diff):
        sys.stdout.buffer.write(b"" if arguments.diff or not after else b"\n")
        sys.stdout.buffer.writelines(patch.diff(before, after, prefix))
        sys.stdout.buffer.flush()
    left = sum(not r.candidate.refusals for r in order) - len(chosen)
    verb = "applied" if arguments.apply else "in the diff"
    said = f"instrument: {verb}: {len(chosen)} of {len(chosen) + left} proposals"
    print(said + ("; --whole-program or --only KEY takes the others" if left else ""), file=sys.stderr)


def _write(found: Inputs, out: Path, after: Mapping[str, bytes]) -> None:
    """A copy of the tree with the edits made."""
    if out.exists() and any(out.iterdir()):
        raise InstrumentError(
            Finding("IN008", f"the output {out} is not empty", fix="name a new directory"), status=2
        )
    for name in found.files:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found.root / name, out / name)
        if name in after:
            (out / name).write_bytes(after[name])
    for name, target in found.links.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).symlink_to(target)
