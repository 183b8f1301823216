# SPDX-License-Identifier: MIT
"""The steps in their order, each file read once.

Knows which value goes where; must not know how any step does its work. The steps that cost time to import
are imported when a file mentions the API.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from instrument import __version__, compiledb, emit, fragment, inputs, paths, scan
from instrument.diagnostics import Finding, InstrumentError
from instrument.emit import Changes, Output
from instrument.includes import Includes
from instrument.inputs import Inputs
from instrument.manifest import CONTROL, MANIFEST, Manifest
from instrument.model import KeyPlan, Layout, Mode, Scanned, SitePlan
from instrument.value import dataclass, field, replace

_API_HEADER = "static_call.h"
_OURS = b"__SC_PICK"
"""What every copy of our own header holds."""
_HEADER = f"{CONTROL}/{_API_HEADER}"
_C_SUFFIXES = (".c", ".h")
_LARGE = 8 << 20
"""Files above this many bytes that have nothing for us are copied from disk to disk."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to do. `flags` are the compiler flags for files that no compile_commands.json tells of, or for all.

    `describe` asks for what surrounds each call, for the reader of a listing.
    """

    sources: tuple[Path, ...]
    out: Path | None = None
    root: Path | None = None
    mode: Mode = Mode.INLINE_ASM
    layout: Layout = Layout.ALIGNED
    build_dir: Path | None = None
    flags: tuple[str, ...] = ()
    jobs: int = 1
    describe: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a run computed, before anything is written.

    `rewritten` has the files whose bytes change. `outputs` and `changes` are empty without an output. `failed` are
    the files that are not done because of `findings`; of them nothing else is told, and no output has them.
    """

    inputs: Inputs
    contents: Mapping[str, bytes] = field(default_factory=dict)
    scanned: Mapping[str, Scanned] = field(default_factory=dict)
    keys: tuple[KeyPlan, ...] = ()
    sites: Mapping[str, tuple[SitePlan, ...]] = field(default_factory=dict)
    rewritten: Mapping[str, bytes] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    failed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """The files as they were read; `contents` leaves out what is large and of no interest."""

    contents: Mapping[str, bytes]
    states: Mapping[str, os.stat_result]
    scanned: Mapping[str, Scanned]


@dataclass(frozen=True, slots=True)
class _Work:
    """What the heavy steps made of the files."""

    scanned: Mapping[str, Scanned] = field(default_factory=dict)
    keys: tuple[KeyPlan, ...] = ()
    sites: Mapping[str, tuple[SitePlan, ...]] = field(default_factory=dict)
    rewritten: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, bytes] = field(default_factory=dict)
    reached: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


def run(options: Options) -> Outcome:
    """Compute everything; write nothing. Raises InstrumentError for what leaves nothing to be computed."""
    commands = compiledb.load(options.build_dir, options.flags)
    found = inputs.gather(options.sources, options.out, options.root)
    if found.named:
        found = inputs.with_headers(found, commands, paths.INCLUDE_DIR, options.out, options.jobs)
    files = _read(found)
    work = _work(found, files, commands, options) if files.scanned else _Work()
    work = _with_rejected(found, work)
    outputs: Mapping[str, Output] = {}
    changes = Changes()
    if options.out is not None:
        outputs = _outputs(found, files, work, options, options.out)
        changes = emit.compare(options.out, outputs)
    return Outcome(
        found,
        files.contents,
        work.scanned,
        work.keys,
        work.sites,
        work.rewritten,
        outputs,
        changes,
        tuple(sorted(work.failed)),
        work.findings,
    )


def write(out: Path, outcome: Outcome) -> None:
    """Make the output tree what `outcome` says; none is begun if every C file has failed."""
    left = (name for name in outcome.inputs.files if name.endswith(".c") and name not in outcome.failed)
    if not outcome.failed or any(left) or os.path.lexists(out):
        emit.apply(out, outcome.outputs)


def _read(found: Inputs) -> _Read:
    contents: dict[str, bytes] = {}
    states: dict[str, os.stat_result] = {}
    scanned: dict[str, Scanned] = {}
    for name in found.files:
        data, states[name] = inputs.read(found.root / name)
        if name not in found.instrumented and _may_hold_calls(name, data):
            scanned[name] = _ours(found, scan.scan(data, name), name, data)
        if name in scanned or len(data) <= _LARGE:
            contents[name] = data
    _refuse_strangers({name: scanned[name] for name in sorted(found.strangers & scanned.keys())})
    return _Read(contents, states, {name: value for name, value in scanned.items() if value != Scanned()})


def _refuse_strangers(scanned: Mapping[str, Scanned]) -> None:
    """A file that somebody put into an instrumented tree: it and the tree's own macros would not fit together."""
    what = "a file with static calls was added to an instrumented tree"
    fix = "instrument the original sources instead"
    places = [file.tokens[0].place for name, file in scanned.items() if file.tokens and name.endswith(_C_SUFFIXES)]
    if places:
        raise InstrumentError(*(Finding("IN009", what, place, fix=fix) for place in places))


def _ours(found: Inputs, scanned: Scanned, name: str, data: bytes) -> Scanned:
    """`scanned` without the includes of a static_call.h of the tree's own, which lies beside the file `name`."""
    beside = os.path.normpath(Path(name).parent / _API_HEADER)
    own = beside in found.files and _OURS not in inputs.read(found.root / beside)[0]
    quoted = [
        include for include in scanned.includes if data[include.header.start : include.header.start + 1] == b'"'
    ]
    if not own or not quoted:
        return scanned
    return replace(scanned, includes=tuple(include for include in scanned.includes if include not in quoted))


