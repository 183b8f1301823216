# SPDX-License-Identifier: MIT
"""The command line: words in, exit status out.

Data goes to stdout, everything else to stderr. Exit status: 0 fine, 1 findings, 2 a wrong call, a wrong
setting or an internal error. Build files ask for paths many times over, so `--cflags` and its like import
next to nothing.
"""

from __future__ import annotations

import os
import sys

from instrument import __version__, paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from instrument import report, seal
    from instrument.diagnostics import Finding, InstrumentError
    from instrument.emit import Changes
    from instrument.pipeline import Options, Outcome

_EPILOG = """\
Compiler flags for files that no compile_commands.json tells of go after --:

    instrument src include -o build -- -Iinclude -DNDEBUG

`instrument cc -- gcc ...` compiles without a copy (`instrument cc --help`); what --mode direct writes is compiled so.

For build files: --cflags, --libs, --makefile, --include-dir, --cmakedir, --pkgconfigdir and --bazeldir
print where the runtime is; `instrument inspect BINARY` tells its call sites, `instrument ps PID` and
`instrument trace PID` what a live process calls; --gdb prints the script for gdb;
`instrument suggest SRC` finds function pointers that could be static calls; `instrument report OUT` tells
what a run has made of each call, as a page, as text, or for other programs;
`instrument explain CODE` says what a code in a message means.

A C file with an error is left out of OUT, the others are done all the same.

Exit status: 0 fine; 1 an error in the sources, or what --check, --diff or --strict found; 2 usage,
configuration or internal error.
"""

