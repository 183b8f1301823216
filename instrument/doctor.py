# SPDX-License-Identifier: MIT
"""`instrument doctor`: whether what instrument and its runtime need is here, and what the runtime would do here.

Each check gives one line or more. What is wrong keeps something from working; a note only tells.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module, metadata
from pathlib import Path

from instrument import __version__, compiledb, kept, kernel, launcher, paths, settings
from instrument.arguments import Parser
from instrument.diagnostics import InstrumentError
from instrument.meant import meant

PACKAGES = {
    "tree-sitter": ("tree_sitter", ">=0.25,<0.27"),
    "tree-sitter-c": ("tree_sitter_c", ">=0.24,<0.25"),
    "pycparser": ("pycparser", ">=3.0,<4"),
    "pyelftools": ("elftools", ">=0.31,<0.34"),
    "jinja2": ("jinja2", ">=3.1,<4"),
}
"""Each with its module, and the versions that pyproject.toml asks for: nobody else holds `make install` to them."""
_COMPILERS = ("gcc", "clang")
_MASKABLE = ("cc", "gcc", "clang", "c99")
_RUNTIME_VARIABLES = {
    "STATIC_CALL_PROTOCOL": ("auto", "int3-push", "int3-resume", "int3-stub", "atomic"),
    "STATIC_CALL_FOLD": ("0", "1"),
    "STATIC_CALL_BLOCKED": ("trust",),
}
_SCOPES = ("any process of yours", "your descendants only", "root only", "nobody")
_SECCOMP = ("none", "strict mode", "a filter is in force")


class State(StrEnum):
    """What a check found."""

    FINE = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: `subject` is what was looked at, `said` what was found, with what to do if it is wrong."""

    subject: str
    state: State
    said: str


def parser() -> Parser:
    made = Parser(
        prog="instrument doctor",
        description="Check compilers, packages, kernel and environment; say what the runtime would do here.",
        epilog="Exit status: 0 all well; 1 something is wrong.",
    )
    made.add_argument("--json", action="store_true", help="the same for programs")
    return made


def main(words: Sequence[str]) -> int:
    arguments = parser().parse_args(words)
    found = [check for look in _LOOKS for check in look()]
    if arguments.json:
        about = {"tool": "instrument", "version": __version__}
        lines = [{"subject": c.subject, "state": c.state.value, "said": c.said} for c in found]
        print(json.dumps(about | {"checks": lines}, indent=1))
    else:
        width = max(len(check.subject) for check in found)
        print("\n".join(f"{check.subject:<{width}}  {check.state.value:<5}  {check.said}" for check in found))
    return int(any(check.state is State.WRONG for check in found))


# ---- what is installed ----------------------------------------------------------------------------


def _python() -> Iterator[Check]:
    where = paths.C_RUNTIME.parent
    yield Check("instrument", State.FINE, f"{__version__}, Python {sys.version.split()[0]}, {where}")
    yield from _packages(PACKAGES)
    try:
        yield Check("capstone", State.FINE, metadata.version("capstone"))
    except metadata.PackageNotFoundError:
        yield Check("capstone", State.NOTE, f"not installed; `instrument inspect -d` needs it: {_pip('capstone')}")


