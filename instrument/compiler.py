# SPDX-License-Identifier: MIT
"""The user's own compiler with the user's own flags, run so that it answers a question.

Knows command lines and what flags would spoil an answer; must not know what is asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from instrument import ccwords, process
from instrument.diagnostics import Finding, InstrumentError
from instrument.model import Unit

if TYPE_CHECKING:
    from instrument.shadow import Shadow

TRANSPARENT = "__sc_transparent_union__"
"""What the probe has the preprocessor put in place of the attribute: gcc 12 shows a transparent union without its
members, and a union is passed as its first member is once it has the attribute."""

_PROBE = (
    "-DSTATIC_CALL_PROBE",
    *(f"-D{name}={TRANSPARENT}" for name in ("__transparent_union__", "transparent_union")),
)

# Whatever of these the user has, gcc writes no debug information with it, or elsewhere (parsing.md 3.5); the
# last wins, so ours come last. Instrumentation costs time and, in an object nobody runs, brings nothing.
_COMPILE = (
    *("-w", "-g2", "-gdwarf-5", "-gno-split-dwarf", "-fno-lto", "-fno-sanitize=all", "-fmax-errors=0"),
    *("-x", "cpp-output"),
)

_NOT_COMPILED = re.compile(
    r"-g(?!cc).*|-flto.*|-fdebug-types-section|-fmax-errors.*|-ferror-limit.*|-(?:-?include|imacros|-imacros=).*"
)

_UCN = re.compile(rb"(?<!\\)\\U([0-9a-fA-F]{8})")

ERROR = re.compile(r"^(?P<path>[^\n:]+):(?P<line>\d+):(?:(?P<column>\d+):)? (?:fatal )?error: ", re.MULTILINE)
"""What begins each error that a compiler tells."""


class Rejected(Exception):
    """The compiler does not accept the text; carries its own words."""


class Done(NamedTuple):
    """A finished run: its exit status, negative for a signal, and what it has put out."""

    returncode: int
    stdout: bytes
    stderr: bytes


meanwhile: list[Callable[[], object]] = []
"""What will be needed anyway, imports for the most part, done while we wait for compilers; first things first. For a
process with one thread."""

_early: dict[tuple[str, ...], Done] = {}
"""Runs without input that have been made before they were asked for."""


def attempt(command: Sequence[str], cwd: Path, text: bytes = b"") -> Done:
    """A compiler's run, whatever comes of it. Raises InstrumentError where there is no such program."""
    if not text and (done := _early.pop(tuple(command), None)):
        return done
    env = {**process.asking(), "LC_ALL": "C"}
    try:
        return (_here if cwd == Path.cwd() else _there)(command, cwd, text, env)
    except OSError as e:
        said = f"{e.strerror}: {e.filename}" if e.filename else str(e.strerror)
        raise InstrumentError(
            Finding("IN010", f"the compiler '{command[0]}' cannot be run", detail=said), status=2
        ) from e


def _there(command: Sequence[str], cwd: Path, text: bytes, env: Mapping[str, str]) -> Done:
    import subprocess  # 10 ms, which a launcher never needs

    done = subprocess.run(command, cwd=cwd, input=text, capture_output=True, env=env, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def _here(command: Sequence[str], _: Path, text: bytes, env: Mapping[str, str]) -> Done:
    files = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
    try:
        _fill(files[0], text)
        child = os.posix_spawnp(
            command[0], [*command], env, file_actions=[(os.POSIX_SPAWN_DUP2, file, i) for i, file in enumerate(files)]
        )
        return Done(_waited(child), *map(_content, files[1:]))
    finally:
        for file in files:
            os.close(file)


def _waited(child: int) -> int:
    """The exit status of `child`, which does not outlive us."""
    try:
        while True:
            ended, status = os.waitpid(child, os.WNOHANG if meanwhile else 0)
            if ended:
                return os.waitstatus_to_exitcode(status)
            meanwhile.pop(0)()
    except BaseException:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise


def _fill(file: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.lseek(file, 0, os.SEEK_SET)


def _content(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    with open(file, "rb", closefd=False) as stream:
        return stream.read()


def run(command: Sequence[str], cwd: Path, text: bytes = b"") -> bytes:
    """What a compiler's run puts out. Raises Rejected, and as `attempt`."""
    done = attempt(command, cwd, text)
    if done.returncode:
        raise Rejected(done.stderr.decode("utf-8", "replace") or f"exit status {done.returncode}")
    return done.stdout


def preprocess(unit: Unit, tree: Shadow, include_dir: Path) -> bytes:
    """The unit's text as the probe has it, with line markers. Raises Rejected."""
    flags = tree.flags(unit)
    if not tree.empty and any(f.startswith(("-isystem", "-idirafter")) for f in flags):
        flags += _uncanonical(driver(flags), unit.cwd)
    text = run(_preprocessing(flags, tree.main(unit), include_dir), unit.cwd)
    # gcc puts names out as universal character names; in a literal it means the same.
    return _UCN.sub(lambda m: chr(int(m[1], 16)).encode("utf-8", "replace"), text) if b"\\U" in text else text


def preprocess_early(unit: Unit, include_dir: Path) -> None:
    """Have `preprocess` find the text of `unit`, which is read where it lies, done. Raises as `attempt`."""
    command = _preprocessing(unit.command, str(unit.source), include_dir)
    _early[tuple(command)] = attempt(command, unit.cwd)


def _preprocessing(flags: Sequence[str], main: str, include_dir: Path) -> list[str]:
    return [*flags, "-w", "-E", "-o", "-", *_PROBE, "-I", str(include_dir), main]


def driver(words: Sequence[str]) -> tuple[str, ...]:
    """The words before the first flag: a compiler, perhaps with a launcher before it."""
    return tuple(takewhile(lambda word: not word.startswith("-"), words))


@cache
def _uncanonical(program: tuple[str, ...], cwd: Path) -> list[str]:
    """The flag that keeps gcc from following our links to a system header's shorter real path.

    Such a header would then find its neighbours in the tree with the old names. clang neither does that nor
    knows the flag.
    """
    flag = "-fno-canonical-system-headers"
    try:
        run([*program, flag, "-E", "-x", "c", "-"], cwd)
    except Rejected:
        return []
    return [flag]


def compile_text(unit: Unit, text: bytes, how: Sequence[str], scratch: Path) -> None:
    """Compile preprocessed text, `how` to be among -c and -fsyntax-only, into `scratch`. Raises Rejected."""
    flags = [w for o in ccwords.options(unit.command) if not _NOT_COMPILED.fullmatch(o[0]) for w in o]
    run([*flags, *how, *_COMPILE, "-o", str(scratch), "-"], unit.cwd, text)
