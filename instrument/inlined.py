# SPDX-License-Identifier: MIT
"""Addresses -> where the wrapper was called whose inlined copy they are of, from .debug_info.

To line tables an inlined wrapper's instruction is of the line where the key was declared. Only units that have wanted
addresses are looked into, and of those only what holds one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from instrument.lines import Place, Sections, Unit, units

WRAPPER = b"__SCW__"
"""What wrappers' names begin with."""
_BLOCKS = ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine", "DW_TAG_lexical_block")
_OUTER = (*_BLOCKS, "DW_TAG_namespace")


def calls(dwarf: Callable[[], Any], sections: Sections, wanted: Collection[int]) -> dict[int, Place]:
    """Damaged or missing information knows nothing."""
    asked = units(sections, wanted)
    if not asked:
        return {}
    try:
        return dict(_calls(dwarf(), asked))
    except Exception:
        # elftools meets damage with anything from AttributeError to its own; lines are an aid, no finding.
        return {}


def _calls(information: Any, asked: Mapping[int, tuple[Unit, list[int]]]) -> Iterator[tuple[int, Place]]:
    from instrument import skeletons  # and with it elftools

    for cu in information.iter_CUs():
        top = cu.get_top_DIE()
        table = top.attributes.get("DW_AT_stmt_list")
        if table is None or table.value not in asked:
            continue
        unit, addresses = asked[table.value]
        there, die = information, top
        if (split := skeletons.followed(information, cu)) is not None:
            there, whole, names = split
            die, unit = whole.get_top_DIE(), names or unit
        for address, (file, line) in _inside(there, die, sorted(addresses)):
            yield address, (unit.name(file), line)


def _inside(information: Any, die: Any, wanted: list[int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """`wanted` is sorted."""
    for child in die.iter_children():
        if child.tag not in _OUTER:
            continue
        held = _held(information, child, wanted)
        if not held:
            continue
        if child.tag == "DW_TAG_inlined_subroutine" and _is_wrapper(child):
            call = child.attributes["DW_AT_call_file"].value, child.attributes["DW_AT_call_line"].value
            yield from ((address, call) for address in held)
        else:
            yield from _inside(information, child, held)


def _is_wrapper(die: Any) -> bool:
    name = die.get_DIE_from_attribute("DW_AT_abstract_origin").attributes.get("DW_AT_name")
    return name is not None and name.value.startswith(WRAPPER)


def _held(information: Any, die: Any, wanted: list[int]) -> list[int]:
    """Those of the wanted addresses that the DIE has; a block without code may be there for what is inside of it."""
    low, high = die.attributes.get("DW_AT_low_pc"), die.attributes.get("DW_AT_high_pc")
    if low is not None and high is not None:
        ranges = [(low.value, high.value if high.form == "DW_FORM_addr" else low.value + high.value)]
    elif (listed := die.attributes.get("DW_AT_ranges")) is not None:
        ranges = list(_ranges(information, die, listed))
    else:
        return wanted if die.tag in ("DW_TAG_lexical_block", "DW_TAG_namespace") else []
    return [
        address for begin, end in ranges for address in wanted[bisect_left(wanted, begin) : bisect_left(wanted, end)]
    ]


def _ranges(information: Any, die: Any, ranges: Any) -> Iterator[tuple[int, int]]:
    top = die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
    base = top.value if top is not None else 0
    for entry in information.range_lists().get_range_list_at_offset(ranges.value, cu=die.cu):
        if hasattr(entry, "base_address"):
            base = entry.base_address
        else:
            moved = 0 if getattr(entry, "is_absolute", False) else base
            yield entry.begin_offset + moved, entry.end_offset + moved