def _packages(names: Iterable[str]) -> Iterator[Check]:
    for name in names:
        module, wanted = PACKAGES[name]
        try:
            import_module(module)
            version = metadata.version(name)
        except Exception as error:
            yield Check(name, State.WRONG, f"{type(error).__name__}: {error}; {_pip(name + wanted)}")
            continue
        oldest, newest = (_numbers(bound) for bound in wanted.split(","))
        if _numbers(version) < oldest:
            yield Check(name, State.WRONG, f"{version}, which is too old; {_pip(name + wanted)}")
        elif _numbers(version) >= newest:
            yield Check(name, State.NOTE, f"{version}, which is newer than what was tested ({wanted})")
        else:
            yield Check(name, State.FINE, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def _pip(what: str) -> str:
    """How to install it: beside the tool where that has no environment of its own, as `make install` leaves it."""
    own = sys.prefix != sys.base_prefix
    target = "" if own else f"--target {shlex.quote(str(Path(__file__).parents[1]))} "
    return f"{sys.executable} -m pip install {target}{shlex.quote(what)}"


def _compilers() -> Iterator[Check]:
    try:
        own = compiledb.compiler()
    except InstrumentError as error:
        yield Check("compiler", State.WRONG, str(error))
        return
    yield _version("compiler", own, f"{shlex.join(own)}: ", State.WRONG)
    for tool in ("as", "ld"):
        named = _output([*own, f"-print-prog-name={tool}"])[0].strip() or tool
        yield _version({"as": "assembler", "ld": "linker"}[tool], [named], "", State.WRONG)
    macros, _ = _output([*own, "-E", "-dM", "-x", "c", "/dev/null"])
    if macros and (" __x86_64__ " not in macros or " __ILP32__ " in macros):
        yield Check("target", State.WRONG, "the compiler makes no code for x86-64 with 64-bit pointers [IN005]")
    for name in _COMPILERS:
        if name != own[0]:
            yield _version(name, [name], "", State.NOTE)


def _version(subject: str, words: Sequence[str], before: str, otherwise: State) -> Check:
    said, why = _output([*words, "--version"])
    if why:
        return Check(subject, otherwise, why)
    return Check(subject, State.FINE, before + said.partition("\n")[0])


def _output(words: Sequence[str]) -> tuple[str, str]:
    """What the command prints, or why there is nothing."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False
        )
    except FileNotFoundError:
        return "", f"no file {words[0]}" if "/" in words[0] else f"no command {words[0]} in PATH"
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else "it does not end"
        return "", f"{words[0]} cannot be run: {why}"
    if done.returncode or not done.stdout.strip():
        return "", f"`{shlex.join(words)}` fails: {_first(done.stderr, f'exit status {done.returncode}')}"
    return done.stdout, ""


def _first(text: str, otherwise: str) -> str:
    """The line of a compiler's words that says what is wrong."""
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), (lines or [otherwise])[0])


# ---- the kernel -----------------------------------------------------------------------------------


def _kernel() -> Iterator[Check]:
    yield Check("kernel", State.FINE, " ".join((os.uname().sysname, os.uname().release, os.uname().machine)))
    yield _asked("membarrier", kernel.membarrier, "SYNC_CORE", "no SYNC_CORE; updates signal every thread instead")
    yield _asked("MDWE", kernel.mdwe, "in force: text is written by /proc/self/mem", "not in force", State.FINE)
    yield _asked("shadow stack", kernel.shadow_stack, "in force", "not in force", State.FINE)
    yield _asked("PROCMAP_QUERY", kernel.procmap_query, "there", "not there; /proc/self/maps is read as text")
    yield _asked("/proc/self/mem", kernel.proc_mem, "can be written", "cannot be written")
    scope, mode = kernel.ptrace_scope(), kernel.seccomp()
    who = _SCOPES[min(scope or 0, 3)]
    yield Check("ptrace", State.FINE if not scope else State.NOTE, f"instrument ps may look into {who}")
    said = "not told" if mode is None else _SECCOMP[min(mode, 2)]
    yield Check("seccomp", State.NOTE if mode else State.FINE, said)


def _asked(subject: str, probe: Callable[[], bool], yes: str, no: str, if_not: State = State.NOTE) -> Check:
    try:
        return Check(subject, State.FINE, yes) if probe() else Check(subject, if_not, no)
    except kernel.Refused as error:
        return Check(subject, if_not, f"{no} ({error})")


def _runtime() -> Iterator[Check]:
    """Compile and run a program with one static call, as a user would."""
    words = [sys.executable, "-P", "-m", "instrument", "cc", "--isolated", "--mode", "direct", "--"]
    try:
        compiler = compiledb.compiler()
    except InstrumentError:
        return
    with tempfile.TemporaryDirectory(prefix="instrument-doctor-") as folder:
        program = f"{folder}/doctor"
        sources = [paths.TEMPLATES / "doctor.c", paths.RUNTIME_SOURCE]
        flags = [f"-I{paths.INCLUDE_DIR}", *map(str, sources), "-O2", "-pthread", "-o", program]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "INSTRUMENT_CC": ""}
        env.pop(launcher.ACTIVE, None)
        for step, command in (("compile", [*words, *compiler, *flags]), ("run", [program])):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)
            except FileNotFoundError:
                yield Check("a program", State.WRONG, "the compiler says that all is well, and makes no program")
                return
            except (OSError, subprocess.TimeoutExpired) as error:
                yield Check("a program", State.WRONG, f"cannot {step} one with a static call: {error}")
                return
            if done.returncode:
                said = _first(done.stderr, f"exit status {done.returncode}")
                yield Check("a program", State.WRONG, f"cannot {step} one with a static call: {said}")
                return
    reason, write, signalled, obstacle = done.stdout.splitlines()
    yield Check("a program", State.FINE, "with a static call compiles, runs and changes its call")
    yield Check("protocol", State.FINE, reason)
    yield Check("text is written by", State.FINE if write == "mprotect" else State.NOTE, write)
    if signalled != "0 by signals" or obstacle:
        yield Check("obstacle", State.NOTE, obstacle or "threads are synchronised by signals")


