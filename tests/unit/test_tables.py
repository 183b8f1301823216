# SPDX-License-Identifier: MIT
"""The tables of records.h, read from memory that is made up here: every form, and every way not to agree."""

from __future__ import annotations

import struct

import pytest

from instrument.memory import Cached, Unreadable, string
from instrument.tables import Range, decode, disagreements, read_keys, read_left, read_sites

TRAMP, TARGET, SLOT, KEY, NAME, GOT = 0x1000, 0x1100, 0x2000, 0x2008, 0x2010, 0x2020
SITE, STUB, KEYS, SITES = 0x1200, 0x1300, 0x3000, 0x3100
DOORS = {TRAMP: "key"}


class Bytes:
    """Memory that has what was put into it, and zeroes around."""

    def __init__(self) -> None:
        self.data = bytearray(0x4000)

    def put(self, address: int, code: bytes) -> None:
        self.data[address : address + len(code)] = code

    def read(self, address: int, length: int) -> bytes:
        if address < 0 or address + length > len(self.data):
            raise Unreadable(address)
        return bytes(self.data[address : address + length])

    def pointer(self, address: int) -> int:
        return int.from_bytes(self.read(address, 8), "little")


def near(at: int, to: int, opcode: bytes) -> bytes:
    return opcode + struct.pack("<i", to - at - len(opcode) - 4)


def whole(site: bytes = b"", kind: int = 0, prefixes: int = 3) -> Bytes:
    """A key, its trampoline, a site with its stub; all as it should be unless `site` is other bytes."""
    memory = Bytes()
    memory.put(TRAMP, near(TRAMP, TARGET, b"\x2e\x2e\x2e\xe9") + near(TRAMP + 8, SLOT, b"\xff\x25") + b"\xc3\xcc")
    memory.put(SLOT, struct.pack("<Q", TARGET))
    memory.put(KEY, struct.pack("<Q", TARGET))
    memory.put(NAME, b"key\0")
    memory.put(GOT, struct.pack("<QQ", KEY, TRAMP))
    memory.put(SITE, site or near(SITE, TRAMP, b"\x2e" * prefixes + b"\xe8"))
    memory.put(STUB, near(STUB, TRAMP, b"\xe8") + near(STUB + 5, SITE + prefixes + 5, b"\xe9"))
    fields = (TRAMP, SLOT, NAME, 0, GOT, 0, GOT + 8)
    relative = (value - KEYS - 4 * i if value else 0 for i, value in enumerate(fields))
    memory.put(KEYS, struct.pack("<iiiIiIi", *relative))
    stub = 0 if kind else STUB - SITES - 4
    memory.put(SITES, struct.pack("<iiIi", SITE - SITES, stub, prefixes | kind << 8, GOT + 8 - SITES - 12))
    return memory


def wrongs(memory: Bytes) -> list[str]:
    keys = read_keys(memory, Range(KEYS, KEYS + 28))
    sites = read_sites(memory, Range(SITES, SITES + 16), DOORS)
    return [what for _, what in disagreements(memory, keys, sites, DOORS)]


def test_what_agrees() -> None:
    memory = whole()
    (key,) = read_keys(memory, Range(KEYS, KEYS + 28))
    assert (key.name, key.address, key.trampoline, key.slot, key.door) == ("key", KEY, TRAMP, SLOT, TRAMP)
    assert key.target == key.leads == TARGET
    (site,) = read_sites(memory, Range(SITES, SITES + 16), DOORS)
    assert (site.key, site.kind, site.layout, site.stub) == ("key", "call", "aligned", STUB)
    assert (site.form, site.operand, site.displacement) == ("call", TRAMP, SITE + 4)
    assert wrongs(memory) == []


@pytest.mark.parametrize(
    ("core", "kind", "form", "operand"),
    [
        ("e8 fb 00 00 00", "call", "call", 0x100),
        ("0f 1f 44 00 00", "call", "nop", None),
        ("b8 07 00 00 00", "call", "constant", 7),
        ("b8 ff ff ff ff", "call", "constant", 0xFFFFFFFF),
        ("e9 fb ff ff ff", "jump", "jump", 0),
        ("c3 cc cc cc cc", "jump", "return", None),
        ("0f 84 fa 00 00 00", "branch", "branch", 0x100),
        ("cc fb 00 00 00", "call", "int3", None),
        ("e9 fb 00 00 00", "call", "unknown", None),
        ("e8 fb 00 00 00", "jump", "unknown", None),
        ("c3 cc cc cc cc", "call", "unknown", None),
        ("0f 1f 44 00 00", "branch", "unknown", None),
        ("", "call", "unknown", None),
    ],
)
@pytest.mark.parametrize("prefixes", [0, 1, 3])
def test_each_form(core: str, kind: str, form: str, operand: int | None, prefixes: int) -> None:
    code = b"\x2e" * prefixes + bytes.fromhex(core)
    if form == "int3" and prefixes:
        code = b"\xcc" + code[1:]
    moved = operand + prefixes if form in ("call", "jump", "branch") and operand is not None else operand
    assert decode(code, 0, kind, prefixes) == (form, moved)


def test_a_prefix_that_is_missing_is_no_form() -> None:
    assert decode(bytes.fromhex("2e 2e 90 e8 00 00 00 00"), 0, "call", 3)[0] == "unknown"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (b"\x90" * 8, "bytes that the runtime did not write: 90 90"),
        (near(SITE, 0x1180, b"\x2e\x2e\x2e\xe8"), "neither its trampoline nor its target"),
        (near(SITE, TARGET, b"\x2e\x2e\x2e\xe8"), ""),
        (b"\xcc" + near(SITE, TARGET, b"\x2e\x2e\x2e\xe8")[1:], "an int3, and no update is under way"),
    ],
)
def test_a_site_that_does_not_agree(code: bytes, what: str) -> None:
    found = wrongs(whole(code))
    assert (len(found) == 1 and what in found[0]) if what else found == []


