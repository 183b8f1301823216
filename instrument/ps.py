# SPDX-License-Identifier: MIT
"""`instrument ps PID` and `instrument trace PID`: what a live process calls by its static calls, and as it changes.

Knows how a process is shown; must not know how its memory is read, nor the tables.
"""

from __future__ import annotations

import errno
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from instrument import binary, description, terminal
from instrument.binary import Binary
from instrument.description import Runtime, UnknownVersionError
from instrument.diagnostics import Finding, InstrumentError
from instrument.inspect import listed, rows, state, target
from instrument.live import Process
from instrument.memory import Unreadable
from instrument.selection import chosen, idle
from instrument.space import Names

if TYPE_CHECKING:
    from instrument.arguments import Parser

_FALLBACKS = description.COUNTERS[11:]


class Watched:
    """A process and the runtimes in it. Raises InstrumentError where there are none."""

    def __init__(self, pid: int) -> None:
        self.process = Process(pid)
        self._names = Names(self.process)
        self._found = self._find()

    def _find(self) -> list[int]:
        found = description.find(self.process.mappings(), self.process.memory())
        if not found:
            raise self._refusal(
                "there is no runtime of static calls in it",
                "it was built without the runtime (instrument --libs), or with one older than this tool",
            )
        return found

    def _refusal(self, why: str, *notes: str) -> InstrumentError:
        finding = Finding("IN050", f"cannot look into process {self.process.name}: {why}", notes=notes)
        return InstrumentError(finding, status=2)

    def counters(self) -> tuple[tuple[int, ...], ...]:
        """Each runtime's statistics."""
        memory = self.process.memory()
        try:
            return tuple(description.updates(memory, at) for at in self._found)
        except Unreadable:
            self.process.refresh()
            raise self._refusal("its runtime went away") from None

    def look(self, whole: bool = False) -> Binary:
        """What is so now, as far as one moment can be seen; what is mapped is looked at anew."""
        if self.process.refresh():
            self._names = Names(self.process)
            self._found = self._find()
        memory = self.process.memory()
        try:
            runtimes = [description.read(memory, at) for at in self._found]
        except UnknownVersionError as error:
            raise self._refusal(str(error)) from None
        except Unreadable:
            raise self._refusal("its runtime's description leads nowhere: its memory was overwritten") from None
        return binary.of_runtimes(self.process, self._names, "process", memory, runtimes, whole)

    def owner(self, address: int) -> str:
        """The path of the file that the address is of."""
        return self._names.path(address).removesuffix(" (deleted)")


# ---- ps -----------------------------------------------------------------------------------------------


def ps_parser() -> Parser:
    from instrument.arguments import Parser

    parser = Parser(
        prog="instrument ps",
        description="Show what a live process calls by its static calls. It is only read, never stopped.",
        epilog="Exit status: 0 fine; 2 a process that cannot be looked into, or no such key.",
    )
    add = parser.add_argument
    add("pid", metavar="PID", type=int)
    add("-k", "--key", metavar="NAME", action="append", help="these keys only; * ? [...] match, may be repeated")
    add("--sites", action="store_true", help="each site as well")
    add("--json", action="store_true", help="everything, for programs; a line each time with --watch")
    add("--watch", metavar="SECONDS", nargs="?", type=_seconds, const=1.0, help="again and again (default: every 1)")
    return parser


def _seconds(text: str) -> float:
    import argparse

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds between 0.001 and 86400")
    return value


def ps(words: Sequence[str]) -> int:
    """The command. With --watch until the process ends or the user has enough."""
    options = ps_parser().parse_args(words)
    watched = Watched(options.pid)
    clear = "\x1b[H\x1b[2J" if options.watch and not options.json and sys.stdout.isatty() else ""
    first = True
    while True:
        try:
            whole = watched.look(options.sites)
        except InstrumentError:
            if first:
                raise
            print(f"instrument: process {options.pid} has ended", file=sys.stderr)
            return 0
        found = chosen(whole, options.key)
        if options.json:
            print(json.dumps(_as_json(watched, found), indent=None if options.watch else 1, sort_keys=True))
        else:
            print(clear + "\n".join(_text(watched, found, options.sites)))
        sys.stdout.flush()
        # A library that comes later may bring the key along.
        unknown = idle(options.key, [whole], "warning" if options.watch else "error") if first else []
        for finding in unknown:
            terminal.say(finding.render())
        if not options.watch:
            return 2 if unknown else 0
        first = False
        time.sleep(options.watch)


