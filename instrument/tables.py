# SPDX-License-Identifier: MIT
"""The tables of records.h, read from memory -> keys and sites, with what stands at each now.

Knows the records and the bytes of each form (docs/design.md, section 4). Must not know where the memory is, ELF, or
how anything is shown.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from instrument.assembly import KINDS
from instrument.memory import Memory, Unreadable, string

SITES, KEYS = "__static_call_sites", "__static_call_keys"
SITE_SIZE, KEY_SIZE = 16, 28
_SITE, _KEY = struct.Struct("<iiIi"), struct.Struct("<iiiIiIi")
_LINE, _PAGE = 64, 4096
_LAYOUTS = {0: "bare", 1: "compact"}
_NOP, _RETURN = bytes.fromhex("0f1f440000"), bytes.fromhex("c3cccccccc")
# From what kind of site a form may come (insn.c, suits()).
_SUITS = {"call": ("call", "nop", "constant"), "jump": ("jump", "return"), "branch": ("branch",)}
# A trampoline's parts: a word with a jump, a jump through the slot, a return.
TRAMP_SIZE, TRAMP_FAR, TRAMP_RETURN = 16, 8, 14


@dataclass(frozen=True, slots=True)
class Key:
    """A record of __static_call_keys. `leads` is where the trampoline's jump goes; None for other bytes.

    `door` is the trampoline as other objects know it; `by_slot`: its calls go by the slot for good. `target` is what
    the key's variable holds, `aim` what the slot does: 0 is NULL, None what cannot be read.
    """

    name: str
    address: int
    trampoline: int
    slot: int
    door: int
    target: int | None
    aim: int | None
    leads: int | None
    by_slot: bool = False

    @property
    def changing(self) -> bool:
        """Whether an update is under way: it stores the slot first, then changes the text, then stores the key."""
        return None not in (self.target, self.aim) and self.target != self.aim


@dataclass(frozen=True, slots=True)
class Site:
    """A record of __static_call_sites. `form` is what the bytes are: one of those of _SUITS, "int3" or "unknown".

    `operand` is where a call, jump or branch goes, or the constant. `key` is "?" where no trampoline that is known
    has the record's door.
    """

    key: str
    address: int
    kind: str
    prefixes: int
    stub: int
    door: int
    code: bytes
    form: str
    operand: int | None

    @property
    def layout(self) -> str:
        return _LAYOUTS.get(self.prefixes, "aligned")

    @property
    def length(self) -> int:
        return self.prefixes + (6 if self.kind == "branch" else 5)

    @property
    def end(self) -> int:
        return self.address + self.length

    @property
    def displacement(self) -> int:
        """Where the four bytes lie that change with the target."""
        return self.end - 4

    @property
    def splits_line(self) -> bool:
        """Whether the displacement lies in two cache lines, so that no store is sure to replace it whole."""
        return self.displacement % _LINE > _LINE - 4

    @property
    def crosses_line(self) -> bool:
        return self.address // _LINE != (self.end - 1) // _LINE

    @property
    def crosses_page(self) -> bool:
        return self.address // _PAGE != (self.end - 1) // _PAGE


@dataclass(frozen=True, slots=True)
class Left:
    """A call, jump or branch to a trampoline that no record knows. `how`: one of KINDS, or "indirect" by the GOT."""

    key: str
    address: int
    how: str


@dataclass(frozen=True, slots=True)
class Range:
    """A table: from `start` to before `end`."""

    start: int
    end: int


def read_keys(memory: Memory, table: Range) -> list[Key]:
    """Raises Unreadable where the table itself cannot be read."""
    data = memory.read(table.start, table.end - table.start)
    return [
        _key(memory, table.start + number * _KEY.size, fields)
        for number, fields in enumerate(_KEY.iter_unpack(data[: len(data) // _KEY.size * _KEY.size]))
    ]


def read_sites(memory: Memory, table: Range, doors: Mapping[int, str]) -> list[Site]:
    """`doors` tells the key of each trampoline. Raises Unreadable where the table itself cannot be read."""
    data = memory.read(table.start, table.end - table.start)
    return [
        _site(memory, table.start + number * _SITE.size, fields, doors)
        for number, fields in enumerate(_SITE.iter_unpack(data[: len(data) // _SITE.size * _SITE.size]))
    ]


def _key(memory: Memory, at: int, fields: tuple[int, ...]) -> Key:
    trampoline = at + fields[0]
    address, slot = _pointer(memory, at + 16 + fields[4]), at + 4 + fields[1]
    aim = _pointer_or_none(memory, slot)
    return Key(
        name=string(memory, at + 8 + fields[2]),
        address=address,
        trampoline=trampoline,
        slot=slot,
        door=_pointer(memory, at + 24 + fields[6]),
        target=_pointer_or_none(memory, address),
        aim=0 if aim == trampoline + TRAMP_RETURN else aim,
        leads=_jump(_bytes(memory, trampoline, TRAMP_SIZE), trampoline, slot),
        by_slot=bool(fields[3]),
    )


def _site(memory: Memory, at: int, fields: tuple[int, ...], doors: Mapping[int, str]) -> Site:
    offset, stub, word, door = fields
    prefixes, number = word & 0xFF, word >> 8
    kind = KINDS[number] if number < len(KINDS) else "unknown"
    address, leads = at + offset, _pointer(memory, at + 12 + door)
    code = _bytes(memory, address, prefixes + (6 if kind == "branch" else 5)) if prefixes <= 3 else b""
    form, operand = decode(code, address, kind, prefixes)
    stub_at = at + 4 + stub if stub else 0
    return Site(doors.get(leads, "?"), address, kind, prefixes, stub_at, leads, code, form, operand)


def _pointer(memory: Memory, address: int) -> int:
    return _pointer_or_none(memory, address) or 0


def _pointer_or_none(memory: Memory, address: int) -> int | None:
    try:
        return memory.pointer(address)
    except Unreadable:
        return None


def _bytes(memory: Memory, address: int, length: int) -> bytes:
    try:
        return memory.read(address, length)
    except Unreadable:
        return b""


# ---- bytes ------------------------------------------------------------------------------------------


def decode(code: bytes, address: int, kind: str, prefixes: int) -> tuple[str, int | None]:
    """The form that a site's bytes are, and its operand."""
    core = code[prefixes:]
    if code[:1] == b"\xcc":
        return "int3", None
    form, operand = _core(core, address + len(code))
    if code[:prefixes] != b"\x2e" * prefixes or form not in _SUITS.get(kind, ()):
        return "unknown", None
    return form, operand


