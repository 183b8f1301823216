# SPDX-License-Identifier: MIT
"""`instrument cc [options] -- compiler ...`: one compiler's run, with the static calls of its sources made direct.

The compiler reads the user's own files, under their own names: the headers make of each call what the mode asks for,
so that messages, __FILE__, debug information, coverage data and dependency files are those of the sources. A copy
of the text with #line directives was rejected: it needs -iquote, prefix maps and another depfile to come out so
(conventions.md, 0.3). What has no static calls is run as it is, by exec.

    direct                    -DSTATIC_CALL_DIRECT, and a stand-in for the assembler (standin.py)
    inline-asm, trampoline    -include a header with what the compiler itself tells of the unit's keys

Whatever is imported here, each compile pays for.
"""

from __future__ import annotations

import os
import sys

from instrument import ccwords, reach
from instrument.ccwords import LAYOUTS, MODES, Call
from instrument.process import become, keep_stdin, output_of, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ACTIVE = "INSTRUMENT_CC_ACTIVE"
"""Set for what we start: a compiler that is a link to us, or a launcher within a launcher, does nothing more."""
DEFAULTS = "INSTRUMENT_CC"
"""Options, for links and for build files that leave no place for them."""

SWITCHES = {
    "--strict": "strict",
    "--no-strict": "strict",
    "--fallback": "fallback",
    "--no-fallback": "fallback",
    "--isolated": "isolated",
    "--verbose": "verbose",
    "-v": "verbose",
    "--help": "help",
    "-h": "help",
}
"""The options without a value; ccparser.py tells what they and the others mean."""

_BUILDERS = ("make", "gmake", "ninja", "cmake", "meson", "bazel", "scons")
"""What Bear stands before, and we cannot: their compiles would be as they are, and nobody would know."""
_DEPENDENCIES_ONLY = ("-M", "-MM", "--dependencies", "--user-dependencies")


class Options:
    """What stands before the `--`; `given` are the names of those that were set."""

    __slots__ = ("fallback", "given", "help", "isolated", "layout", "log", "mode", "strict", "verbose")

    def __init__(self) -> None:
        self.mode, self.layout, self.log = MODES[0], LAYOUTS[0], ""
        self.strict = self.fallback = self.verbose = self.help = self.isolated = False
        self.given: set[str] = set()

    def put(self, name: str, value: str | bool) -> None:
        setattr(self, name, value)
        self.given.add(name)


class UsageError(Exception):
    """A wrong call of the launcher itself."""


def main(words: Sequence[str]) -> int:
    """Run the compile that `words` ask for. The exit status is the compiler's."""
    try:
        options = Options()
        read_defaults(options)
        command = read(options, words)
        if options.help:
            from instrument import ccparser

            print(ccparser.parser().format_help(), end="")
            return 0
        if not command:
            raise UsageError("no compiler: instrument cc [options] -- compiler [arguments]")
        if (name := command[0].rpartition("/")[2]) in _BUILDERS:
            raise UsageError(
                f"{name} is no compiler, and what it starts goes by CC: CC='instrument cc -- gcc' {name} ..."
            )
        return _run(options, command)
    except UsageError as error:
        _say(f"error: {error}")
        return 2


def masquerade(name: str, words: Sequence[str]) -> int:
    """Be the compiler `name`: the next one in PATH that is not this command under one of its names."""
    ours = os.path.realpath(sys.argv[0])
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)
        if os.access(path, os.X_OK) and os.path.isfile(path) and os.path.realpath(path) != ours:
            return main(["--", path, *words])
    _say(f"error: there is no other {name} in PATH")
    return 127


def read(options: Options, words: Sequence[str]) -> list[str]:
    """Set `options` as `words` say; returns what follows them, which a `--` may begin.

    Without options nobody needs the `--`; clangd takes all that stands behind one for input files.
    """
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word == "--":
            break
        if flag in ccwords.LAUNCHER_WITH_VALUE:
            if not equals:
                value = rest.pop(0) if rest else ""
            allowed = {"--mode": MODES, "--layout": LAYOUTS}.get(flag)
            if not value or (allowed and value not in allowed):
                wanted = f"one of {', '.join(allowed)}" if allowed else "a file"
                raise UsageError(f"{flag} takes {wanted}, not '{value}'{_meant(value, allowed or ())}")
            options.put(flag[2:], value)
        elif word in SWITCHES:
            options.put(SWITCHES[word], not word.startswith("--no-"))
        else:
            hint = _meant(word.partition("=")[0], [*ccwords.LAUNCHER_WITH_VALUE, *SWITCHES])
            raise UsageError(f"unknown option: {word}{hint or '; the compiler and its flags go behind --'}")
    return rest


