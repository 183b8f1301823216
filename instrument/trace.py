# SPDX-License-Identifier: MIT
"""`instrument trace PID`: what a live process calls by its static calls, as it changes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from instrument import terminal
from instrument.binary import Binary
from instrument.diagnostics import InstrumentError
from instrument.ps import key_rows, of_process, seconds
from instrument.selection import chosen, idle
from instrument.watched import Watched

if TYPE_CHECKING:
    from instrument.arguments import Parser


def parser() -> Parser:
    made = of_process(
        "trace",
        "Print a live process's updates as they happen; of several between two looks only the last.",
        "0 the process has ended or become another; 2 a process that cannot be looked into",
    )
    add = made.add_argument
    add("--interval", metavar="SECONDS", type=seconds, default=0.02, help="between two looks (default: %(default)s)")
    add("--json", action="store_true", help="a line of JSON for each change")
    return made


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look saw: each key's target and how its sites get there, and the counters."""

    keys: dict[str, tuple[str, str]]
    updates: int
    failures: int
    obstacle: str


def main(words: Sequence[str]) -> int:
    """The command; it ends with the process."""
    options = parser().parse_args(words)
    watched = Watched(options.pid)
    counters, whole = watched.counters(), watched.look()
    for finding in idle(options.key, [whole], "warning"):
        terminal.say(finding.render())
    seen = _seen(watched, chosen(whole, options.key))
    print(f"instrument: watching {_plural(len(seen.keys))} of {watched.process.name}", file=sys.stderr)
    while True:
        time.sleep(options.interval)
        try:
            now = watched.counters()
            if now == counters:
                continue
            counters, next_seen = now, _seen(watched, chosen(watched.look(), options.key))
        except InstrumentError:
            print(f"instrument: {watched.end()}", file=sys.stderr)
            return 0
        for change in _changes(seen, next_seen):
            terminal.show([json.dumps(change, sort_keys=True) if options.json else _line(change)])
        sys.stdout.flush()
        seen = next_seen


def _plural(number: int) -> str:
    return f"{number} key{'' if number == 1 else 's'}"


def _seen(watched: Watched, found: Binary) -> _Seen:
    keys = {name: (to, forms) for name, to, _, forms, _ in key_rows(watched, found)}
    counted = [runtime.statistics for runtime in found.runtimes]
    failures = (watched.obstacle(runtime.failure) for runtime in found.runtimes if runtime.failure is not None)
    return _Seen(keys, sum(c["updates"] for c in counted), sum(c["failures"] for c in counted), next(failures, ""))


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
