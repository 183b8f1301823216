# SPDX-License-Identifier: MIT
"""One DIE (debugging information entry) of DWARF, read: its numbers and names, and the entries of its type.

Knows how gcc and clang write attributes; must not know what becomes of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

from instrument.model import Unknown

QUALIFIERS = {
    "DW_TAG_const_type": "const",
    "DW_TAG_volatile_type": "volatile",
    "DW_TAG_restrict_type": "restrict",
    "DW_TAG_atomic_type": "_Atomic",
}

RECORDS = ("DW_TAG_structure_type", "DW_TAG_union_type")
TRANSPARENT = (*QUALIFIERS, "DW_TAG_typedef")
"""What a value's type can have before it that makes no difference to how it is passed, but for _Atomic."""

POINTER = 8


def elsewhere(die: Any) -> Unknown | None:
    """A pointer that is no address of the program's: gcc marks __seg_gs, clang the size of __ptr32."""
    if "DW_AT_address_class" in die.attributes or number_of(die, "DW_AT_byte_size") not in (None, POINTER):
        return Unknown("a pointer into another address space")
    return None


def type_behind(die: Any) -> Any:
    """The DIE of `die`'s type, behind typedefs and qualifiers; None for void."""
    while "DW_AT_type" in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_type")
        if die.tag not in TRANSPARENT:
            return die
    return None


def type_chain(die: Any) -> Iterator[Any]:
    """The DIEs of `die`'s type, through typedefs, qualifiers and arrays to what they are of. Never described: a
    member can lead to the record that it is in."""
    while "DW_AT_type" in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_type")
        yield die
        if die.tag not in (*TRANSPARENT, "DW_TAG_array_type"):
            return


def type_size(die: Any) -> int | None:
    """The size in bytes of a type that has no qualifiers; a vector of three has the one of its elements here."""
    if die.tag == "DW_TAG_pointer_type":
        return POINTER
    if die.tag == "DW_TAG_array_type":
        count, of = element_count(die), type_size(type_behind(die))
        return None if count is None or of is None else count * of
    return number_of(die, "DW_AT_byte_size")


def element_count(die: Any) -> int | None:
    """How many elements an array has in all its dimensions."""
    lengths = [length_of(child) for child in die.iter_children() if child.tag == "DW_TAG_subrange_type"]
    return None if None in lengths else reduce(lambda n, length: n * (length or 0), lengths, 1)


def length_of(subrange: Any) -> int | None:
    count = number_of(subrange, "DW_AT_count")
    if count is not None:
        return count
    upper = number_of(subrange, "DW_AT_upper_bound")
    return None if upper is None else upper + 1


def name_of(die: Any) -> str | None:
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode("utf-8", "surrogateescape") if attribute else None


def number_of(die: Any, attribute: str) -> int | None:
    """An attribute's constant; an expression or a reference, as for variable-length arrays, is none."""
    found = die.attributes.get(attribute)
    if found is None or not isinstance(found.value, int):
        return None
    if found.form.startswith(("DW_FORM_ref", "DW_FORM_exprloc")):
        return None
    return int(found.value)
