# SPDX-License-Identifier: MIT
"""A file, a core or a process -> its keys, sites, and the calls that stay on trampolines, with names and places.

Puts the readers together; must not know how anything is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from instrument import description, space, tables
from instrument.description import Runtime
from instrument.image import Image
from instrument.memory import Memory, Unreadable
from instrument.space import Names, Space
from instrument.tables import Key, Left, Range, Site

_TRAMPOLINE = "__SCT__"
_ENDBR64 = 4
_REASONS = ".static_call_reasons"
RUNTIME = ".static_call_runtime"


@dataclass(frozen=True, slots=True)
class Wrong:
    """Where the tables and the text disagree, and how."""

    address: int
    what: str


@dataclass(frozen=True, slots=True)
class Binary:
    """What one file, core or process holds.

    `kind` is "program", "library", "object", "core", "process", or "archive" where that has no calls. `reasons` tell
    why a key's calls were left to its trampoline, codes of diagnostics.py. `name` tells the function of an address,
    `lines` the source line of a site's or call's; `place` and `section` where an address is, in a function and in a
    section, and `start` where that function begins. `doors` are the addresses that lead to a trampoline,
    with its key.
    """

    path: str
    kind: str
    keys: tuple[Key, ...]
    sites: tuple[Site, ...]
    left: tuple[Left, ...]
    wrong: tuple[Wrong, ...]
    name: Callable[[int], str]
    doors: Mapping[int, str]
    lines: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    runtimes: tuple[Runtime, ...] = ()
    notes: tuple[str, ...] = ()
    place: Callable[[int], str] = hex
    section: Callable[[int], str] = hex
    start: Callable[[int], int] = lambda address: address
    code: Callable[[int, int], bytes] = lambda address, length: b""

    def goes(self, site: Site) -> str:
        """What stands at the site, in words: `call trampoline`, `nop`, `mov $0, %eax`."""
        if site.form in ("call", "jump", "branch") and site.operand is not None:
            to = "trampoline" if self.doors.get(site.operand) == site.key else self.name(site.operand)
            return f"{site.form} {to}"
        if site.form == "constant":
            return f"mov ${site.operand}, %eax"
        return {"return": "ret"}.get(site.form, site.form)


def of_image(image: Image) -> Binary:
    """A program, library or object file, as it is before it runs."""
    keys = [key for table in _tables(image, tables.KEYS) for key in tables.read_keys(image, table)]
    doors = {key.door: key.name for key in keys} | {key.trampoline: key.name for key in keys}
    doors |= {
        address: name.removeprefix(_TRAMPOLINE)
        for address, name in image.imports.items()
        if name.startswith(_TRAMPOLINE)
    }
    doors |= {
        relay: doors[image.fixups[slot]] for relay, slot in image.relays.items() if image.fixups.get(slot) in doors
    }
    sites = [site for table in _tables(image, tables.SITES) for site in tables.read_sites(image, table, doors)]
    slots = {slot: doors[value] for slot, value in image.fixups.items() if value in doors}
    text = [(start, data) for start, data in image.text() if not _is_relay(image, start)]
    left = tuple(tables.read_left(text, doors, slots, sites))
    return Binary(
        path=image.path,
        kind=image.kind,
        keys=tuple(keys),
        sites=tuple(sites),
        left=left,
        wrong=(*_wrong(image, keys, sites, doors), *_moved(image, keys)),
        name=_imported(image),
        doors=doors,
        lines=image.lines({site.address for site in sites} | {call.address for call in left}),
        reasons=_reasons(image.debug(_REASONS)),
        place=image.place,
        section=image.in_section,
        start=image.start,
        code=image.read,
    )


def without_calls(path: str, kind: str, *notes: str) -> Binary:
    return Binary(path, kind, keys=(), sites=(), left=(), wrong=(), name=hex, doors={}, notes=notes)


def of_space(where: Space, names: Names, kind: str, whole: bool = True) -> Binary:
    """A process or core, by the objects that have registered with its runtimes.

    `whole` looks for calls without a record and for lines as well. No runtime: no keys, and `runtimes` is empty.
    Raises UnknownVersionError.
    """
    mappings, memory = where.mappings(), where.memory()
    runtimes = [description.read(memory, at) for at in description.find(mappings, memory)]
    return of_runtimes(where, names, kind, memory, runtimes, whole)


def of_runtimes(
    where: Space, names: Names, kind: str, memory: Memory, runtimes: Sequence[Runtime], whole: bool
) -> Binary:
    objects = [found for runtime in runtimes for found in runtime.objects]
    keys = [key for found in objects for key in _readable(tables.read_keys, memory, found.keys)]
    doors = {key.door: key.name for key in keys} | {key.trampoline: key.name for key in keys}
    doors.pop(0, None)
    for found in objects:
        doors |= _relays(names, memory, found, doors)
    # Where the runtime leads sites whose target is out of reach.
    doors |= {key.trampoline + tables.TRAMP_FAR: key.name for key in keys}
    sites = [
        site for o in objects for site in _readable(lambda m, t: tables.read_sites(m, t, doors), memory, o.sites)
    ]
    left: tuple[Left, ...] = ()
    reasons: dict[str, tuple[str, ...]] = {}
    if whole:
        text = [part for o in objects for part in space.text(where.mappings(), memory, o.start, o.end)]
        left = tuple(tables.read_left(dict(text).items(), doors, {}, sites))
        files = (names.image(start) for runtime in runtimes for start in table_addresses(runtime))
        reasons = _reasons(b"\0".join({found[0].path: found[0].debug(_REASONS) for found in files if found}.values()))
    return Binary(
        path=where.name,
        kind=kind,
        keys=tuple(keys),
        sites=tuple(sites),
        left=left,
        wrong=tuple(_wrong(memory, keys, sites, doors)),
        name=names.name,
        doors=doors,
        lines=names.lines({site.address for site in sites} | {call.address for call in left}) if whole else {},
        reasons=reasons,
        runtimes=tuple(runtimes),
        place=names.name,
        start=names.start,
        code=memory.read,
    )


def table_addresses(runtime: Runtime) -> Iterator[int]:
    """Where each registered object has its tables."""
    for found in runtime.objects:
        yield from (table.start for table in (found.keys, found.sites) if table.start)


def without(found: Binary, lacking: Callable[[int], bool]) -> Binary:
    """What is left where there is no memory: no site of which the bytes are not known, and nothing wrong there."""
    return replace(
        found,
        sites=tuple(site for site in found.sites if site.code or not lacking(site.address)),
        wrong=tuple(wrong for wrong in found.wrong if not lacking(wrong.address)),
    )


_Record = TypeVar("_Record")


def _readable(read: Callable[[Memory, Range], list[_Record]], memory: Memory, table: Range) -> list[_Record]:
    try:
        return read(memory, table)
    except Unreadable:
        return []


def _tables(image: Image, name: str) -> Iterator[Range]:
    for section in image.sections:
        if section.name == name:
            yield Range(section.start, section.end)


def _is_relay(image: Image, start: int) -> bool:
    section = image.section_at(start)
    return section is not None and section.name.startswith(".plt")


def _imported(image: Image) -> Callable[[int], str]:
    return lambda address: image.imports.get(address) or image.place(address)


def _relays(names: Names, memory: Memory, found: description.Object, doors: Mapping[int, str]) -> dict[int, str]:
    """PLT entries of an object that lead to trampolines, now or when the loader has filled them in."""
    known = names.image(found.sites.start or found.keys.start)
    if known is None:
        return {}
    image, bias = known
    relays = {}
    for relay, slot in image.relays.items():
        name = image.imports.get(image.fixups.get(slot, 0), "")
        try:
            key = doors.get(memory.pointer(slot + bias))
        except Unreadable:
            key = None
        if key is None and name.startswith(_TRAMPOLINE):
            key = name.removeprefix(_TRAMPOLINE)
        if key is not None:
            relays[relay + bias] = key
    return relays


def _wrong(memory: Memory, keys: Sequence[Key], sites: Sequence[Site], doors: Mapping[int, str]) -> Iterator[Wrong]:
    for address, what in tables.disagreements(memory, keys, sites, doors):
        yield Wrong(address, what)


def _moved(image: Image, keys: Sequence[Key]) -> Iterator[Wrong]:
    """Trampolines that a rewriter of linked files (BOLT) has put elsewhere: the runtime refuses to update their keys.

    4 bytes before a trampoline are its endbr64; a relay is the PLT entry of another object's.
    """
    for key in keys:
        section = image.section_at(key.door)
        if key.by_slot or section is None or not section.executable or key.door in image.relays:
            continue
        if key.door not in (key.trampoline, key.trampoline - _ENDBR64):
            where = f"trampoline of {key.name} runs at {key.door:#x}"
            yield Wrong(key.trampoline, f"{where}, which no update changes: the file was rewritten (BOLT)")


def _reasons(data: bytes) -> dict[str, tuple[str, ...]]:
    """`key CODE` strings, one a reason, merged by the linker."""
    found: dict[str, set[str]] = {}
    for entry in data.split(b"\0"):
        key, _, code = entry.decode(errors="replace").partition(" ")
        if code:
            found.setdefault(key, set()).add(code)
    return {key: tuple(sorted(codes)) for key, codes in sorted(found.items())}
