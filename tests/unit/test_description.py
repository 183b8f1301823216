# SPDX-License-Identifier: MIT
"""What the runtime says of itself is read in the header's own order."""

from __future__ import annotations

import re
import struct

import pytest

from instrument import description, paths
from instrument.description import MAGIC, UnknownVersionError, find, read
from instrument.space import Mapping
from tests.unit.test_tables import Bytes

HEADER = (paths.INCLUDE_DIR / "static_call_runtime.h").read_text()


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def test_counters_are_the_headers() -> None:
    body = re.search(r"struct static_call_statistics \{(.*?)\};", HEADER, re.DOTALL)
    assert body
    names = re.findall(r"unsigned long ([^;]*);", without_comments(body[1]))
    assert tuple(name.strip() for group in names for name in group.split(",")) == description.COUNTERS


@pytest.mark.parametrize(
    ("enum", "prefix", "known"),
    [("protocol", "STATIC_CALL_", description.PROTOCOLS), ("write", "STATIC_CALL_WRITE_", description.WRITES)],
)
def test_enumerations_are_the_headers(enum: str, prefix: str, known: tuple[str, ...]) -> None:
    body = re.search(rf"enum static_call_{enum} \{{(.*?)\}};", HEADER, re.DOTALL)
    assert body
    names = re.findall(rf"{prefix}(\w+)", without_comments(body[1]))
    assert [name.lower().replace("_", "-") for name in names] == [
        name.strip("/").replace("/self/", "-").replace("_", "-") for name in known
    ]


def described(version: int = 2) -> Bytes:
    """A description at 0x100, its statistics at 0x200, at 0x400 two objects, the second without tables."""
    memory = Bytes()
    settings = (0x340, 0x480 - 4 * 24, 0x344, 0x345, 0x348, 32, 0x360, 0x364, 0x368, 0x346)
    memory.put(
        0x100, MAGIC + struct.pack("<15Q", 0x100, version, 0x200, len(description.COUNTERS) + 1, 0x300, *settings)
    )
    memory.put(0x200, struct.pack(f"<{len(description.COUNTERS) + 1}Q", *range(10, 11 + len(description.COUNTERS))))
    memory.put(0x300, struct.pack("<iiQQQ", -16, 0, 0x380, 0x1234, 0x99))
    # The last protocol, whose row is at 0x480; the array of objects; what is set.
    memory.put(0x340, struct.pack("<iBBBxQQQiii", 4, 1, 1, 1, 0x400, 2, 64, 1, 1, 0))
    memory.put(0x480, struct.pack("<QQQ", 0x3A0, 0x3A0, 0x390))
    memory.put(0x380, b"why not\0")
    memory.put(0x390, b"as asked\0")
    memory.put(0x400, struct.pack("<8Q", 0x440, 0x1000, 0x3000, 0, 0, 0x5000, 0x6000, 0))
    memory.put(0x440, struct.pack("<IIQ4Q", 1, 64, 0, 0x1000, 0x1020, 0x2000, 0x2039))
    return memory


def test_all_of_it() -> None:
    memory = described()
    memory.put(0x800, MAGIC + struct.pack("<Q", 0x100))
    mappings = [Mapping(0, 0x1000, 0, "prog", False), Mapping(0x1000, 0x2000, 0x1000, "prog", True)]
    # A copy does not point to itself.
    assert find(mappings, memory) == [0x100]
    assert find([Mapping(0, 0x1000, 0, "data", False)], memory) == []
    found = read(memory, 0x100)
    assert found.protocol == "atomic" and found.reason == "as asked"
    assert (found.sealed, found.folding, found.trusting) == (True, True, False)
    assert found.statistics["sites"] == 10 and found.statistics["crossing_sites"] == 29
    assert found.statistics["counter_20"] == 30
    assert found.write == "unknown (20)"
    assert found.failure == description.Failure(-16, "why not", 0x1234, 0x99)
    # The keys' table is no multiple of a record.
    (only,) = found.objects
    assert (only.sites.start, only.sites.end, only.keys.end - only.keys.start) == (0x1000, 0x1020, 0)


def test_another_version_is_said_so() -> None:
    with pytest.raises(UnknownVersionError, match="version 3"):
        read(described(3), 0x100)