def test_an_update_that_is_under_way_is_not_wrong() -> None:
    """The slot has the new target already, the key still the old one; text is anything between."""
    new = 0x1180
    for trampoline in (TARGET, new):
        for site in (TRAMP, TARGET, new):
            for code in (b"\x2e", b"\xcc"):
                memory = whole(code + near(SITE + 1, site, b"\x2e\x2e\xe8"))
                memory.put(TRAMP, code + near(TRAMP + 1, trampoline, b"\x2e\x2e\xe9"))
                memory.put(SLOT, struct.pack("<Q", new))
                (key,) = read_keys(memory, Range(KEYS, KEYS + 28))
                assert key.changing and key.aim == new and wrongs(memory) == []
    memory.put(SITE, near(SITE, 0x1190, b"\x2e\x2e\x2e\xe8"))
    assert "neither its trampoline nor its target" in wrongs(memory)[0]


def test_a_stub_may_begin_with_padding() -> None:
    memory = whole()
    memory.put(STUB, b"\x0f\x1f\x40\x00\x2e" + near(STUB + 5, TRAMP, b"\xe8") + near(STUB + 10, SITE + 8, b"\xe9"))
    assert wrongs(memory) == []


def test_where_a_trampoline_leads() -> None:
    memory = whole()
    memory.put(TRAMP, near(TRAMP, 0x1180, b"\x2e\x2e\x2e\xe9"))
    assert wrongs(memory) == ["the trampoline of key goes to 0x1180, not to its target 0x1100"]
    # A PLT entry there is as good: what it leads to is the loader's affair.
    memory.put(0x1180, b"\xf3\x0f\x1e\xfa\xff\x25\0\0\0\0")
    assert wrongs(memory) == []
    memory = whole()
    memory.put(TRAMP, near(TRAMP, TRAMP + 8, b"\x2e\x2e\x2e\xe9"))
    assert wrongs(memory) == []
    memory.put(TRAMP + 8, near(TRAMP + 8, SLOT + 8, b"\xff\x25"))
    assert wrongs(memory) == ["the trampoline of key is not one that the runtime wrote"]
    memory = whole()
    memory.put(TRAMP, b"\xcc")
    assert wrongs(memory) == ["the trampoline of key has an int3, and no update is under way"]
    for slot in (0, TRAMP + 14):
        memory = whole()
        memory.put(TRAMP, near(TRAMP, TRAMP + 14, b"\x2e\x2e\x2e\xe9"))
        memory.put(KEY, bytes(8))
        memory.put(SLOT, struct.pack("<Q", slot))
        assert wrongs(memory) == []


def test_other_things_that_do_not_agree() -> None:
    memory = whole()
    memory.put(TRAMP + 3, b"\xe8")
    assert "trampoline of key" in wrongs(memory)[0]
    memory = whole()
    memory.put(STUB, b"\x90")
    assert "the stub" in wrongs(memory)[0]
    memory = whole()
    memory.put(SITES, struct.pack("<i", 0x7000))
    assert "where there is no text" in wrongs(memory)[0]
    memory = whole()
    memory.put(SITES + 8, struct.pack("<I", 9 << 8))
    assert "no kind or layout" in wrongs(memory)[0]
    memory = whole()
    memory.put(SITES + 16, memory.read(SITES, 16))
    double = read_sites(memory, Range(SITES, SITES + 16), DOORS) * 2
    assert "2 records" in next(disagreements(memory, [], double, DOORS))[1]
    memory = whole()
    memory.put(GOT + 8, struct.pack("<Q", 0x1600))
    assert "no table knows" in wrongs(memory)[0]


def test_borders() -> None:
    memory = Bytes()
    for address, line, split, page in (
        (0x1038, False, False, False),
        (0x1039, True, True, False),
        (0x103F, True, False, False),
        (0x1FFA, True, True, True),
    ):
        memory.put(SITES, struct.pack("<iiIi", address - SITES, 0, 3, 0))
        (site,) = read_sites(memory, Range(SITES, SITES + 16), {})
        assert (site.crosses_line, site.splits_line, site.crosses_page) == (line, split, page), hex(address)


def test_calls_without_a_record() -> None:
    text = bytearray(0x100)
    for at, code in ((0, b"\xe8"), (0x10, b"\xe9"), (0x20, b"\x0f\x85"), (0x30, b"\xff\x15"), (0x40, b"\xe8")):
        to = GOT + 8 if code[0] == 0xFF else 0x1F00 if at == 0x40 else TRAMP
        made = near(0x1400 + at, to, code)
        text[at : at + len(made)] = made
    memory = whole()
    sites = read_sites(memory, Range(SITES, SITES + 16), DOORS)
    pieces = [(0x1400, bytes(text)), (0x1000, memory.read(0x1000, 0x400))]
    found = list(read_left(pieces, DOORS, {GOT + 8: "key"}, sites))
    # Neither the site nor its stub, nor the trampoline's own jump.
    assert [(call.address, call.how) for call in found] == [
        (0x1400, "call"), (0x1410, "jump"), (0x1420, "branch"), (0x1430, "indirect"),
    ]  # fmt: skip


def test_strings_end_where_memory_does() -> None:
    memory = Bytes()
    memory.put(0x3FFD, b"end")
    assert string(memory, 0x3FFD) == "end"
    assert string(memory, 0x5000) == "?"
    cached = Cached(memory.read)
    memory.put(0xFFE, b"over\0")
    assert string(cached, 0xFFE) == "over"
    memory.put(0xFFE, b"else")
    assert cached.read(0xFFE, 4) == b"over"