def read_defaults(options: Options) -> None:
    """Set `options` as the environment says. A word that is no option is an error: it was to be one."""
    try:
        rest = read(options, os.environ.get(DEFAULTS, "").split())
        if rest:
            raise UsageError(f"'{rest[0]}' is no option: the compiler is not named here")
    except UsageError as error:
        raise UsageError(f"{DEFAULTS}: {error}") from None


def _check(options: Options, origin: str) -> None:
    if options.layout == "bare" and options.mode != "direct":
        from instrument import settings

        layout = settings.Value(options.layout, origin or settings.COMMAND_LINE, "")
        raise UsageError(settings.clash(layout, options.mode))


def _meant(word: str, known: Sequence[str]) -> str:
    from instrument.meant import meant

    return meant(word, known)


# ---- which way a compile goes ----------------------------------------------------------------------


def _run(options: Options, command: list[str]) -> int:
    if os.environ.get(ACTIVE):
        become(command)
    os.environ[ACTIVE] = "1"
    call = Call(command)
    if "-" in call.sources:
        keep_stdin()
    # Asked once: it reads every file of the project that the sources include.
    mentions = bool(call.sources or call.headers) and reach.may_call(call)
    origin = ""
    # Of what surely has no static calls, nobody needs to know the settings.
    if mentions or call.preprocessed or (call.stage == "" and call.has("-flto")):
        origin = _configure(options, call)
    _check(options, origin)
    way = _way(options, call, mentions)
    if way is None:
        become(command)
    return _guarded(options, call, way)


def _configure(options: Options, call: Call) -> str:
    """Take what the command line and INSTRUMENT_CC leave open from the environment and the nearest file.

    Returns where the layout comes from, if from there."""
    from instrument import settings

    for line in settings.warnings():
        _tell(line)
    source = next((name for name in (*call.sources, *call.preprocessed, *call.headers) if name != "-"), "")
    try:
        file = None if options.isolated else settings.find(os.path.dirname(source))
        values = settings.settle([name for name in settings.LAUNCHER if name not in options.given], {}, file)
    except settings.SettingError as error:
        where = f"{error.path}:{error.line}: " if error.path else ""
        raise UsageError(f"{where}{error} [IN016]") from None
    except FileNotFoundError:
        raise UsageError("the working directory is not there any more") from None
    for name, value in values.items():
        if value.origin != settings.DEFAULT:
            setattr(options, name, value.value)
    return values["layout"].origin if "layout" in values else ""


def _way(options: Options, call: Call, mentions: bool) -> Callable[[Options, Call], int] | None:
    """How the call is carried out, some file of which `mentions` the API or none; None for as it is."""
    if options.mode == "direct":
        if _has_direct_calls(call, mentions):
            return _directly
    elif call.sources and mentions:
        return _by_header
    return _on_trampolines if call.headers and mentions else None


def _has_direct_calls(call: Call, mentions: bool) -> bool:
    """Whether the compiler will make calls that are to be prepared: of a file that has none, the compiler and its own
    assembler make the object that they always make."""
    if call.stage == "" and call.has("-flto"):
        from instrument.assembler import is_clang

        # gcc makes the code of the whole program now, and has it assembled; clang's linker does without an assembler.
        if not is_clang(call):
            return True
    if any(map(reach.calls_in, call.preprocessed)):
        return True
    if not call.sources or not mentions:
        return False
    text = output_of([call.compiler, "-DSTATIC_CALL_DIRECT", *call.preprocessing()])
    return text is None or reach.calls(text)


def _guarded(options: Options, call: Call, way: Callable[[Options, Call], int]) -> int:
    """What `way` returns. A failure of our own is one line, and the compile fails or, with --fallback, goes lower."""
    try:
        return way(options, call)
    except Exception as error:
        status, lines = _failure(error, options.verbose)
    if not options.fallback or status != 2:
        from instrument import terminal

        terminal.say("\n".join(lines))
        return status
    # Not by pointers: a trampoline needs the tool as little, its calls keep the promise of an update, and they link
    # where a key is hidden (EXPORT_STATIC_CALL_TRAMP).
    why = lines[0].removeprefix("instrument: error: ")
    _say(f"warning: the calls of {' '.join(call.sources) or 'the program'} go by their trampolines: {why}")
    return _on_trampolines(options, call) if _log(options, call, "fallback") else 2


def _failure(error: Exception, verbose: bool) -> tuple[int, list[str]]:
    """The exit status and what is said. What it takes is imported where it is needed, which costs 50 ms."""
    from instrument.diagnostics import InstrumentError

    if isinstance(error, InstrumentError):
        told = [finding.render() for finding in error.findings]
        return error.status, [told[0].partition("\n")[0]] if error.status == 2 else told
    said = f"internal error: {type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, ModuleNotFoundError):
        said = f"{sys.executable} has no module {error.name!r}; `instrument doctor` tells what to install"
    lines = [f"instrument: error: {said}"]
    if verbose:
        import traceback

        lines += [line.rstrip() for line in traceback.format_exception(error)]
    return 2, lines