def _core(core: bytes, end: int) -> tuple[str, int | None]:
    if len(core) < 5:
        return "unknown", None
    immediate = int.from_bytes(core[-4:], "little", signed=True)
    if core == _NOP:
        return "nop", None
    if core == _RETURN:
        return "return", None
    if core[0] == 0x0F and core[1] & 0xF0 == 0x80 and len(core) == 6:
        return "branch", end + immediate
    if core[0] == 0xB8:
        return "constant", immediate & 0xFFFFFFFF
    form = {0xE8: "call", 0xE9: "jump"}.get(core[0], "unknown")
    return form, end + immediate if form != "unknown" else None


def _jump(code: bytes, address: int, slot: int) -> int | None:
    """Where a trampoline leads: as a target's address, 0 for its return, its own TRAMP_FAR for its slot. An int3 is
    taken for the prefix that it is written over."""
    form, operand = decode(code[:8].replace(b"\xcc", b"\x2e", code[:1] == b"\xcc"), address, "jump", 3)
    through = b"\xff\x25" + (slot - address - TRAMP_RETURN & 0xFFFFFFFF).to_bytes(4, "little")
    if form != "jump" or operand is None or code[TRAMP_FAR:] != through + b"\xc3\xcc":
        return None
    return 0 if operand == address + TRAMP_RETURN else operand


# ---- calls that no record knows ---------------------------------------------------------------------

# call, jmp and jcc with a 32-bit displacement; call and jmp through memory relative to rip.
_TRANSFER = re.compile(rb"(?=(\xe8|\xe9|\x0f[\x80-\x8f]|\xff[\x15\x25])(....))", re.DOTALL)
_HOW = {0xE8: "call", 0xE9: "jump", 0x0F: "branch"}


def read_left(
    text: Iterable[tuple[int, bytes]], doors: Mapping[int, str], slots: Mapping[int, str], sites: Sequence[Site]
) -> Iterator[Left]:
    """Where an instruction, by its bytes, leads to one of `doors`, or through one of `slots`, the GOT's.

    `text` are pieces of code with their addresses. Sites and stubs are left out: a stub's call is followed by a jump
    back behind its site. So are the trampolines themselves and what jumps for them, like PLT entries.
    """
    known = {site.displacement for site in sites}
    ends = {site.end for site in sites}
    inside = {door + offset for door in doors for offset in range(TRAMP_SIZE)}
    for start, data in text:
        for match in _TRANSFER.finditer(data):
            at, end = start + match.start(), start + match.end(2)
            to = end + int.from_bytes(match[2], "little", signed=True)
            through = match[1][0] == 0xFF
            key = slots.get(to) if through else doors.get(to)
            if key is None or end - 4 in known or at in inside or _leads_back(data, end - start, start, ends):
                continue
            yield Left(key, at, "indirect" if through else _HOW[match[1][0]])