def _may_hold_calls(name: str, data: bytes) -> bool:
    return scan.mentions(data) and (name.endswith(_C_SUFFIXES) or b"\0" not in data)


def _work(found: Inputs, files: _Read, commands: compiledb.Commands, options: Options) -> _Work:
    from instrument import plan, render, resolve, rewrite

    graph = Includes(found.files, found.links, files.contents)
    units = inputs.units(found, files.scanned, graph, commands)
    resolved = resolve.resolve(
        found.root,
        inputs.includable(found, units, graph),
        files.scanned,
        files.contents,
        units,
        paths.INCLUDE_DIR,
        options.jobs,
        links=found.links,
    )
    resolution, failed = resolved.resolution, resolved.failed
    # Prose and scripts mention the API as well; of what is not named like C, the compiler's word decides.
    scanned = {
        name: value
        for name, value in files.scanned.items()
        if name not in failed and (name.endswith(_C_SUFFIXES) or name in resolution.reached)
    }
    asked = [unit for unit in units if os.path.relpath(unit.source, found.root) not in failed]
    incomplete = inputs.incomplete(found, asked, graph, commands)
    planned = plan.plan(scanned, files.contents, resolution, options.mode, incomplete, options.describe)

    def rewritten(name: str, at: str) -> bytes:
        header = os.path.relpath(_HEADER, Path(at).parent)
        return rewrite.rewrite(files.contents[name], scanned[name], planned.sites.get(name, ()), header)

    changed = {name: rewritten(name, name) for name in scanned}
    for link, target in found.links.items():
        name = os.path.normpath(Path(link).parent / target)
        # The path to the generated header counts directories, and a compiler counts them from the link.
        if name in scanned and name.count("/") != link.count("/"):
            changed[link] = rewritten(name, link)
    return _Work(
        scanned,
        planned.keys,
        planned.sites,
        {name: data for name, data in changed.items() if data != files.contents.get(name)},
        render.headers(planned, options.mode, options.layout),
        resolution.reached,
        failed,
        resolved.findings,
    )


def _with_rejected(found: Inputs, work: _Work) -> _Work:
    """`work` and the files that the compiler did not even preprocess, if nothing was found wrong with them since.

    Without its headers such a file would be compiled with theirs in the tree. One that others include need not
    make sense by itself.
    """
    read = work.failed | work.reached
    rejected = {name: finding for name, finding in found.rejected.items() if name not in read}
    if not rejected:
        return work
    failed, findings = work.failed | rejected.keys(), (*rejected.values(), *work.findings)
    return replace(work, failed=failed, findings=findings)


def _outputs(found: Inputs, files: _Read, work: _Work, options: Options, out: Path) -> dict[str, Output]:
    outputs = {name: Output(link=target) for name, target in found.links.items()}
    for name, state in files.states.items():
        mode, time = stat.S_IMODE(state.st_mode) & 0o777, state.st_mtime_ns
        if name in files.contents:
            outputs[name] = Output(work.rewritten.get(name, files.contents[name]), mode=mode, newer_than=time)
        else:
            outputs[name] = Output(copy_of=found.root / name, mode=mode, newer_than=time)
    for link in found.links.keys() & work.rewritten.keys():
        outputs[link] = Output(work.rewritten[link])
    outputs.update((name, emit.GONE) for name in _failed_names(found, work))
    if MANIFEST in found.instrumented:
        return outputs
    made = _generated(files, work)
    _refuse_collision(outputs, made)
    about = Manifest({}, __version__, options.mode, options.layout)
    return emit.complete({**outputs, **made}, about, out, _prerequisites(found, files), bool(work.failed))


def _failed_names(found: Inputs, work: _Work) -> set[str]:
    """The failed files and the links to them: an old copy, or the text as it was written, would fit to nothing."""
    targets = {link: os.path.normpath(Path(link).parent / target) for link, target in found.links.items()}
    return {link for link, target in targets.items() if target in work.failed} | work.failed


def _generated(files: _Read, work: _Work) -> dict[str, Output]:
    # A build that goes on without the failed files stops at the first one that it asks for.
    changed = work.rewritten.keys() | (work.failed & files.scanned.keys())
    sources = [name for name in changed if name.endswith(".c")]
    return {
        **emit.runtime(paths.C_RUNTIME),
        **{f"{CONTROL}/{name}": Output(content) for name, content in work.headers.items()},
        fragment.FRAGMENT: Output(fragment.render(sources)),
    }


def _refuse_collision(outputs: Mapping[str, Output], made: Mapping[str, Output]) -> None:
    for name in sorted({*made, MANIFEST, emit.DEPFILE, emit.STAMP} & outputs.keys()):
        what = f"the input has a file of its own at {name}, where the output keeps a generated one"
        raise InstrumentError(Finding("IN008", what, fix=f"rename the input's directory {CONTROL}"), status=2)


def _prerequisites(found: Inputs, files: _Read) -> dict[str, int]:
    """Everything that the output is made from, as seen from the working directory, and its time."""
    times = {found.root / name: state.st_mtime_ns for name, state in files.states.items()}
    for top in (paths.C_RUNTIME, paths.TEMPLATES):
        times.update({path: path.stat().st_mtime_ns for path in top.rglob("*") if path.is_file()})
    here = Path.cwd()
    return {str(path.relative_to(here) if path.is_relative_to(here) else path): time for path, time in times.items()}
