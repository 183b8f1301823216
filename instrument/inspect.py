# SPDX-License-Identifier: MIT
"""`instrument inspect BINARY...`: the keys and sites that a binary records, and the calls that stay on trampolines.

Knows how a Binary is chosen from and shown; must not know ELF or the tables.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from instrument import binaries, explain, terminal
from instrument.assembly import WORDS, Why
from instrument.binary import Binary
from instrument.diagnostics import Finding, InstrumentError
from instrument.selection import chosen, idle
from instrument.tables import Left, Site
from instrument.value import dataclass

if TYPE_CHECKING:
    import argparse

    from instrument.arguments import Parser

_UNKNOWN = "for a reason that this version does not know"
_MOST_SHOWN = 20
"""Where tables and text disagree, it is in one place or in all."""
_SORTS = ("address", "key", "file", "function", "form", "layout")


# ---- the command --------------------------------------------------------------------------------------


def parser() -> Parser:
    from instrument.arguments import Parser

    made = Parser(
        prog="instrument inspect",
        description="Show the keys and call sites of programs, libraries, objects, archives and cores.",
        epilog="Exit status: 0 fine; 1 what --strict or --patched-only found; 2 an unreadable file, or no such key.",
    )
    add = made.add_argument
    add("paths", metavar="BINARY", nargs="+")
    add("-k", "--key", metavar="NAME", action="append", help="these keys only; * ? [...] match, may be repeated")
    add("--sort", choices=_SORTS, default="address", help="the order of the sites (default: %(default)s)")
    add("-s", "--summary", action="store_true", help="totals and keys, no sites")
    add("-d", "--disassemble", action="store_true", help="the instructions around each site (needs capstone)")
    add("--sysroot", metavar="DIR", default="/", help="where the files are that a core names (default: %(default)s)")
    add("--json", action="store_true", help="everything, for programs")
    add("--strict", action="store_true", help="exit 1 if the tables and the text disagree")
    add("--patched-only", action="store_true", help="exit 1 if a call stays on its trampoline")
    return made


def main(words: Sequence[str]) -> int:
    """The command; a file that cannot be read is reported, and the others are shown."""
    options = parser().parse_intermixed_args(words)
    status, whole, shown = 0, [], []
    for path in options.paths:
        try:
            for found in binaries.read(path, options.sysroot):
                whole.append(found)
                shown.append(chosen(found, options.key))
                if not options.json:
                    terminal.show(text(shown[-1], options))
        except InstrumentError as error:
            status = 2
            sys.stdout.flush()
            terminal.say("\n".join(finding.render() for finding in error.findings))
    if options.json:
        print(json.dumps([as_json(found, options.sort) for found in shown], indent=1, sort_keys=True))
    sys.stdout.flush()
    wrong = complain(*shown)
    unknown = idle(options.key, whole)
    for finding in unknown:
        terminal.say(finding.render())
    status = 2 if unknown else status
    failed = (options.strict and wrong) or (options.patched_only and any(map(stays, shown)))
    return status or int(bool(failed))


def stays(found: Binary) -> bool:
    """Whether a call stays on its trampoline for good: one without a record, or a bare one in two cache lines."""
    split = found.kind != "object" and any(site.layout == "bare" and site.splits_line for site in found.sites)
    return split or bool(found.left)


def complain(*shown: Binary) -> list[Finding]:
    """Say where tables and text disagree."""
    wrong = [finding for found in shown for finding in findings(found)]
    for finding in wrong[:_MOST_SHOWN]:
        terminal.say(finding.render())
    if len(wrong) > _MOST_SHOWN:
        print(f"instrument: and {len(wrong) - _MOST_SHOWN} more; --json has all of them", file=sys.stderr)
    return wrong


def findings(found: Binary) -> Iterator[Finding]:
    for wrong in found.wrong:
        place = f"{found.path}: {_address(found, wrong.address)}: " if wrong.address else f"{found.path}: "
        yield Finding("IN051", place + wrong.what, severity="warning")


# ---- rows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A site, or a call without a record, as it is shown. `order` is what it is sorted by."""

    address: int
    key: str
    form: str
    layout: str
    code: str
    crosses: str
    function: str
    at: str
    line: int
    site: Site | None

    def cells(self, found: Binary) -> tuple[str, ...]:
        at = f"{self.at}:{self.line}" if self.at else ""
        where = _address(found, self.address)
        return where, self.key, self.form, self.layout, self.code, self.crosses, self.function, at


