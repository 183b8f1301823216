# SPDX-License-Identifier: MIT
"""The runtime's description of itself (c_runtime/src/describe.c), found in memory -> what it knows and has done.

All of it is memory of a program that anybody may have written over: every number is looked at before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from instrument import space
from instrument.memory import Memory, Unreadable, string, words
from instrument.tables import KEY_SIZE, SITE_SIZE, Range

MAGIC = b"static_callinfo\0"
VERSION = 2
_WORDS = 17
_MOST_OBJECTS, _LONGEST_TABLE = 1 << 16, 1 << 28
PROTOCOLS = ("auto", "int3-push", "int3-resume", "int3-stub", "atomic")
WRITES = ("none", "mprotect", "/proc/self/mem", "slot")
COUNTERS = (
    "sites", "trampolines", "updates", "failures", "atomic_pokes", "int3_pokes", "synchronisations", "protections",
    "traps", "stale_traps", "write", "far_targets", "kept_calls", "foreign_sites", "without_int3", "signalled",
    "without_mprotect", "repairs", "lost_targets", "crossing_sites",
)  # fmt: skip
"""struct static_call_statistics, in its order."""


@dataclass(frozen=True, slots=True)
class Failure:
    """struct static_call_failure: `error` is a negative errno, `address` and `key` are 0 for none."""

    error: int
    what: str
    address: int
    key: int


@dataclass(frozen=True, slots=True)
class Object:
    """A linked object that has registered: its tables, and the addresses that it takes up."""

    sites: Range
    keys: Range
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Runtime:
    """One copy of the runtime. `write` is one of WRITES, how text was written last; `failure` the last obstacle."""

    address: int
    statistics: Mapping[str, int]
    protocol: str
    reason: str
    write: str
    sealed: bool
    folding: bool
    trusting: bool
    failure: Failure | None
    objects: tuple[Object, ...]


class UnknownVersionError(Exception):
    """The runtime is of another time than this tool."""


def find(mappings: Sequence[space.Mapping], memory: Memory) -> list[int]:
    """Where the process has descriptions: one for each copy of the runtime."""
    found = []
    for mapping in space.images(mappings):
        try:
            data = memory.read(mapping.start, mapping.end - mapping.start)
        except Unreadable:
            continue
        at = data.find(MAGIC)
        while at >= 0:
            address = mapping.start + at
            if data[at + 16 : at + 24] == struct.pack("<Q", address):
                found.append(address)
            at = data.find(MAGIC, at + 1)
    return found


def read(memory: Memory, address: int) -> Runtime:
    """Raises UnknownVersionError, and Unreadable for a description that leads nowhere."""
    fields = words(memory, address, _WORDS)
    _, _, _, version, statistics, counters, failure, *policy, objects, size, sealed, folding, trusting, _ = fields
    if version != VERSION:
        raise UnknownVersionError(f"its runtime describes itself by version {version}, this tool knows {VERSION}")
    numbers = words(memory, statistics, min(counters, 256))
    names = [*COUNTERS, *(f"counter_{number}" for number in range(len(COUNTERS), len(numbers)))]
    counted = dict(zip(names, numbers, strict=False))
    return Runtime(
        address=address,
        statistics=counted,
        protocol=_named(PROTOCOLS, _int(memory, policy[0])),
        reason=_reason(memory, *policy),
        write=_named(WRITES, counted.get("write", 0)),
        sealed=bool(_int(memory, sealed)),
        folding=bool(_int(memory, folding)),
        trusting=bool(_int(memory, trusting)),
        failure=_failure(memory, failure),
        objects=tuple(_objects(memory, objects, size)),
    )


def updates(memory: Memory, address: int) -> tuple[int, ...]:
    """The statistics alone, for who looks often. Raises Unreadable."""
    statistics, counters = words(memory, address + 32, 2)
    return words(memory, statistics, min(counters, 256))


def _named(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"unknown ({number})"


def _int(memory: Memory, address: int) -> int:
    return int.from_bytes(memory.read(address, 4), "little", signed=True)


def _reason(memory: Memory, protocol: int, protocols: int, core_store_safe: int, misnamed: int) -> str:
    """As static_call_protocol_reason() tells it (policy.c)."""
    number = _int(memory, protocol)
    if not 0 <= number < len(PROTOCOLS):
        return _named(PROTOCOLS, number)
    if number == 0 and memory.read(misnamed, 1) != b"\0":
        return f"auto: STATIC_CALL_PROTOCOL names no protocol ({', '.join(PROTOCOLS)})"
    _, reason, by_store = words(memory, protocols + 24 * number, 3)
    return string(memory, by_store if by_store and memory.read(core_store_safe, 1) != b"\0" else reason)


def _failure(memory: Memory, address: int) -> Failure | None:
    error = _int(memory, address)
    what, about, key = words(memory, address + 8, 3)
    return Failure(error, string(memory, what), about, key) if error else None


def _objects(memory: Memory, array: int, size: int) -> Iterator[Object]:
    """Those that have tables: an array of `struct object`, by its address and its items' size."""
    at, count = words(memory, array, 2)
    for number in range(min(count, _MOST_OBJECTS)):
        try:
            tables, start, end = words(memory, at + number * size, 3)
            if not tables:
                continue
            _, _, sites, sites_end, keys, keys_end = words(memory, tables, 6)
        except Unreadable:
            return
        yield Object(_range(sites, sites_end, SITE_SIZE), _range(keys, keys_end, KEY_SIZE), start, end)


def _range(start: int, end: int, size: int) -> Range:
    """Without a table both are 0; what is no table is empty."""
    length = end - start
    return Range(start, end) if 0 < length < _LONGEST_TABLE and length % size == 0 else Range(start, start)
