# SPDX-License-Identifier: MIT
"""The steps in their order.

Knows which value goes where; must not know how any step does its work. The steps that cost time to import
are imported when a file mentions the API.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from instrument import __version__, compiledb, emit, files, fragment, inputs, paths, report, scan
from instrument.compiledb import Command
from instrument.diagnostics import Finding, InstrumentError
from instrument.emit import Applied, Changes, Copied, Output
from instrument.files import Contents, Files
from instrument.includes import Includes
from instrument.inputs import Inputs, State
from instrument.manifest import CENSUS, CONTROL, MANIFEST, Manifest
from instrument.model import HEADERS, Include, KeyPlan, Layout, Mode, Scanned, SitePlan, Unit
from instrument.seal import SEAL, World
from instrument.value import dataclass, field, replace

if TYPE_CHECKING:
    from instrument.resolve import Resolved

_C_SUFFIXES = (".c", ".h")


@dataclass(frozen=True, slots=True)
class Options:
    """What to do. `flags` are the compiler flags for files that no compile_commands.json tells of, or for all.

    `describe` asks for what surrounds each call, for the reader of a listing. `exclude` are patterns of what is no
    input, `config` the file that settings are from, which the output depends on.
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
    exclude: tuple[str, ...] = ()
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a run computed, before anything is written.

    `rewritten` has the files whose bytes change. `outputs` are empty without an output. `failed` are the files that
    are not done because of `findings`; of them nothing else is told, and no output has them.
    """

    inputs: Inputs
    contents: Mapping[str, bytes] = field(default_factory=dict)
    scanned: Mapping[str, Scanned] = field(default_factory=dict)
    keys: tuple[KeyPlan, ...] = ()
    sites: Mapping[str, tuple[SitePlan, ...]] = field(default_factory=dict)
    rewritten: Mapping[str, bytes] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    states: Mapping[str, State] = field(default_factory=dict)
    world: World = field(default_factory=World)


@dataclass(frozen=True, slots=True)
class _Read:
    """The files, and the tokens of those that have some."""

    files: Files
    scanned: Mapping[str, Scanned]

    @property
    def contents(self) -> Contents:
        return self.files.contents


@dataclass(frozen=True, slots=True)
class _Work:
    """What the heavy steps made of the files."""

    scanned: Mapping[str, Scanned] = field(default_factory=dict)
    keys: tuple[KeyPlan, ...] = ()
    sites: Mapping[str, tuple[SitePlan, ...]] = field(default_factory=dict)
    rewritten: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, bytes] = field(default_factory=dict)
    reached: frozenset[str] = frozenset()
    world: World = field(default_factory=World)
    failed: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


def gather(options: Options) -> Inputs:
    """The files that `options` name."""
    return inputs.gather(options.sources, options.out, options.root, options.exclude)


def run(options: Options, found: Inputs) -> Outcome:
    """Compute everything; write nothing. Raises InstrumentError for what leaves nothing to be computed."""
    commands = compiledb.load(options.build_dir, options.flags)
    if found.named:
        found = inputs.with_headers(found, commands, paths.INCLUDE_DIR, options.out, options.jobs)
    read = _read(found, options)
    work = _work(found, read, commands, options) if read.scanned else _Work()
    work = _with_rejected(found, work)
    outputs: Mapping[str, Output] = {}
    if options.out is not None:
        outputs = _outputs(found, read, work, options, options.out)
    return Outcome(
        found,
        read.contents,
        work.scanned,
        work.keys,
        work.sites,
        work.rewritten,
        outputs,
        tuple(sorted(work.failed)),
        work.findings,
        read.files.states,
        work.world,
    )


def compare(options: Options, outcome: Outcome) -> Changes:
    """What `write` would change."""
    return emit.compare(options.out, outcome.outputs, options.jobs) if options.out else Changes()


def write(options: Options, outcome: Outcome) -> Applied:
    """Make the output tree what `outcome` says; none is begun if every C file has failed."""
    if options.out is None:
        return Applied(Changes())
    left = (name for name in outcome.inputs.files if name.endswith(".c") and name not in outcome.failed)
    if outcome.failed and not any(left) and not os.path.lexists(options.out):
        return Applied(compare(options, outcome))
    return emit.apply(options.out, outcome.outputs, options.jobs)


def _read(found: Inputs, options: Options) -> _Read:
    def choose(name: str, data: bytes) -> bool:
        return name not in found.instrumented and _may_hold_calls(name, data)

    read = files.look(found.root, found.files, choose, options.out is not None, options.jobs)
    scanned: dict[str, Scanned] = {}
    for name in read.chosen:
        data = read.contents.keep(name)
        scanned[name] = _ours(found, scan.scan(data, name), name, read.contents)
    _refuse_strangers({name: scanned[name] for name in sorted(found.strangers & scanned.keys())})
    return _Read(read, {name: value for name, value in scanned.items() if value != Scanned()})


def _refuse_strangers(scanned: Mapping[str, Scanned]) -> None:
    """A file that somebody put into an instrumented tree: it and the tree's own macros would not fit together."""
    what = "a file with static calls was added to an instrumented tree"
    fix = "instrument the original sources instead"
    places = [file.tokens[0].place for name, file in scanned.items() if file.tokens and name.endswith(_C_SUFFIXES)]
    if places:
        raise InstrumentError(*(Finding("IN009", what, place, fix=fix) for place in places))