def _text(watched: Watched, found: Binary, sites: bool) -> Iterator[str]:
    yield found.path
    for runtime in found.runtimes:
        if len(found.runtimes) > 1:
            yield f"  runtime in {watched.owner(runtime.address)}:"
        yield from _policy(found, runtime)
    yield ""
    yield from listed([("KEY", "TARGET", "SITES", "NOW", "OBJECT"), *_keys(watched, found)])
    if sites:
        head = ("ADDRESS", "KEY", "INSTRUCTION", "LAYOUT", "FUNCTION", "LINE")
        yield ""
        yield from listed([head, *(_site_cells(row.cells(found)) for row in rows(found, "address"))])
    yield ""


def _site_cells(cells: tuple[str, ...]) -> tuple[str, ...]:
    return cells[:4] + cells[6:]


def _policy(found: Binary, runtime: Runtime) -> Iterator[str]:
    counted = runtime.statistics
    yield f"  policy: {runtime.reason}"
    yield f"  text is written by: {runtime.write if runtime.write != 'none' else 'nothing yet'}"
    flags = [word for word, on in (("sealed", runtime.sealed), ("folding", runtime.folding)) if on]
    flags += ["threads that block SIGTRAP are trusted"] if runtime.trusting else []
    if flags:
        yield f"  {', '.join(flags)}"
    yield "  " + ", ".join(f"{_words(name)} {counted.get(name, 0)}" for name in _COUNTED)
    yield "  " + ", ".join(f"{_words(name)} {counted.get(name, 0)}" for name in _COSTS)
    fallbacks = [f"{_words(name)} {counted[name]}" for name in _FALLBACKS if counted.get(name)]
    if fallbacks:
        yield f"  fallbacks: {', '.join(fallbacks)}"
    failure = runtime.failure
    if failure is not None:
        name = errno.errorcode.get(-failure.error, str(failure.error))
        key = next((f", key {key.name}" for key in found.keys if key.address == failure.key), "")
        where = f", at {found.name(failure.address)}" if failure.address else ""
        yield f"  last obstacle: {failure.what} (-{name}{key}{where})"


_COUNTED = ("updates", "failures", "sites", "trampolines")
_COSTS = ("atomic_pokes", "int3_pokes", "synchronisations", "protections", "traps", "stale_traps")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _keys(watched: Watched, found: Binary) -> Iterator[tuple[str, ...]]:
    states: dict[str, Counter[str]] = {}
    for site in found.sites:
        states.setdefault(site.key, Counter())[state(found, site)] += 1
    for key in sorted(found.keys, key=lambda key: key.name):
        now = states.pop(key.name, Counter())
        owner = watched.owner(key.trampoline).rpartition("/")[2]
        yield key.name, target(found, key.target), str(now.total()), _forms(now), owner
    for name, now in sorted(states.items()):
        yield name, "(of no runtime)", str(now.total()), _forms(now), ""


def _forms(now: Counter[str]) -> str:
    return ", ".join(f"{number} {form}" for form, number in sorted(now.items())) or "-"


def _as_json(watched: Watched, found: Binary) -> dict[str, Any]:
    from dataclasses import asdict

    from instrument.inspect import as_json

    states: dict[str, Counter[str]] = {}
    for site in found.sites:
        states.setdefault(site.key, Counter())[state(found, site)] += 1
    described = as_json(found, "address")
    for key, known in zip(described["keys"], sorted(found.keys, key=lambda key: key.name), strict=True):
        key["now"] = dict(sorted(states.get(key["name"], Counter()).items()))
        key["object"] = watched.owner(known.trampoline)
    runtimes = []
    for runtime in found.runtimes:
        entry = asdict(runtime)
        entry.pop("objects")
        runtimes.append(entry)
    return described | {"pid": watched.process.pid, "program": watched.process.program, "runtimes": runtimes}