_HEAD = ("ADDRESS", "KEY", "INSTRUCTION", "LAYOUT", "BYTES", "CROSSES", "FUNCTION", "LINE")
_ORDERS: dict[str, Callable[[Row], tuple[Any, ...]]] = {
    "address": lambda row: (row.address,),
    "key": lambda row: (row.key, row.address),
    "file": lambda row: (not row.at, row.at, row.line, row.address),
    "function": lambda row: (row.function.partition("+")[0], row.address),
    "form": lambda row: (row.form, row.key, row.address),
    "layout": lambda row: (row.layout, row.address),
}


def rows(found: Binary, sort: str) -> list[Row]:
    made = [_row(found, site, site.key, found.goes(site), site.layout) for site in found.sites]
    made += [_row(found, call, call.key, f"{call.how} trampoline", "no record") for call in found.left]
    return sorted(made, key=_ORDERS[sort])


def _row(found: Binary, item: Site | Left, key: str, form: str, layout: str) -> Row:
    at, line = found.lines.get(item.address, ("", 0))
    site = item if isinstance(item, Site) else None
    code = site.code.hex(" ") if site is not None else ""
    crosses = _crosses(found, site) if site is not None else ""
    return Row(item.address, key, form, layout, code, crosses, found.place(item.address), at, line, site)


def _crosses(found: Binary, site: Site) -> str:
    """What borders the instruction lies on; an object's are not laid out yet, but an aligned word crosses none."""
    if found.kind == "object":
        return "-" if site.layout == "aligned" else "?"
    if site.layout == "bare" and site.splits_line:
        return "line, so it stays on its trampoline"
    border = "page" if site.crosses_page else "line" if site.crosses_line else "-"
    return border + (", in its displacement" if site.splits_line else "")


def _address(found: Binary, address: int) -> str:
    return found.section(address) if found.kind == "object" else f"{address:#x}"


# ---- for people ---------------------------------------------------------------------------------------


def text(found: Binary, options: argparse.Namespace) -> Iterator[str]:
    yield from _summary(found, " of such a key" if options.key else "")
    for note in found.notes:
        yield f"  note: {note}"
    if found.keys or found.sites or found.left or _mentioned(found):
        yield ""
        yield from listed([_KEY_HEAD, *_key_rows(found)])
    if not options.summary and (found.sites or found.left):
        yield ""
        ordered = rows(found, options.sort)
        lines = list(listed([_HEAD, *(row.cells(found) for row in ordered)]))
        if options.disassemble:
            from instrument import disassembly

            yield lines[0]
            for row, line in zip(ordered, lines[1:], strict=True):
                yield line
                yield from disassembly.around(found, row.address, row.site)
        else:
            yield from lines
    yield ""


def _summary(found: Binary, which: str) -> Iterator[str]:
    keys, sites, left = len(found.keys), len(found.sites), len(found.left)
    if not (keys or sites or left or _mentioned(found)):
        yield f"{found.path}: {found.kind}, no static calls{which}"
        return
    yield (
        f"{found.path}: {found.kind}, {_plural(keys, 'key')}, {_plural(sites, 'call site')}, "
        f"{_plural(left, 'call')} left on trampolines"
    )
    for what, values in (
        ("kind", [site.kind for site in found.sites]),
        ("layout", [site.layout for site in found.sites]),
        ("now", [state(found, site) for site in found.sites]),
    ):
        if values:
            yield f"  {what}: " + ", ".join(f"{n} {name}" for name, n in sorted(Counter(values).items()))
    if found.kind == "object":
        return
    for layout, number in sorted(Counter(site.layout for site in found.sites if site.splits_line).items()):
        among = sum(site.layout == layout for site in found.sites)
        left_out = ", which stay on their trampoline" if layout == "bare" else ""
        yield f"  across two cache lines: {number} of {among} {layout} ({100 * number / among:.1f} %){left_out}"
    pages = sum(site.crosses_page for site in found.sites)
    if pages:
        yield f"  across two pages: {pages} of {sites}"