def _on_trampolines(options: Options, call: Call) -> int:
    """The compiler's own calls, of which nobody makes more."""
    return spawn(_with(call, ["-DSTATIC_CALL_DIRECT"]))


def _lower(options: Options, call: Call, why: str, code: str) -> int:
    """Where the mode has no way to make the calls: as --strict says."""
    if options.strict or options.verbose:
        _say(f"{'error' if options.strict else 'note'}: all calls are left on the trampoline: {why} [{code}]")
    return 1 if options.strict else _on_trampolines(options, call)


def _directly(options: Options, call: Call) -> int:
    """Mode direct: the compiler's own calls, prepared on their way to the assembler."""
    from instrument import assembler

    flags = ["-DSTATIC_CALL_DIRECT"]
    if call.has("-flto") and assembler.is_clang(call):
        return _lower(options, call, "clang's link-time optimisation makes its code without an assembler", "IN042")
    if call.stage == "-S":
        return _done(options, call, _prepared_text(options, call, flags))
    if call.stage in ("-c", ""):
        if call.is_remote():
            return _done(options, call, _prepared_here(options, call, flags))
        flags += assembler.preparing(call, options.layout, options.strict, options.verbose)
    return _done(options, call, spawn(_with(call, flags)))


def _prepared_text(options: Options, call: Call, flags: Sequence[str]) -> int:
    """The assembly itself is what is asked for."""
    from instrument import assembler, standin

    to_stdout = call.output == "-"
    names = [assembler.scratch()] if to_stdout else assembler.outputs(call)
    try:
        words = assembler.stopping(call, names[0]) if to_stdout else call.words
        status = spawn([*call.before, call.compiler, *flags, *words])
        for name in names if status == 0 else ():
            if not standin.prepare_file(name, options.layout, options.strict, options.verbose, to_stdout):
                status = 1
    finally:
        if to_stdout:
            os.unlink(names[0])
    return status


def _prepared_here(options: Options, call: Call, flags: Sequence[str]) -> int:
    """The compiler runs on another machine, which has no stand-in: it sends the assembly back."""
    from instrument import assembler

    if call.stage != "-c" or len(call.sources) + len(call.preprocessed) != 1:
        return spawn(_with(call, flags))
    text = assembler.scratch()
    try:
        status = spawn([*call.before, call.compiler, *flags, *assembler.stopping(call, text)])
        if status == 0:
            hook = assembler.preparing(call, options.layout, options.strict, options.verbose)
            status = spawn([call.compiler, *hook, *assembler.assembling(call, text)])
    finally:
        os.unlink(text)
    return status


def _by_header(options: Options, call: Call) -> int:
    """The other modes: the compiler reads a header first that has the wrappers of the unit's keys."""
    _spare()
    from instrument import assembler, unitheader

    if call.stage == "-fsyntax-only" or call.has_any(_DEPENDENCIES_ONLY):
        return _on_trampolines(options, call)
    if assembler.precompiled(call):
        return _lower(options, call, "a precompiled header comes first", "IN041")
    found = unitheader.flags(call, options.mode, options.layout, options.strict, options.verbose)
    if not found.flags:
        become([*call.before, call.compiler, *call.words])
    whole = assembler.whole(call) if call.stage in ("-c", "") and not call.is_remote() else []
    # icecc sends text whose macros are still to be expanded, where _Pragma("pop_macro") comes too late (icecc 1.4).
    status = spawn(_with(call, [*found.flags, *whole]), ICECC_REMOTE_CPP="0")
    if found.header is not None:
        unitheader.forget(call, found.header)
    return _done(options, call, status)


def _spare() -> None:
    """Leave out what a process that is over after one compile has no use for: a third of what Python does there."""
    import gc

    from instrument.putoff import put_off

    gc.disable()
    # What libraries import for their parsers, caches and debuggers.
    put_off("pycparser", "jinja2", "pdb", "traceback", "dataclasses", "json")


def _with(call: Call, flags: Sequence[str]) -> list[str]:
    """The call with `flags` before its own, of which the last ones win."""
    return [*call.before, call.compiler, *flags, *call.words]


def _done(options: Options, call: Call, status: int) -> int:
    if status == 0 and not _log(options, call, options.mode):
        return 2
    return status


def _log(options: Options, call: Call, outcome: str) -> bool:
    """One write of one line, so that compiles that run at once do not mix theirs. False, and told, if it fails."""
    if not options.log:
        return True
    import json

    line = {"outcome": outcome, "mode": options.mode, "sources": call.sources, "output": call.output}
    try:
        descriptor = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            file.write(f"{json.dumps(line)}\n".encode())
    except OSError as error:
        _say(f"error: cannot write {options.log}: {error.strerror} [IN008]")
        return False
    return True


def _say(text: str) -> None:
    _tell(f"instrument: {text}")


def _tell(line: str) -> None:
    from instrument import terminal

    terminal.say(line)
