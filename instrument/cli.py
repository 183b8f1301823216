# SPDX-License-Identifier: MIT
"""The command line: words in, exit status out.

Data goes to stdout, everything else to stderr. Exit status: 0 fine, 1 findings, 2 a wrong call, a wrong
setting or an internal error. Build files ask for paths many times over, so `--cflags` and its like import
next to nothing.
"""

from __future__ import annotations

import errno
import os
import sys

from instrument import commands, questions, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from instrument import report, seal
    from instrument.diagnostics import Finding, InstrumentError
    from instrument.emit import Changes
    from instrument.pipeline import Options, Outcome


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `argv` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    if sys.stdout is None:
        # The next file that is opened would take its place.
        return _fail("standard output is closed")
    try:
        status = questions.quick(words)
        if status is None:
            status = (_command if words and words[0] in commands.COMMANDS else _instrument)(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has enough; the interpreter's own flush at exit must not complain. A shell makes 141 of
        # SIGPIPE: 1 would be a finding, 0 that all is well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt as stop:
        return 128 + (stop.args[0] if stop.args else 2)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _fail(_reason(error))
    except ModuleNotFoundError as error:
        # As after `make install` with a Python that has not what pyproject.toml names.
        return _fail(f"{sys.executable} has no module {error.name!r}; `instrument doctor` tells what to install")
    return status


def _reason(error: OSError) -> str:
    """In our words what the kernel refuses; getcwd() is what refuses nothing by name."""
    if error.filename is None:
        gone = error.errno == errno.ENOENT
        return "the working directory is not there any more" if gone else str(error.strerror or error)
    return f"cannot use {error.filename}: {error.strerror}"


def _command(words: list[str]) -> int:
    """One of the commands that are not the run itself."""
    command = commands.COMMANDS[words[0]]
    run = command.run()
    try:
        return _stoppable(lambda: run(words[1:])) if command.cleans else run(words[1:])
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    except Exception as error:
        # 20 ms, which `explain` need not wait for.
        from instrument.diagnostics import InstrumentError

        if not isinstance(error, InstrumentError):
            raise
        _tell_error(error)
        return error.status


# ---- the real work --------------------------------------------------------------------------------


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
    from instrument import options

    cut = words.index("--") if "--" in words else len(words)
    parser = options.parser()
    try:
        arguments, unknown = parser.parse_known_intermixed_args(words[:cut])
        options.refuse_unknown(parser, unknown)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    from instrument.diagnostics import InstrumentError  # 20 ms, which --help need not wait for

    try:
        flags = options.settle(arguments, words[cut + 1 :])
        options.refuse(parser, arguments)
    except InstrumentError as error:
        _tell_error(error)
        return error.status
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    try:
        return _stoppable(lambda: _run(arguments, flags))
    except InstrumentError as error:
        _show_error(error, arguments)
        return error.status
    except (OSError, KeyboardInterrupt, ModuleNotFoundError):
        raise
    except Exception as error:
        if arguments.verbose:
            import traceback

            traceback.print_exc()
        hint = "" if arguments.verbose else "; -v shows where"
        return _fail(f"internal error: {type(error).__name__}: {' '.join(str(error).split())}{hint}")


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
        exclude=arguments.exclude,
        config=Path(arguments.config) if arguments.config else None,
    )


def _run(arguments: argparse.Namespace, flags: Sequence[str]) -> int:
    from contextlib import redirect_stderr
    from io import StringIO
    from pathlib import Path

    from instrument import emit, pipeline, report, seal

    options = _options(arguments, flags)
    if arguments.quiet:
        terminal.hush()
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
    words = [word for option in (options.sources, options.flags, options.exclude) for word in (len(option), *option)]
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
            print(terminal.visible(line), file=sys.stderr)
    if not arguments.json and (found or not (outcome.inputs.instrumented or outcome.failed)):
        head, *rest = report.census(found, outcome.keys, options.mode, len(outcome.inputs.files))
        print("\n".join([f"instrument: {head}", *rest]), file=sys.stderr)


def _notes(arguments: argparse.Namespace, outcome: Outcome, changes: Changes) -> list[str]:
    from instrument.manifest import CONTROL
    from instrument.model import Mode

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
    if arguments.out and arguments.mode == Mode.DIRECT and any(outcome.sites.values()):
        alone = "by the compiler alone its calls stay on their trampolines"
        notes.append(f"{arguments.out} is for `instrument cc --mode direct -- COMPILER`; {alone}")
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
    terminal.say(finding.render(line, _prefix(root)))
    for note in finding.also:
        _show(note, root, contents)


def _prefix(root: Path) -> str:
    """What goes before a path in the tree so that it holds from the working directory."""
    return f"{os.path.relpath(root)}/".removeprefix("./")


def _data(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _tell_error(error: InstrumentError) -> None:
    terminal.say("\n".join(finding.render() for finding in error.findings))


def _say(text: str) -> None:
    terminal.say(f"instrument: {text}")


def _fail(text: str) -> int:
    _say(f"error: {text}")
    return 2
