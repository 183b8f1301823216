# SPDX-License-Identifier: MIT
"""`instrument inspect BINARY...`: the call sites that a binary records, and the calls that stay on trampolines.

Knows ELF files and the tables of records.h. Must not know C, or how the sites came about.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from instrument.assembly import KINDS
from instrument.diagnostics import Finding, InstrumentError
from instrument.value import dataclass, field

_SITES, _KEYS = "__static_call_sites", "__static_call_keys"
_SITE, _KEY = struct.Struct("<iiIi"), struct.Struct("<iiiIiIi")
_LAYOUTS = {0: "bare", 1: "compact"}
# call, jmp and jcc with a 32-bit displacement.
_TRANSFER = re.compile(rb"(?=(?:[\xe8\xe9]|\x0f[\x80-\x8f])(....))", re.DOTALL)
_LINE = 64
"""Bytes of a cache line; a displacement within one is written by one store."""
_EXECUTABLE = 4


@dataclass(frozen=True, slots=True)
class Site:
    """One record. `address` is None in an object file, which is not laid out yet."""

    key: str
    kind: str
    layout: str
    address: int | None
    displacement: int | None

    @property
    def crosses(self) -> bool:
        """Whether its displacement lies in two cache lines."""
        return self.displacement is not None and self.displacement % _LINE > _LINE - 4


@dataclass(frozen=True, slots=True)
class Binary:
    """What one file holds. `left` counts, by key, the calls that no record knows: they go by the trampoline."""

    path: str
    keys: tuple[str, ...]
    sites: tuple[Site, ...]
    left: Mapping[str, int] = field(default_factory=dict)


def read(path: str) -> Binary:
    """Raises InstrumentError, status 2, for what is no x86-64 ELF file."""
    try:
        with Path(path).open("rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != "EM_X86_64" or elf.elfclass != 64:
                raise ELFError("not for 64-bit x86-64")
            return _object(path, elf) if elf["e_type"] == "ET_REL" else _linked(path, elf)
    except (ELFError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InstrumentError(Finding("IN011", f"cannot read {path}: {why}"), status=2) from None


def _layout(word: int) -> tuple[str, str]:
    prefixes, kind = word & 0xFF, word >> 8
    return KINDS[kind] if kind < len(KINDS) else "unknown", _LAYOUTS.get(prefixes, "aligned")


# ---- object files: by their relocations -----------------------------------------------------------


def _object(path: str, elf: ELFFile) -> Binary:
    sites: list[Site] = []
    left: Counter[str] = Counter()
    keys: set[str] = set()
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection):
            continue
        target = elf.get_section(section["sh_info"])
        symbols = elf.get_section(section["sh_link"])
        assert isinstance(symbols, SymbolTableSection)
        named = [(r["r_offset"], symbols.get_symbol(r["r_info_sym"]).name) for r in section.iter_relocations()]
        tramps = [(at, name[len("__SCT__") :]) for at, name in named if name.startswith("__SCT__")]
        if target.name == _SITES:
            for at, key in tramps:
                _, _, word, _ = _SITE.unpack_from(target.data(), at - 12)
                kind, layout = _layout(word)
                sites.append(Site(key, kind, layout, None, None))
                # The site's own instruction, and its stub's.
                left[key] -= 2 if kind == "call" else 1
        elif target.name == _KEYS:
            keys.update(key for _, key in tramps)
        elif target["sh_flags"] & _EXECUTABLE:
            left.update(key for at, key in tramps if not target.name.startswith(".text.__SCT__"))
    return Binary(path, tuple(sorted(keys)), tuple(sites), {key: n for key, n in sorted(left.items()) if n > 0})


# ---- programs and libraries: by their tables ------------------------------------------------------


def _linked(path: str, elf: ELFFile) -> Binary:
    doors = dict(_imported(elf))
    tramps: dict[int, str] = {}
    keys: list[str] = []
    for at, fields in _records(elf, _KEYS, _KEY):
        name = _string(elf, at + 8 + fields[2])
        keys.append(name)
        tramps[at + fields[0]] = name
        doors[at + 24 + fields[6]] = name
    sites = []
    for at, (site, _, word, door) in _records(elf, _SITES, _SITE):
        kind, layout = _layout(word)
        address, core = at + site, 2 if kind == "branch" else 1
        displacement = address + (word & 0xFF) + core
        sites.append(Site(doors.get(at + 12 + door, "?"), kind, layout, address, displacement))
    known = {site.displacement for site in sites}
    left = Counter(key for at, key in _calls(elf, tramps, sites) if at not in known)
    return Binary(path, tuple(sorted(keys)), tuple(sites), dict(sorted(left.items())))


def _records(elf: ELFFile, name: str, shape: struct.Struct) -> Iterator[tuple[int, tuple[int, ...]]]:
    section = elf.get_section_by_name(name)
    if section is not None:
        for offset, values in enumerate(shape.iter_unpack(section.data())):
            yield section["sh_addr"] + offset * shape.size, values


def _imported(elf: ELFFile) -> Iterator[tuple[int, str]]:
    """The places of the trampolines' addresses that the loader fills in."""
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection):
            symbols = elf.get_section(section["sh_link"])
            if not isinstance(symbols, SymbolTableSection):
                continue
            for relocation in section.iter_relocations():
                name = symbols.get_symbol(relocation["r_info_sym"]).name if relocation["r_info_sym"] else ""
                if name.startswith("__SCT__"):
                    yield relocation["r_offset"], name[len("__SCT__") :]