def _leads_back(data: bytes, offset: int, start: int, ends: set[int]) -> bool:
    if data[offset : offset + 1] != b"\xe9" or offset + 5 > len(data):
        return False
    return start + offset + 5 + int.from_bytes(data[offset + 1 : offset + 5], "little", signed=True) in ends


# ---- whether tables and text agree ------------------------------------------------------------------


def disagreements(
    memory: Memory, keys: Sequence[Key], sites: Sequence[Site], doors: Mapping[int, str]
) -> Iterator[tuple[int, str]]:
    """Addresses, and what is wrong there. What an update that is under way has left half done is not wrong."""
    for key in keys:
        if (wrong := _wrong_trampoline(memory, key)) is not None:
            yield key.trampoline, wrong
    for address, number in Counter(site.address for site in sites).items():
        if number > 1:
            yield address, f"{number} records name one site"
    known = {key.name: key for key in keys}
    for site in sites:
        if (wrong := _wrong(memory, site, known.get(site.key), doors)) is not None:
            yield site.address, wrong


# An entry of a PLT: endbr64, bnd, a jump through the GOT.
_RELAY = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25")


def _wrong_trampoline(memory: Memory, key: Key) -> str | None:
    if key.leads is None:
        return f"the trampoline of {key.name} is not one that the runtime wrote"
    if key.trampoline % TRAMP_SIZE:
        return f"the trampoline of {key.name} is not aligned to {TRAMP_SIZE}"
    if key.changing:
        return None
    if _bytes(memory, key.trampoline, 1) == b"\xcc":
        return f"the trampoline of {key.name} has an int3, and no update is under way"
    # Before the first update it may go by a PLT entry, whose target the key has from the loader.
    if key.leads in (key.target, key.trampoline + TRAMP_FAR) or _RELAY.match(_bytes(memory, key.leads, 11)):
        return None
    if key.target is None:
        return None
    return f"the trampoline of {key.name} goes to {key.leads:#x}, not to its target {key.target:#x}"


def _wrong(memory: Memory, site: Site, key: Key | None, doors: Mapping[int, str]) -> str | None:
    if site.kind == "unknown" or site.prefixes > 3:
        return "a record of no kind or layout that is known"
    if not site.code:
        return "a record names a site where there is no text"
    if site.form == "unknown":
        return f"a site of {site.key} has bytes that the runtime did not write: {site.code.hex(' ')}"
    if site.layout == "aligned" and site.displacement % 4:
        return f"an aligned site of {site.key} is not aligned"
    if site.key == "?":
        return "a site of a key that no table knows"
    if site.form == "int3" and key is not None and not key.changing:
        return f"a site of {site.key} has an int3, and no update is under way"
    strays = site.form == site.kind and doors.get(site.operand or 0) != site.key
    if strays and key is not None and key.target is not None and site.operand not in (key.target, key.aim):
        goes = f"a site of {site.key} goes to {site.operand:#x}"
        return f"{goes}, neither its trampoline nor its target {key.target:#x}"
    if site.kind == "call" and site.stub and not _stub(memory, site, doors):
        return f"the stub of a site of {site.key} does not call the trampoline and come back"
    return None


def _stub(memory: Memory, site: Site, doors: Mapping[int, str]) -> bool:
    # Before the call an assembler may have padded: -mbranches-within-32B-boundaries, with nops or prefixes.
    code = _bytes(memory, site.stub, _STUB_SIZE + _MOST_PADDING) or _bytes(memory, site.stub, _STUB_SIZE)
    for match in _STUB.finditer(code):
        at = site.stub + match.start()
        called, back = decode(match[1], at, "call", 0), decode(match[2], at + 5, "jump", 0)
        if called[0] == "call" and doors.get(called[1] or 0) == site.key and back == ("jump", site.end):
            return True
    return False


_STUB = re.compile(rb"(?=(\xe8....)(\xe9....))", re.DOTALL)
_STUB_SIZE, _MOST_PADDING = 10, 31