def _ours(found: Inputs, scanned: Scanned, name: str, contents: Contents) -> Scanned:
    """`scanned` without the includes of the tree's own headers with our names that lie beside the file `name`."""

    def ours(include: Include) -> bool:
        beside = os.path.normpath(Path(name).parent / include.name)
        quoted = contents[name].startswith(b'"', include.header.start)
        return not quoted or beside not in contents or HEADERS[include.name] in contents[beside]

    return replace(scanned, includes=tuple(filter(ours, scanned.includes)))


def _may_hold_calls(name: str, data: bytes) -> bool:
    return scan.mentions(data) and (name.endswith(_C_SUFFIXES) or b"\0" not in data)


def _work(found: Inputs, read: _Read, commands: compiledb.Commands, options: Options) -> _Work:
    from instrument import plan, render, resolve, rewrite

    graph = Includes(found.files, found.links, files.told(read.contents, options.jobs))
    units = inputs.units(found, read.scanned, graph, commands)
    reached = inputs.includable(found, units, graph)
    resolved = resolve.resolve(
        found.root,
        reached.files,
        read.scanned,
        read.contents,
        units,
        paths.INCLUDE_DIR,
        options.jobs,
        links=found.links,
        ups=graph.ups,
        folders=reached.folders,
    )
    resolution, failed = resolved.resolution, resolved.failed
    # Prose and scripts mention the API as well; of what is not named like C, the compiler's word decides.
    scanned = {
        name: value
        for name, value in read.scanned.items()
        if name not in failed and (name.endswith(_C_SUFFIXES) or name in resolution.reached)
    }
    asked = [unit for unit in units if os.path.relpath(unit.source, found.root) not in failed]
    incomplete = inputs.incomplete(found, asked, graph, commands)
    planned = plan.plan(scanned, read.contents, resolution, options.mode, incomplete, options.describe)

    def rewritten(name: str, at: str) -> bytes:
        folder = os.path.relpath(CONTROL, Path(at).parent)
        return rewrite.rewrite(read.contents[name], scanned[name], planned.sites.get(name, ()), folder)

    changed = {name: rewritten(name, name) for name in scanned}
    for link, target in found.links.items():
        name = os.path.normpath(Path(link).parent / target)
        # The path to the generated header counts directories, and a compiler counts them from the link.
        if name in scanned and name.count("/") != link.count("/"):
            changed[link] = rewritten(name, link)
    included = {include.name for file in scanned.values() for include in file.includes}
    return _Work(
        scanned,
        planned.keys,
        planned.sites,
        {name: data for name, data in changed.items() if name in found.links or data != read.contents[name]},
        render.headers(planned, options.mode, options.layout, included),
        resolution.reached,
        _world(found, resolved, units, graph),
        failed,
        resolved.findings,
    )


def _world(found: Inputs, resolved: Resolved, units: Sequence[Unit], graph: Includes) -> World:
    folders = {name.rpartition("/")[0] for file in resolved.resolution.reached for name in graph.names(file)}
    return World(
        resolved.outside,
        frozenset(name for name in folders if name),
        frozenset(Command(unit.command, unit.cwd) for unit in units),
    )