def _string(elf: ELFFile, address: int) -> str:
    for segment in elf.iter_segments("PT_LOAD"):
        offset = address - segment["p_vaddr"]
        if 0 <= offset < segment["p_filesz"]:
            return bytes(segment.data()[offset:].partition(b"\0")[0]).decode(errors="replace")
    return "?"


def _calls(elf: ELFFile, tramps: Mapping[int, str], sites: Sequence[Site]) -> Iterator[tuple[int, str]]:
    """Where an instruction, by its bytes, leads to a trampoline: the address of its displacement, and the key.

    Stubs are left out: the calls in them are followed by a jump back to a site.
    """
    ends = {site.displacement + 4 for site in sites if site.displacement is not None}
    for section in elf.iter_sections():
        if not section["sh_flags"] & _EXECUTABLE or section["sh_type"] != "SHT_PROGBITS":
            continue
        data, start = bytes(section.data()), section["sh_addr"]
        for match in _TRANSFER.finditer(data):
            at, end = start + match.start(1), start + match.end(1)
            key = tramps.get(end + struct.unpack("<i", match[1])[0])
            if key is not None and not _leads_back(data, end - start, start, ends):
                yield at, key


def _leads_back(data: bytes, offset: int, start: int, ends: set[int]) -> bool:
    if data[offset : offset + 1] != b"\xe9" or offset + 5 > len(data):
        return False
    return start + offset + 5 + int.from_bytes(data[offset + 1 : offset + 5], "little", signed=True) in ends


# ---- for people and programs ----------------------------------------------------------------------


def main(words: Sequence[str]) -> int:
    """The command; exit status 1 under --strict if a call stays on a trampoline."""
    flags = {word for word in words if word.startswith("--")}
    names = [word for word in words if not word.startswith("--")]
    if not names or flags - {"--json", "--strict"}:
        print("usage: instrument inspect [--json] [--strict] BINARY...", file=sys.stderr)
        return 2
    found = [read(name) for name in names]
    if "--json" in flags:
        print(json.dumps([_as_json(binary) for binary in found], indent=1, sort_keys=True))
    else:
        print("\n".join(line for binary in found for line in _lines(binary)))
    return int("--strict" in flags and any(binary.left for binary in found))


def _lines(binary: Binary) -> Iterator[str]:
    total = len(binary.sites)
    left = sum(binary.left.values())
    yield f"{binary.path}: {len(binary.keys)} keys defined, {total} call sites, {left} calls on trampolines"
    for what, values in (("kind", [s.kind for s in binary.sites]), ("layout", [s.layout for s in binary.sites])):
        if values:
            yield f"  {what}: " + ", ".join(f"{n} {name}" for name, n in sorted(Counter(values).items()))
    crossing = Counter(site.layout for site in binary.sites if site.crosses)
    for layout, number in sorted(crossing.items()):
        among = sum(site.layout == layout for site in binary.sites)
        left_out = ", which stay on their trampoline" if layout == "bare" else ""
        yield f"  across two cache lines: {number} of {among} {layout} ({100 * number / among:.1f} %){left_out}"
    sites = Counter(site.key for site in binary.sites)
    for key in sorted({*binary.keys, *sites, *binary.left}):
        yield f"  {key}: {sites[key]} call sites, {binary.left.get(key, 0)} calls on the trampoline"


def _as_json(binary: Binary) -> dict[str, Any]:
    return {
        "path": binary.path,
        "keys": list(binary.keys),
        "sites": [
            {"key": s.key, "kind": s.kind, "layout": s.layout, "address": s.address, "crosses": s.crosses}
            for s in binary.sites
        ],
        "on_trampolines": dict(binary.left),
    }