def _plural(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def state(found: Binary, site: Site) -> str:
    """How a site is now, in a word: its form, and of what goes somewhere whether by the trampoline."""
    if site.form != site.kind:
        return site.form
    return "by trampoline" if found.doors.get(site.operand or 0) == site.key else "direct"


_KEY_HEAD = ("KEY", "TARGET", "TRAMPOLINE", "SITES", "LEFT", "WHY")


def _key_rows(found: Binary) -> Iterator[tuple[str, ...]]:
    sites, left = Counter(site.key for site in found.sites), Counter(call.key for call in found.left)
    defined = {key.name: key for key in found.keys}
    for name in sorted({*defined, *sites, *left, *_mentioned(found)}):
        key = defined.get(name)
        to = target(found, key.target) if key is not None else "(elsewhere)"
        trampoline = _address(found, key.trampoline) if key is not None else ""
        yield name, to, trampoline, str(sites[name]), str(left[name]), _why(found, name)


def target(found: Binary, address: int | None) -> str:
    """What a key calls, by name."""
    if address is None:
        return "?"
    return found.name(address) if address else "NULL"


def _why(found: Binary, key: str) -> str:
    codes = found.reasons.get(key, ())
    if codes:
        return ", ".join(_reason(code) for code in codes)
    if not any(call.key == key for call in found.left):
        return ""
    if all(call.how == "indirect" for call in found.left if call.key == key):
        return "called through the GOT (-fno-plt)"
    return "no reason is recorded: compiled without a record, or by hand"


def _mentioned(found: Binary) -> list[str]:
    """Keys that mode direct has found otherwise than in a call. (A header has reasons for keys that nobody calls.)"""
    return [key for key, codes in found.reasons.items() if any(":" in code for code in codes)]


def _reason(code: str) -> str:
    """In mode direct the code has the reason within it behind a colon."""
    code, _, why = code.partition(":")
    words = WORDS[Why(why)] if why in list(Why) else (explain.title(code) or _UNKNOWN)
    return f"{words} [{code}]"


def listed(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table, its columns as wide as they need to be. A binary's names may hold anything."""
    shown = [[terminal.visible(cell) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in shown) for column in range(len(lines[0]))]
    for line in shown:
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))).rstrip()


# ---- for programs -------------------------------------------------------------------------------------


def as_json(found: Binary, sort: str) -> dict[str, Any]:
    sites, left = Counter(site.key for site in found.sites), Counter(call.key for call in found.left)
    laid_out = found.kind != "object"
    return {
        "path": found.path,
        "kind": found.kind,
        "keys": [
            {
                "name": key.name,
                "address": key.address if laid_out else None,
                "trampoline": key.trampoline if laid_out else None,
                "target": target(found, key.target),
                "target_address": key.target if laid_out else None,
                "sites": sites[key.name],
                "on_trampoline": left[key.name],
                "reasons": list(found.reasons.get(key.name, ())),
            }
            for key in sorted(found.keys, key=lambda key: key.name)
        ],
        "sites": [_row_json(found, row, row.site) for row in rows(found, sort) if row.site is not None],
        "left": [_left_json(found, row) for row in rows(found, sort) if row.site is None],
        "on_trampolines": dict(sorted(left.items())),
        "disagreements": [{"address": wrong.address, "what": wrong.what} for wrong in found.wrong],
        "notes": list(found.notes),
    }


def _left_json(found: Binary, row: Row) -> dict[str, Any]:
    return {
        "key": row.key,
        "address": row.address if found.kind != "object" else None,
        "section": None if found.runtimes else found.section(row.address),
        "instruction": row.form,
        "function": row.function,
        "file": row.at or None,
        "line": row.line or None,
    }


def _row_json(found: Binary, row: Row, site: Site) -> dict[str, Any]:
    laid_out = found.kind != "object"
    return _left_json(found, row) | {
        "kind": site.kind,
        "layout": site.layout,
        "form": site.form,
        "state": state(found, site),
        "bytes": site.code.hex(" "),
        "constant": site.operand if site.form == "constant" else None,
        "crosses": site.splits_line if laid_out else None,
        "crosses_line": site.crosses_line if laid_out else None,
        "crosses_page": site.crosses_page if laid_out else None,
    }