# ---- the user's own setting -----------------------------------------------------------------------


def _folders() -> Iterator[Check]:
    top, asked = kept.above(), os.environ.get("TMPDIR") or "/tmp"
    try:
        kept.keep("doctor", b"#!/bin/sh\n", 0o700)
        other = f"; there is no directory {asked}"
        yield Check("TMPDIR", State.FINE, top) if top == asked else Check("TMPDIR", State.NOTE, top + other)
    except InstrumentError as error:
        yield Check("TMPDIR", State.WRONG, f"{error}; set TMPDIR to a directory of your own")


def _links() -> Iterator[Check]:
    """Links named as compilers: each needs a compiler of its name further on in PATH."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    ours = {os.path.realpath(path) for path in (sys.argv[0], Path(sys.executable).parent / "instrument")}
    for name in _MASKABLE:
        found = [path for folder in folders if os.access(path := Path(folder or ".") / name, os.X_OK)]
        links = [path for path in found if os.path.realpath(path) in ours]
        others = [path for path in found if path not in links]
        if links and not others:
            yield Check(
                f"link {name}", State.WRONG, f"{links[0]} is instrument, and there is no other {name} in PATH"
            )
        elif links:
            shadowed = found[0] not in links
            said = f"{others[0]} comes before it in PATH" if shadowed else f"stands before {others[0]}"
            yield Check(f"link {name}", State.NOTE if shadowed else State.FINE, f"{links[0]} {said}")


def _settings() -> Iterator[Check]:
    try:
        file = settings.find(".")
        settings.settle(settings.SETTINGS, {}, file)
        yield Check("configuration", State.FINE, os.path.relpath(file.path) if file else "no file here or above")
        if not file and (aside := settings.misspelt(".")):
            yield Check("configuration", State.NOTE, aside)
    except settings.SettingError as error:
        where = f"{error.path}:{error.line}: " if error.path else ""
        yield Check("configuration", State.WRONG, f"{where}{error} [IN016]")
    try:
        launcher.read_defaults(launcher.Options())
    except launcher.UsageError as error:
        yield Check(launcher.DEFAULTS, State.WRONG, str(error).removeprefix(f"{launcher.DEFAULTS}: "))
    yield from _variables()


def _variables() -> Iterator[Check]:
    if os.environ.get(launcher.ACTIVE):
        said = "is set, as within a compile of the launcher's own: so it leaves every file as it is; unset it"
        yield Check(launcher.ACTIVE, State.WRONG, said)
    known, prefix = [*_RUNTIME_VARIABLES, *_of_build_files()], "STATIC_CALL_"
    unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in known)
    for name, hint in [*settings.strangers(), *((name, meant(name, known, prefix)) for name in unknown)]:
        yield Check(name, State.WRONG, f"nobody knows this variable{hint}")
    for name in sorted(name for name in os.environ if not name.startswith((prefix, settings.variable("")))):
        for near in difflib.get_close_matches(name, [*settings.variables(), *known], n=1, cutoff=0.9):
            yield Check(name, State.NOTE, f"nothing of ours; did you mean {near}?")
    for name, values in _RUNTIME_VARIABLES.items():
        value = os.environ.get(name)
        if value and value not in values:
            yield Check(name, State.WRONG, f"takes {', '.join(values)}, not '{value}'{meant(value, values)}")


def _of_build_files() -> set[str]:
    """make takes its variables from the environment, too."""
    return set(re.findall(r"STATIC_CALL_[A-Z_]+", paths.MAKEFILE.read_text()))


_LOOKS = (_python, _compilers, _kernel, _runtime, _folders, _links, _settings)