# ---- trace --------------------------------------------------------------------------------------------


def trace_parser() -> Parser:
    from instrument.arguments import Parser

    parser = Parser(
        prog="instrument trace",
        description="Print a live process's updates as they happen; of several between two looks only the last.",
        epilog="Exit status: 0 the process has ended; 2 a process that cannot be looked into.",
    )
    add = parser.add_argument
    add("pid", metavar="PID", type=int)
    add("-k", "--key", metavar="NAME", action="append", help="these keys only; * ? [...] match, may be repeated")
    add("--interval", metavar="SECONDS", type=_seconds, default=0.02, help="between two looks (default: %(default)s)")
    add("--json", action="store_true", help="a line of JSON for each change")
    return parser


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look saw: each key's target and how its sites get there, and the counters."""

    keys: dict[str, tuple[str, str]]
    updates: int
    failures: int
    obstacle: str


def trace(words: Sequence[str]) -> int:
    """The command; it ends with the process."""
    options = trace_parser().parse_args(words)
    watched = Watched(options.pid)
    counters, seen = watched.counters(), _see(watched, options.key)
    for finding in idle(options.key, [watched.look()], "warning") if options.key else ():
        terminal.say(finding.render())
    print(f"instrument: watching {_plural(len(seen.keys))} of {watched.process.name}", file=sys.stderr)
    while True:
        time.sleep(options.interval)
        try:
            now = watched.counters()
            if now == counters:
                continue
            counters, next_seen = now, _see(watched, options.key)
        except InstrumentError:
            print(f"instrument: process {options.pid} has ended", file=sys.stderr)
            return 0
        for change in _changes(seen, next_seen):
            print(json.dumps(change, sort_keys=True) if options.json else _line(change))
        sys.stdout.flush()
        seen = next_seen


def _plural(number: int) -> str:
    return f"{number} key{'' if number == 1 else 's'}"


def _see(watched: Watched, patterns: Sequence[str] | None) -> _Seen:
    found = chosen(watched.look(), patterns)
    keys = {name: (to, forms) for name, to, _, forms, _ in _keys(watched, found)}
    counted = [runtime.statistics for runtime in found.runtimes]
    obstacle = next((runtime.failure.what for runtime in found.runtimes if runtime.failure is not None), "")
    return _Seen(keys, sum(c["updates"] for c in counted), sum(c["failures"] for c in counted), obstacle)


def _changes(before: _Seen, after: _Seen) -> Iterator[dict[str, Any]]:
    stamp = time.time()
    updates = after.updates - before.updates
    for name, (to, forms) in sorted(after.keys.items()):
        old = before.keys.get(name, ("(new)", ""))
        if old != (to, forms):
            yield {"time": stamp, "key": name, "from": old[0], "to": to, "sites": forms, "updates": updates}
    for name in sorted(before.keys.keys() - after.keys.keys()):
        yield {
            "time": stamp,
            "key": name,
            "from": before.keys[name][0],
            "to": "(gone)",
            "sites": "",
            "updates": updates,
        }
    if after.failures > before.failures:
        failed = after.failures - before.failures
        yield {"time": stamp, "failures": failed, "what": after.obstacle, "updates": updates}


def _line(change: dict[str, Any]) -> str:
    # Cut off, not rounded: 59.9996 s would be 59 and 1.000.
    stamp = time.strftime("%H:%M:%S", time.localtime(change["time"])) + f".{int(change['time'] % 1 * 1000):03d}"
    among = f"  [{change['updates']} updates since the last look]" if change["updates"] > 1 else ""
    if "failures" in change:
        return f"{stamp}  failed: {change['failures']}, {change['what']}{among}"
    sites = f"  ({change['sites']})" if change["sites"] not in ("", "-") else ""
    return f"{stamp}  {change['key']}: {change['from']} -> {change['to']}{sites}{among}"
