# SPDX-License-Identifier: MIT
"""A record's debug information -> its content, taken apart to scalars and vectors.

Knows which members compilers pass in different ways; must not know classes or registers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from instrument.die import POINTER, RECORDS, element_count, elsewhere, number_of, type_behind, type_chain, type_size
from instrument.model import Content, CType, Field, Pointer, Void

# psABI 3.2.3: a larger object is in memory whatever it holds, so nobody needs to know.
_LARGEST = 64


def content(die: Any, described: Callable[[Any], CType]) -> Content:
    """What the record `die` holds; `described` tells the type that a DIE is."""
    if (number_of(die, "DW_AT_byte_size") or 0) > _LARGEST:
        return Content(())
    reader = _Reader(described)
    reader.record(die, 0)
    return Content(tuple(reader.fields), next(iter(reader.doubts), None), lines=tuple(reader.lines))


class _Reader:
    """A record, taken apart to its scalars and vectors."""

    def __init__(self, described: Callable[[Any], CType]) -> None:
        self._described = described
        self.fields: list[Field] = []
        self.doubts: list[str] = []
        self.lines: list[int] = []

    def record(self, die: Any, start: int) -> None:
        self.lines += [line for line in (number_of(die, "DW_AT_decl_line"),) if line]
        if not number_of(die, "DW_AT_byte_size"):
            self.doubts.append("a member without a size")
        for member in die.iter_children():
            if member.tag == "DW_TAG_member":
                self._member(member, start)

    def _member(self, die: Any, start: int) -> None:
        location = "DW_AT_data_member_location"
        if location in die.attributes and number_of(die, location) is None:
            self.doubts.append("a member whose place the debug information does not tell")
            return
        if "DW_AT_bit_size" in die.attributes:
            place, width = _bits(die)
            self.fields.append(
                Field(self._described(die.get_DIE_from_attribute("DW_AT_type")), start + place, width, True)
            )
            return
        if _is_atomic(die):
            # clang gives an _Atomic record a size of its own.
            self.doubts.append("an _Atomic member")
        at = start + 8 * (number_of(die, location) or 0)
        if any(at % (8 * alignment) for alignment in _alignments(die)):
            # clang looks at the alignment that a type was given, gcc at its natural one (abi-fuzz 245866138477030).
            self.doubts.append("a member that is not aligned as its type is")
        self._value(type_behind(die), at)

    def _value(self, die: Any, start: int) -> None:
        """What `die`, a type without qualifiers, puts at `start`."""
        if die.tag in RECORDS:
            self.record(die, start)
        elif die.tag == "DW_TAG_array_type" and "DW_AT_GNU_vector" not in die.attributes:
            self._elements(die, start)
        elif die.tag == "DW_TAG_pointer_type":
            # What it leads to is of no account, and may be this very record.
            self.fields.append(Field(elsewhere(die) or Pointer(Void()), start, 8 * POINTER))
        else:
            size = type_size(die)
            if size is None:
                self.doubts.append("a member whose size the debug information does not tell")
            else:
                self.fields.append(Field(self._described(die), start, 8 * size))

    def _elements(self, die: Any, start: int) -> None:
        count, of = element_count(die), type_behind(die)
        size = type_size(of)
        if not count:
            # gcc counts the element of `int a[0]`, clang does not, and has records with `int a[]` in memory.
            self.doubts.append("an array without elements")
        elif not size or count * size > _LARGEST:
            self.doubts.append("an array whose size the debug information does not tell")
        else:
            for i in range(count):
                self._value(of, start + 8 * size * i)


def _bits(die: Any) -> tuple[int, int]:
    """A bit-field's first bit, from the beginning of its record, and its width."""
    width = number_of(die, "DW_AT_bit_size") or 0
    place = number_of(die, "DW_AT_data_bit_offset")
    if place is None:
        # DWARF 3, and clang to this day for gdb: counted from the upper end of a storage unit, modulo 2^64 where a
        # packed field sticks out of it (LLVM, DwarfUnit::constructMemberDIE).
        unit = 8 * ((number_of(die, "DW_AT_data_member_location") or 0) + (number_of(die, "DW_AT_byte_size") or 0))
        place = (unit - (number_of(die, "DW_AT_bit_offset") or 0) - width) % (1 << 64)
    return place, width


def _is_atomic(die: Any) -> bool:
    """Whether the type of `die`, or of its elements, is _Atomic."""
    return any(part.tag == "DW_TAG_atomic_type" for part in type_chain(die))


def _alignments(die: Any) -> Iterator[int]:
    """The alignments, in bytes, that an attribute gives a member or its type."""
    for part in (die, *type_chain(die)):
        if alignment := number_of(part, "DW_AT_alignment"):
            yield alignment
