# SPDX-License-Identifier: MIT
"""The user's own compiler with the user's own flags, run so that it answers a question.

Knows command lines and what flags would spoil an answer; must not know what is asked.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path

from instrument import ccwords, process, unseen
from instrument.diagnostics import Finding, InstrumentError
from instrument.model import Unit
from instrument.shadow import Shadow

_PROBE = (
    "-DSTATIC_CALL_PROBE",
    *(f"-D{name}={unseen.TRANSPARENT.decode()}" for name in ("__transparent_union__", "transparent_union")),
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


def attempt(command: Sequence[str], cwd: Path, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A compiler's run, whatever comes of it. Raises InstrumentError where there is no such program."""
    env = {**process.asking(), "LC_ALL": "C"}
    try:
        return subprocess.run(command, cwd=cwd, input=text, capture_output=True, env=env, check=False)
    except OSError as e:
        said = f"{e.strerror}: {e.filename}" if e.filename else str(e.strerror)
        raise InstrumentError(
            Finding("IN010", f"the compiler '{command[0]}' cannot be run", detail=said), status=2
        ) from e


def run(command: Sequence[str], cwd: Path, text: bytes = b"") -> bytes:
    """What a compiler's run puts out. Raises Rejected, and as `attempt`."""
    done = attempt(command, cwd, text)
    if done.returncode:
        raise Rejected(done.stderr.decode("utf-8", "replace") or f"exit status {done.returncode}")
    return done.stdout


def preprocess(unit: Unit, tree: Shadow, include_dir: Path) -> bytes:
    """The unit's text as the probe has it, with line markers. Raises Rejected."""
    flags = tree.flags(unit)
    if any(f.startswith(("-isystem", "-idirafter")) for f in flags):
        flags += _uncanonical(driver(flags), unit.cwd)
    how = ("-w", "-E", "-o", "-", *_PROBE, "-I", str(include_dir), tree.main(unit))
    text = run([*flags, *how], unit.cwd)
    # gcc puts names out as universal character names; in a literal it means the same.
    return _UCN.sub(lambda m: chr(int(m[1], 16)).encode("utf-8", "replace"), text) if b"\\U" in text else text


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