def _with_rejected(found: Inputs, work: _Work) -> _Work:
    """`work` and the files that the compiler did not even preprocess, if nothing was found wrong with them since.

    Without its headers such a file would be compiled with theirs in the tree. One that others include need not
    make sense by itself.
    """
    known = work.failed | work.reached
    rejected = {name: finding for name, finding in found.rejected.items() if name not in known}
    if not rejected:
        return work
    failed, findings = work.failed | rejected.keys(), (*rejected.values(), *work.findings)
    return replace(work, failed=failed, findings=findings)


def _outputs(found: Inputs, read: _Read, work: _Work, options: Options, out: Path) -> dict[str, Output]:
    outputs = {name: Output(link=target) for name, target in found.links.items()}
    root = str(found.root)
    for name, state in read.files.states.items():
        mode = stat.S_IMODE(state.mode) & 0o777
        if name in work.rewritten:
            outputs[name] = Output(work.rewritten[name], mode=mode, newer_than=state.mtime)
        else:
            source = Copied(f"{root}/{name}", state, read.files.digests[name])
            built = name in read.files.built
            outputs[name] = Output(copy_of=source, mode=mode, newer_than=state.mtime, built=built)
    for link in found.links.keys() & work.rewritten.keys():
        outputs[link] = Output(work.rewritten[link])
    outputs.update((name, emit.GONE) for name in _failed_names(found, work))
    if MANIFEST in found.instrumented:
        return outputs
    made = _generated(read, work, options)
    _refuse_collision(outputs, made)
    about = Manifest({}, __version__, options.mode, options.layout)
    times = _prerequisites(found, read, options.config)
    return emit.complete({**outputs, **made}, about, out, times, bool(work.failed))


def _failed_names(found: Inputs, work: _Work) -> set[str]:
    """The failed files and the links to them: an old copy, or the text as it was written, would fit to nothing."""
    targets = {link: os.path.normpath(Path(link).parent / target) for link, target in found.links.items()}
    return {link for link, target in targets.items() if target in work.failed} | work.failed


def _generated(read: _Read, work: _Work, options: Options) -> dict[str, Output]:
    # A build that goes on without the failed files stops at the first one that it asks for.
    changed = work.rewritten.keys() | (work.failed & read.scanned.keys())
    sources = [name for name in changed if name.endswith(".c")]
    return {
        **emit.runtime(paths.C_RUNTIME),
        **{f"{CONTROL}/{name}": Output(content) for name, content in work.headers.items()},
        fragment.FRAGMENT: Output(fragment.render(sources)),
        CENSUS: Output(_census(read, work, options)),
    }


def _census(read: _Read, work: _Work, options: Options) -> bytes:
    """`digests` are those of the sources: whoever shows their text must know that it is still the same."""
    named = {*work.scanned, *work.failed, *(finding.place.path for finding in work.findings if finding.place)}
    about = {
        **report.about(options.mode, options.layout, sorted(work.failed), work.findings),
        "digests": {name: read.files.digests[name] for name in sorted(named & read.files.digests.keys())},
    }
    return report.as_file(report.entries(work.scanned, work.sites), work.keys, work.rewritten, about)


def _refuse_collision(outputs: Mapping[str, Output], made: Mapping[str, Output]) -> None:
    for name in sorted({*made, MANIFEST, emit.DEPFILE, emit.STAMP, SEAL} & outputs.keys()):
        what = f"the input has a file of its own at {name}, where the output keeps a generated one"
        raise InstrumentError(Finding("IN008", what, fix=f"rename the input's directory {CONTROL}"), status=2)


def _prerequisites(found: Inputs, read: _Read, config: Path | None) -> dict[str, int]:
    """Everything that the output is made from, as seen from the working directory, and its time."""
    root, here = str(found.root), f"{Path.cwd()}/"
    times = {f"{root}/{name}": state.mtime for name, state in read.files.states.items()}
    for top in (paths.C_RUNTIME, paths.TEMPLATES):
        times.update({str(path): path.stat().st_mtime_ns for path in top.rglob("*") if path.is_file()})
    if config is not None:
        times[str(config)] = config.stat().st_mtime_ns
    return {path.removeprefix(here): time for path, time in times.items()}
