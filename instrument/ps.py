# SPDX-License-Identifier: MIT
"""`instrument ps PID`: what a live process calls by its static calls.

Knows how a process is shown; must not know how its memory is read, nor the tables.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from instrument import description, terminal
from instrument.binary import Binary
from instrument.description import Runtime
from instrument.diagnostics import InstrumentError
from instrument.inspect import complain, listed, rows, state, target
from instrument.selection import chosen, idle
from instrument.watched import Watched

if TYPE_CHECKING:
    from instrument.arguments import Parser

_FALLBACKS = description.COUNTERS[11:]


def of_process(command: str, about: str, status: str) -> Parser:
    """The parser of a command that looks into a process: whose, and which keys."""
    from instrument.arguments import Parser

    made = Parser(prog=f"instrument {command}", description=about, epilog=f"Exit status: {status}.")
    made.add_argument("pid", metavar="PID", type=_pid)
    made.add_argument(
        "-k", "--key", metavar="NAME", action="append", help="these keys only; * ? [...] match, may be repeated"
    )
    return made


def parser() -> Parser:
    made = of_process(
        "ps",
        "Show what a live process calls by its static calls. It is only read, never stopped.",
        "0 fine; 2 a process that cannot be looked into, or no such key",
    )
    add = made.add_argument
    add("--sites", action="store_true", help="each site as well")
    add("--json", action="store_true", help="everything, for programs; a line each time with --watch")
    add("--watch", metavar="SECONDS", nargs="?", type=seconds, const=1.0, help="again and again (default: every 1)")
    return made


def seconds(text: str) -> float:
    import argparse

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds between 0.001 and 86400")
    return value


def main(words: Sequence[str]) -> int:
    """The command. With --watch until the process ends or the user has enough."""
    options = parser().parse_args(_apart(words))
    watched = Watched(options.pid)
    redraws = options.watch and not options.json and terminal.moves(sys.stdout)
    first = True
    while True:
        try:
            whole = watched.look(options.sites or options.json)
        except InstrumentError:
            if first:
                raise
            print(f"instrument: {watched.end()}", file=sys.stderr)
            return 0
        found = chosen(whole, options.key)
        if options.json:
            print(json.dumps(_as_json(watched, found), indent=None if options.watch else 1, sort_keys=True))
        elif redraws:
            print(
                _drawn([_beat(options.watch), *map(terminal.visible, _text(watched, found, options.sites))], first),
                end="",
            )
        else:
            terminal.show(_text(watched, found, options.sites))
        sys.stdout.flush()
        complain(found)
        # A library that comes later may bring the key along. What is drawn over has to be said anew.
        asked = options.key if first or redraws else None
        unknown = idle(asked, [whole], "warning" if options.watch else "error")
        for finding in unknown:
            terminal.say(finding.render())
        if not options.watch:
            return 2 if unknown else 0
        first = False
        time.sleep(options.watch)


def _pid(text: str) -> int:
    import argparse

    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not the number of a process (pidof tells it)")
    return int(text)


def _apart(words: Sequence[str]) -> list[str]:
    """In `--watch 4711` the number is the PID, if there is no other: that cannot be left out, the seconds can."""
    *before, option, last = ["", "", *words]
    if option == "--watch" and last.isdecimal() and not any(word.isdecimal() for word in before):
        return [*before[2:], last, option]
    return list(words)


def _beat(interval: float) -> str:
    return f"every {interval:g} s, {time.strftime('%H:%M:%S')}"


def _drawn(lines: Sequence[str], first: bool) -> str:
    """The lines in place of those before, on a screen's height: what scrolls away cannot be drawn over."""
    width, height = shutil.get_terminal_size()
    parts = [line[at : at + width] for line in lines for at in range(0, max(len(line), 1), width)]
    if len(parts) >= height > 2:
        more = len(parts) - (height - 2)
        parts = [
            *parts[: height - 2],
            f"... {more} more lines; a higher window shows them, or fewer keys (-k)"[:width],
        ]
    start = "\x1b[H\x1b[2J" if first else "\x1b[H"
    return start + "".join(f"{part}\x1b[K\n" for part in parts) + "\x1b[J"


def _text(watched: Watched, found: Binary, sites: bool) -> Iterator[str]:
    yield found.path
    for runtime in found.runtimes:
        if len(found.runtimes) > 1:
            yield f"  runtime in {watched.owner(runtime.address)}:"
        yield from _policy(watched, runtime)
    yield ""
    yield from listed([("KEY", "TARGET", "SITES", "NOW", "OBJECT"), *key_rows(watched, found)])
    if sites:
        head = ("ADDRESS", "KEY", "INSTRUCTION", "LAYOUT", "FUNCTION", "LINE")
        yield ""
        yield from listed([head, *(_site_cells(row.cells(found)) for row in rows(found, "address"))])
    yield ""


def _site_cells(cells: tuple[str, ...]) -> tuple[str, ...]:
    return cells[:4] + cells[6:]


def _policy(watched: Watched, runtime: Runtime) -> Iterator[str]:
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
    if runtime.failure is not None:
        yield f"  last obstacle: {watched.obstacle(runtime.failure)}"


_COUNTED = ("updates", "failures", "sites", "trampolines")
_COSTS = ("atomic_pokes", "int3_pokes", "synchronisations", "protections", "traps", "stale_traps")


def _words(name: str) -> str:
    return name.replace("_", " ")


def key_rows(watched: Watched, found: Binary) -> Iterator[tuple[str, ...]]:
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