_QUESTIONS = {
    "--cflags": "compiler flags for static_call.h",
    "--libs": "what to compile and link with",
    "--makefile": "the file to include in a Makefile",
    "--include-dir": "where static_call.h is",
    "--cmakedir": "the StaticCall_DIR of CMake's find_package",
    "--pkgconfigdir": "the PKG_CONFIG_PATH of staticcall.pc",
    "--bazeldir": "the Bazel repository of the runtime",
    "--gdb": "the script that gdb is to source",
    "--version": "the version",
}
"""What prints one line and does no work."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `argv` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    if sys.stdout is None:
        # The next file that is opened would take its place.
        return _fail("standard output is closed")
    try:
        status = _quick(words)
        if status is None:
            status = _COMMANDS.get(words[0] if words else "", _instrument)(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has enough; the interpreter's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt as stop:
        return 128 + (stop.args[0] if stop.args else 2)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _fail(str(error))
    return status


# ---- paths for build files ------------------------------------------------------------------------


def _quick(words: Sequence[str]) -> int | None:
    """The questions that need no work; None if this is none of them."""
    answers = {
        "--version": lambda: f"instrument {__version__}",
        "--cflags": lambda: f"-I{_quoted(paths.INCLUDE_DIR)}",
        "--libs": lambda: f"{_quoted(paths.RUNTIME_SOURCE)} -pthread",
        "--makefile": lambda: str(paths.MAKEFILE).replace(" ", "\\ "),
        "--include-dir": lambda: str(paths.INCLUDE_DIR),
        "--cmakedir": lambda: str(paths.CMAKE_DIR),
        "--pkgconfigdir": lambda: str(paths.PKGCONFIG_DIR),
        "--bazeldir": lambda: str(paths.C_RUNTIME),
        "--gdb": lambda: str(paths.GDB_SCRIPT),
    }
    if not words or any(word not in answers for word in words):
        return None
    print(" ".join(answers[word]() for word in words))
    return 0


def _quoted(path: os.PathLike[str]) -> str:
    import shlex

    return shlex.quote(os.fspath(path))


def _looking(words: list[str]) -> int:
    """The commands that look into binaries and processes."""
    from instrument.diagnostics import InstrumentError

    try:
        if words[0] == "inspect":
            from instrument import inspect

            return inspect.main(words[1:])
        from instrument import ps

        return (ps.ps if words[0] == "ps" else ps.trace)(words[1:])
    except InstrumentError as error:
        print("\n".join(finding.render() for finding in error.findings), file=sys.stderr)
        return error.status
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2


def _suggest(words: list[str]) -> int:
    from instrument.diagnostics import InstrumentError
    from instrument.suggest import command

    try:
        return _stoppable(lambda: command.main(words[1:]))
    except InstrumentError as error:
        print("\n".join(finding.render() for finding in error.findings), file=sys.stderr)
        return error.status


def _explain(command: list[str]) -> int:
    from instrument.diagnostics import CODES

    words = command[1:]
    unknown = [word for word in words if word.upper() not in CODES]
    if unknown:
        return _fail(f"no such code: {unknown[0]}{_meant(unknown[0].upper(), CODES)}")
    for code in [word.upper() for word in words] or CODES:
        kind = "an error" if code < "IN020" else "a reason for a lower form" if code < "IN050" else "about a binary"
        print(f"{code}: {CODES[code]} ({kind})")
    return 0


def _report(words: list[str]) -> int:
    from instrument.diagnostics import InstrumentError
    from instrument.reporting import command

    try:
        return command.main(words[1:])
    except InstrumentError as error:
        print("\n".join(finding.render() for finding in error.findings), file=sys.stderr)
        return error.status
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2


_COMMANDS = {
    "explain": _explain,
    "inspect": _looking,
    "ps": _looking,
    "report": _report,
    "suggest": _suggest,
    "trace": _looking,
}

# ---- the real work --------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    import argparse

    from instrument.model import Layout, Mode

    parser = argparse.ArgumentParser(
        prog="instrument",
        usage="instrument SRC... -o OUT [options] [-- compiler flags]",
        description="Turn static_call(key)(args) into patched direct calls, in a copy of the sources.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("sources", metavar="SRC", nargs="*", help="C files and directories")
    add("-o", "--output-dir", metavar="OUT", dest="out", help="where the instrumented copy goes")
    add("--mode", choices=[mode.value for mode in Mode], default=Mode.INLINE_ASM.value, help="default: %(default)s")
    add("--layout", choices=[way.value for way in Layout], default=Layout.ALIGNED.value, help="default: %(default)s")
    add("-p", metavar="BUILD_DIR", dest="build_dir", help="where compile_commands.json is")
    add("--root", metavar="DIR", help="what paths in OUT are relative to (default: what the sources share)")
    add("--depfile", metavar="FILE", help="write what OUT depends on there, too, as a rule for make or ninja")
    add("-n", "--dry-run", action="store_true", help="tell what would be written, write nothing")
    add("--check", action="store_true", help="write nothing; exit 1 if OUT is out of date or, without -o, "
        "if anything would be rewritten")  # fmt: skip
    add("--diff", action="store_true", help="write nothing; show the rewriting; exit 1 if there is any")
    add("--strict", action="store_true", help="exit 1, and write nothing, if any call is on a lower form than asked")
    add("--json", action="store_true", help="the census on stdout, for programs")
    add("-j", "--jobs", metavar="N", type=_jobs, default=len(os.sched_getaffinity(0)), help="compilers at a time")
    add("-q", "--quiet", action="store_true", help="errors only")
    add("-v", "--verbose", action="store_true", help="a line for each token; a traceback for an internal error")
    for flag, what in _QUESTIONS.items():
        add(flag, action="store_true", help=f"print {what}")
    return parser


def _jobs(text: str) -> int:
    import argparse

    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of compilers, which is at least 1")
    return int(text)


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt(number)


def _stoppable(run: Callable[[], int]) -> int:
    """SIGTERM and SIGHUP clean up as SIGINT does, except where they are ignored, as under nohup."""
    import signal

    caught = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
    for number in caught:
        signal.signal(number, _stop)
    try:
        return run()
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)


def _instrument(words: list[str]) -> int:
    from instrument.diagnostics import InstrumentError

    cut = words.index("--") if "--" in words else len(words)
    parser = _parser()
    try:
        arguments, unknown = parser.parse_known_args(words[:cut])
        _refuse(parser, arguments, unknown)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    try:
        return _stoppable(lambda: _run(arguments, words[cut + 1 :]))
    except InstrumentError as error:
        _show_error(error, arguments)
        return error.status
    except (OSError, KeyboardInterrupt):
        raise
    except Exception as error:
        if arguments.verbose:
            import traceback

            traceback.print_exc()
        hint = "" if arguments.verbose else "; -v shows where"
        return _fail(f"internal error: {type(error).__name__}: {' '.join(str(error).split())}{hint}")


def _refuse(parser: argparse.ArgumentParser, arguments: argparse.Namespace, unknown: Sequence[str]) -> None:
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        flag = unknown[0].startswith("-") and not unknown[0].startswith("--")
        hint = "; flags for the compiler go behind --" if flag else _meant(unknown[0].partition("=")[0], known)
        parser.error(f"unknown option: {unknown[0]}{hint}")
    asked = [flag for flag in _QUESTIONS if getattr(arguments, flag[2:].replace("-", "_"))]
    if asked:
        parser.error(f"{asked[0]} goes alone")
    if arguments.json and arguments.diff:
        parser.error("--json and --diff both write to standard output: ask for one of them")
    if arguments.layout == "bare" and arguments.mode != "direct":
        parser.error("--layout bare is for --mode direct: what instrument writes itself has prefixes")
    if not arguments.sources:
        parser.error("no input: name C files or directories")
    if not arguments.out and not (arguments.check or arguments.diff or arguments.dry_run or arguments.json):
        parser.error("no output: give a directory with -o, or --diff to see what would change")
    if arguments.depfile and not arguments.out:
        parser.error("--depfile tells what OUT depends on: give a directory with -o")


def _meant(word: str, known: Sequence[str] | dict[str, str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _options(arguments: argparse.Namespace, flags: Sequence[str]) -> Options:
    from pathlib import Path

    from instrument.model import Layout, Mode
    from instrument.pipeline import Options

    return Options(
        sources=tuple(Path(source) for source in arguments.sources),
        out=Path(arguments.out) if arguments.out else None,
        root=Path(arguments.root) if arguments.root else None,
        mode=Mode(arguments.mode),
        layout=Layout(arguments.layout),
        build_dir=Path(arguments.build_dir) if arguments.build_dir else None,
        flags=tuple(flags),
        jobs=arguments.jobs,
        describe=arguments.json or arguments.verbose,
    )


def _run(arguments: argparse.Namespace, flags: Sequence[str]) -> int:
    from contextlib import redirect_stderr
    from io import StringIO
    from pathlib import Path

    from instrument import emit, pipeline, report, seal

    options = _options(arguments, flags)
    found = pipeline.gather(options)
    sealed = _sealable(arguments, options)
    if sealed and (told := seal.unchanged(sealed, found)) is not None:
        print(told, end="", file=sys.stderr)
        return 0
    outcome = pipeline.run(options, found)
    entries = report.entries(outcome.scanned, outcome.sites)
    findings = report.violations(entries, options.mode) if arguments.strict else ()
    writes = not (arguments.check or arguments.diff or arguments.dry_run or findings)
    done = pipeline.write(options, outcome) if writes else emit.Applied(pipeline.compare(options, outcome))
    if writes and options.out is not None and arguments.depfile:
        emit.give_depfile(options.out, Path(arguments.depfile), outcome.rewritten)
    changes = done.changes
    for finding in outcome.findings:
        _show(finding, outcome.inputs.root, outcome.contents)
    with redirect_stderr(StringIO()) as said:
        _tell(arguments, options, outcome, changes, entries)
    print(said.getvalue(), end="", file=sys.stderr)
    if sealed and done.states and not (outcome.findings or outcome.failed or changes.remove or changes.kept):
        seal.record(sealed, found, outcome.states, done.states, outcome.world, said.getvalue())
    for finding in findings:
        _show(finding, outcome.inputs.root, outcome.contents)
    if findings and options.out is not None:
        _say("nothing was written, because of --strict")
    if outcome.failed:
        _say(f"error: left out of the output: {', '.join(outcome.failed)}")
    if arguments.diff:
        _diff(outcome)
    return int(bool(findings or outcome.failed or _out_of_date(arguments, outcome, changes)))


def _sealable(arguments: argparse.Namespace, options: Options) -> seal.Run | None:
    """The run, if all that it leaves behind is an output and what it says on standard error."""
    from instrument import seal

    if options.out is None or options.describe or arguments.diff or arguments.depfile:
        return None
    database = options.build_dir / "compile_commands.json" if options.build_dir else None
    files = [options.build_dir, database] if options.build_dir and database else []
    words = [word for option in (options.sources, options.flags) for word in (len(option), *option)]
    words += [options.out, options.root, options.mode, options.layout, arguments.quiet, arguments.strict]
    return seal.Run(options.out, seal.question(words, files))


def _out_of_date(arguments: argparse.Namespace, outcome: Outcome, changes: Changes) -> bool:
    if arguments.check and arguments.out:
        return bool(changes.stale)
    return bool((arguments.check or arguments.diff) and outcome.rewritten)


# ---- output ---------------------------------------------------------------------------------------


def _tell(
    arguments: argparse.Namespace,
    options: Options,
    outcome: Outcome,
    changes: Changes,
    found: tuple[report.Entry, ...],
) -> None:
    from instrument import report

    if arguments.json:
        about = report.about(options.mode, options.layout, outcome.failed, outcome.findings)
        _data(report.as_json(found, outcome.keys, outcome.rewritten, about).encode())
    if arguments.quiet:
        return
    for note in _notes(arguments, outcome, changes):
        _say(note)
    if arguments.verbose:
        for line in report.listing(found, _prefix(outcome.inputs.root)):
            print(line, file=sys.stderr)
    if not arguments.json and (found or not (outcome.inputs.instrumented or outcome.failed)):
        head, *rest = report.census(found, outcome.keys, options.mode, len(outcome.inputs.files))
        print("\n".join([f"instrument: {head}", *rest]), file=sys.stderr)


def _notes(arguments: argparse.Namespace, outcome: Outcome, changes: Changes) -> list[str]:
    from instrument.manifest import CONTROL

    found = outcome.inputs
    notes = [f"{name}: a link out of the tree is left out" for name in found.skipped]
    notes += [f"{name}: not an input any more, but changed by hand, so it stays" for name in changes.kept]
    if found.instrumented:
        notes.append(f"already instrumented, carried over as they are: {len(found.instrumented)} files")
    if arguments.check or arguments.dry_run:
        notes += [f"would write {name}" for name in changes.write]
        notes += [f"would remove {name}" for name in changes.remove]
        if not arguments.out:
            notes += [f"would rewrite {name}" for name in sorted(outcome.rewritten)]
    elif arguments.out:
        removed = (name for name in changes.remove if name not in outcome.failed and not name.startswith(CONTROL))
        notes += [f"{name}: not an input of this run, so it is removed from the output" for name in removed]
    return notes


def _diff(outcome: Outcome) -> None:
    from difflib import diff_bytes, unified_diff
    from io import BytesIO

    for name in sorted(outcome.rewritten.keys() & outcome.contents.keys()):
        path = os.fsencode(_prefix(outcome.inputs.root) + name)
        # As diff and git write it, so that patch knows where a name with a blank ends.
        path += b"\t" if b" " in path else b""
        before, after = (BytesIO(side[name]).readlines() for side in (outcome.contents, outcome.rewritten))
        for line in diff_bytes(unified_diff, before, after, path, path):
            _data(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n")


def _show_error(error: InstrumentError, arguments: argparse.Namespace) -> None:
    from pathlib import Path

    from instrument import inputs

    root = inputs.root_of(
        [Path(source) for source in arguments.sources], Path(arguments.root) if arguments.root else None
    )
    for finding in error.findings:
        _show(finding, root, {})


def _show(finding: Finding, root: Path, contents: Mapping[str, bytes]) -> None:
    from instrument.diagnostics import InstrumentError

    line = None
    if finding.place is not None:
        try:
            data = contents.get(finding.place.path)
            if data is None:
                data = (root / finding.place.path).read_bytes()
            line = data.split(b"\n")[finding.place.line - 1].decode(errors="replace")
        except (OSError, IndexError, InstrumentError):
            line = None
    print(finding.render(line, _prefix(root)), file=sys.stderr)
    for note in finding.also:
        _show(note, root, contents)


def _prefix(root: Path) -> str:
    """What goes before a path in the tree so that it holds from the working directory."""
    return f"{os.path.relpath(root)}/".removeprefix("./")


def _data(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _say(text: str) -> None:
    print(f"instrument: {text}", file=sys.stderr)


def _fail(text: str) -> int:
    _say(f"error: {text}")
    return 2
