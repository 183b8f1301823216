# SPDX-License-Identifier: MIT
"""A unit whose debug information is in a .dwo file (-gsplit-dwarf, DWARF 5, section 7.3.2) -> that unit.

What stays in the object is a skeleton: the line table, the addresses, and the other file's name.
"""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

from elftools.common.exceptions import DWARFError
from elftools.dwarf.die import AttributeValue
from elftools.elf.elffile import ELFFile

from instrument import lines, objectfile

_KEPT = ("DW_AT_addr_base", "DW_AT_low_pc")
# The first unit's, behind the header of each section (7.26, 7.28); a .dwo has one unit and does not tell.
_BASES = {"DW_AT_str_offsets_base": 8, "DW_AT_rnglists_base": 12, "DW_AT_loclists_base": 12}


def followed(information: Any, unit: Any) -> tuple[Any, Any, lines.Unit | None] | None:
    """The debug information of the file that the skeleton `unit` names, the unit there, and the table with its files'
    names, None for the skeleton's own (clang). None where that file is not to be had, of another compilation, or
    before DWARF 5."""
    top = unit.get_top_DIE()
    if top.tag != "DW_TAG_skeleton_unit" or "DW_AT_dwo_name" not in top.attributes:
        return None
    name, folder = (top.attributes[key].value.decode() for key in ("DW_AT_dwo_name", "DW_AT_comp_dir"))
    try:
        elf = ELFFile(io.BytesIO(Path(folder, name).read_bytes()))
    except OSError:
        return None

    def section(wanted: str) -> bytes:
        if wanted == ".debug_addr":
            stream = information.debug_addr_sec.stream
            return bytes(stream.getvalue())
        found = elf.get_section_by_name(f"{wanted}.dwo")
        return bytes(found.data()) if found is not None else b""

    there = objectfile.information(section)
    for split in there.iter_CUs():
        if split.header["dwo_id"] == unit.header["dwo_id"]:
            known = {key: top.attributes[key].value for key in _KEPT if key in top.attributes}
            _place(split, _BASES | known)
            return there, split, lines.first(lines.of(section))
    return None


def _place(split: Any, bases: dict[str, int]) -> None:
    """elftools knows indices only by bases that the unit has itself; without them it stops, having read the rest."""
    with suppress(DWARFError):
        split.get_top_DIE()
    top = split.get_top_DIE()
    for name, value in bases.items():
        top.attributes.setdefault(name, AttributeValue(name, "DW_FORM_sec_offset", value, value, 0, 0))
