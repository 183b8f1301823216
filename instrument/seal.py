# SPDX-License-Identifier: MIT
"""Whether a run would find nothing to do: all that the last one has looked at is as it was then.

The seal is kept in the output, at `static_call/seal.json`; whoever deletes it only has the next run look at all
again. It holds the question (the tool's own files, the options, the environment), one digest of the states of every
input, of every output and of what lies outside of the tree (compilers, the directories that they search, the headers
that they have read), and what there was to say. A state has the times and the inode of a file, so that nobody changes
a file without changing it; where a time is so young that a change could have kept it, nothing is sealed.

Knows files' states; must not know what is in them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instrument import __version__, paths, whole
from instrument.compiledb import Command
from instrument.inputs import Inputs, State
from instrument.manifest import CONTROL

SEAL = f"{CONTROL}/seal.json"

_STAMP = f"{CONTROL}/stamp"
_MANY = 20_000

# What changes from one shell to the next and means nothing to a compiler.
_IDLE = frozenset(
    (
        "_",
        "COLUMNS",
        "LINES",
        "MAKEFLAGS",
        "MAKELEVEL",
        "MFLAGS",
        "MAKE_TERMERR",
        "MAKE_TERMOUT",
        "OLDPWD",
        "PWD",
        "SHLVL",
    )
)
# Flags that do not decide where a compiler looks for files.
_LOCAL = ("-D", "-U", "-O", "-W", "-g")
_ABSOLUTE = re.compile(rb"(?<![^\s\"':=])/[^\s\"':]+")
_DEEP = re.compile(rb"[<\"]([\w.+-]+(?:/[\w.+-]+)*)/[\w.+-]+[>\"]")
# What has the compiler read files of which preprocessed text does not tell.
_UNTOLD = re.compile(
    r"-?-imacros.*|-f?plugin.*|-?-specs.*|-wrapper|-X.*|-Wp,.*|-include-pch|-ivfs.*|-fmodule.*|--config.*"
)


@dataclass(frozen=True, slots=True)
class World:
    """What a run has depended on outside of the tree: the files that were read, and the commands that read them;
    `folders` are the directories that names of headers in the tree begin with."""

    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    commands: frozenset[Command] = frozenset()


@dataclass(frozen=True, slots=True)
class Run:
    """One run, before it has done anything. `question` is everything that decides what it makes of the files."""

    out: Path
    question: str
    begun: int = field(default_factory=time.time_ns)


def question(words: Iterable[object], files: Iterable[Path]) -> str:
    """The digest of `words`, of the environment, and of the tool and the further `files`."""
    environment = sorted((name, value) for name, value in os.environ.items() if name not in _IDLE)
    own = [path for top in (paths.C_RUNTIME, paths.TEMPLATES) for path in sorted(top.rglob("*"))]
    own += [*sorted(Path(__file__).parent.glob("*.py")), *files]
    states = [(str(path), _state(str(path))) for path in own]
    whole = (__version__, [str(word) for word in words], str(Path.cwd()), environment, states)
    return hashlib.sha256(repr(whole).encode("utf-8", "surrogateescape")).hexdigest()


def unchanged(run: Run, found: Inputs) -> str | None:
    """What the last run has said, if this one would do nothing but say it again."""
    try:
        value = json.loads((run.out / SEAL).read_bytes())
        if value["question"] != run.question:
            return None
        names = [*found.files, *found.links, *value["made"]]
        digest = _digest(
            found,
            lambda name: _state(f"{found.root}/{name}"),
            names,
            lambda name: State.of(os.lstat(f"{run.out}/{name}")),
            run.out,
            value["world"],
        )
        stamp = _STAMP not in value["made"] or os.lstat(run.out / _STAMP).st_mtime_ns >= value["stamp"]
        return str(value["told"]) if digest == value["digest"] and stamp else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def record(
    run: Run, found: Inputs, states: Mapping[str, State], written: Mapping[str, State], world: World, told: str
) -> None:
    """Seal what `run` has done. `states` are the inputs as they were read, `written` the outputs, as they were
    compared or written, without a doubt."""
    if (
        found.named
        or found.instrumented
        or any(_UNTOLD.fullmatch(word) for command in world.commands for word in command.words)
    ):
        return
    outside = _outside(world)
    seen = [*states.values(), *filter(None, map(_state, outside))]
    if len(outside) > _MANY or any(state.young(run.begun) for state in seen):
        return
    value = {
        "question": run.question,
        "digest": _digest(found, states.get, written, written.get, run.out, outside),
        "made": sorted(written.keys() - {*found.files, *found.links}),
        "stamp": written[_STAMP].mtime if _STAMP in written else 0,
        "world": outside,
        "told": told,
    }
    whole.write(str(run.out / SEAL), json.dumps(value).encode())


_Look = Callable[[str], State | None]


def _digest(found: Inputs, read: _Look, outputs: Iterable[str], wrote: _Look, out: Path, world: Iterable[str]) -> str:
    digest = hashlib.sha256()

    def add(*what: object) -> None:
        digest.update(repr(what).encode("utf-8", "surrogateescape"))

    add(str(found.root), found.skipped, sorted(found.links.items()), sorted(found.strangers), len(found.files))
    for name in found.files:
        add(name, read(name))
    folders = set()
    for name in sorted(outputs):
        folders.add(name.rpartition("/")[0])
        # A build touches the stamp, and may.
        add(name, None if name == _STAMP else wrote(name))
    for folder in sorted(folders):
        add(folder, os.path.islink(out / folder))
    for path in world:
        add(path, _state(path))
    return digest.hexdigest()


def _state(path: str) -> State | None:
    """What is at `path`: a file, through a link too, or a directory, whose time tells of its entries."""
    try:
        return State.of(os.stat(path))
    except OSError:
        return None


# ---- what compilers depend on ---------------------------------------------------------------------


def _outside(world: World) -> list[str]:
    """Every path that decides what the compilers have said: of the files themselves, of the programs, of the
    directories where another file of the same name would be found first, or one that was looked for in vain."""
    said: set[str] = set()
    asked: set[tuple[object, ...]] = set()
    for command in world.commands:
        words = [word for word in command.words if not word.startswith(_LOCAL)]
        if (key := (*words, command.cwd)) not in asked:
            asked.add(key)
            said |= _said(words, command.cwd)
    tops = {path for path in said if Path(path).is_dir()} | {os.path.dirname(path) for path in world.files}
    deep = {
        os.path.relpath(os.path.dirname(path), top)
        for path in world.files
        for top in tops
        if path.startswith(f"{top}/")
    }
    deep |= world.folders
    for path in world.files:
        with open(path, "rb") as file:
            deep |= {os.fsdecode(m[1]) for m in _DEEP.finditer(file.read())}
    return sorted({*said, *world.files, *(os.path.normpath(f"{top}/{below}") for top in tops for below in deep)})


def _said(words: list[str], cwd: Path) -> set[str]:
    """The paths that a compiler names when it tells what it does: its parts, where it searches, in vain too."""
    command = [*words, "-v", "-E", "-x", "c", os.devnull, "-o", os.devnull]
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    found = {os.path.normpath(os.fsdecode(m[0])) for m in _ABSOLUTE.finditer(done.stderr)}
    found |= {
        str(cwd / os.fsdecode(line[1:]))
        for line in done.stderr.splitlines()
        if line.startswith(b" ") and b"/" not in line[:2]
    }
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # Another program of the name may come to stand before it.
    found |= {str(cwd / place / words[0]) for place in places}
    return found - {os.devnull}
