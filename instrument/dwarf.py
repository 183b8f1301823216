# SPDX-License-Identifier: MIT
"""Object file -> the C types of the keys it was compiled to show.

Knows DWARF and how gcc and clang write C types in it. Must not know where the object came from or what
becomes of the types. Importing it costs elftools (44 ms), so import it only when a compiler has run.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator
from functools import reduce
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct.core import ConstructError

from instrument import objectfile, records
from instrument.die import QUALIFIERS, RECORDS, elsewhere, length_of, name_of, number_of, type_behind
from instrument.model import (
    Array,
    Base,
    Content,
    CType,
    Encoding,
    Enum,
    Function,
    Pointer,
    Qualified,
    Record,
    Target,
    Typedef,
    Unknown,
    Void,
)
from instrument.value import dataclass, replace

TYPE_PROBE = "__scp_"
KEY_SYMBOL = "__SCK__"

BROKEN = (ELFError, DWARFError, ConstructError, struct.error)
"""What reading an object raises that was not written to its end."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one object says of one key.

    `defined` tells whether the object defines the key, `symbol` is then the initial target, None where there is
    none or it is not certain.
    """

    type: CType
    defined: bool
    symbol: Target | None


def read(data: bytes, keys: Collection[str], *, quad: bool = False) -> dict[str, Probe]:
    """The probes found for `keys`; the caller must look whether one is missing.

    `quad` tells that long double is the 128-bit format: debug information has only its size, which is the same.
    """
    sections = objectfile.sections(data)
    symbols = objectfile.symbols(sections)
    defined = {s.name for s in symbols if s.defined}
    targets = objectfile.targets(sections, symbols)
    types = _Types(quad)
    found: dict[str, Probe] = {}
    dwarf = objectfile.debug_information(data, sections)
    if any(target.static for target in targets.values()):
        # A static function can get a second name only from C, so not one that the file defines in assembly.
        written = _functions(dwarf)
        targets = {key: t for key, t in targets.items() if not t.static or t.name in written}
    for key, die in _probes(dwarf, keys):
        pointer = types.of(die)
        pointee = pointer.to if isinstance(pointer, Pointer) else Unknown("a probe that is not a pointer")
        found.setdefault(key, Probe(pointee, KEY_SYMBOL + key in defined, targets.get(key)))
    return found


def _probes(dwarf: Any, keys: Collection[str]) -> Iterator[tuple[str, Any]]:
    """(key, DIE) of the probes; functions are searched only while a key is missing, since most have no need."""
    missing = set(keys)
    units = list(dwarf.iter_CUs())
    for unit in units:
        for die in unit.get_top_DIE().iter_children():
            key = _probe_key(die, keys)
            if key is not None:
                missing.discard(key)
                yield key, die
    if not missing:
        return
    for unit in units:
        for die in unit.iter_DIEs():
            key = _probe_key(die, missing)
            if key is not None:
                yield key, die


def _functions(dwarf: Any) -> set[str]:
    """The names of the functions that are defined in C."""
    tops = (die for unit in dwarf.iter_CUs() for die in unit.get_top_DIE().iter_children())
    return {name_of(die) or "" for die in tops if die.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in die.attributes}


def _probe_key(die: Any, keys: Collection[str]) -> str | None:
    if die.tag != "DW_TAG_variable":
        return None
    name = name_of(die)
    if name is None or not name.startswith(TYPE_PROBE):
        return None
    key = name[len(TYPE_PROBE) :]
    return key if key in keys else None


# ---- types ----------------------------------------------------------------------------------------

# DWARF 5, table 7.11; C's character types are the signed_char and unsigned_char encodings.
_ENCODINGS = {
    2: Encoding.BOOL,
    3: Encoding.COMPLEX,
    4: Encoding.FLOAT,
    5: Encoding.SIGNED,
    6: Encoding.SIGNED,
    7: Encoding.UNSIGNED,
    8: Encoding.UNSIGNED,
}

# gcc writes "long unsigned int" and "complex double", clang "unsigned long" and, for all three, "complex".
_WORDS = re.compile(r"\b(?:int|signed|unsigned|complex|char|short|long|double|float|_Bool|__int128)\b")
_COMPLEX = {8: "float _Complex", 16: "double _Complex", 32: "long double _Complex"}
_FLOAT = re.compile(r"float|(?:long )?double|_Float\d+x?|__float128|__bf16")

# DW_CC_normal, and LLVM's number for an explicit sysv_abi.
_SYSV = frozenset({0x01, 0xC2})
# LLVM's Dwarf.def.
_CONVENTIONS = {
    0xC0: "vectorcall",
    0xC1: "ms",
    0xC5: "intel_ocl_bicc",
    0xC8: "swiftcall",
    0xC9: "preserve_most",
    0xCA: "preserve_all",
    0xCB: "regcall",
    0xCD: "preserve_none",
}


class _Types:
    """DIEs to types, each DIE once."""

    def __init__(self, quad: bool = False) -> None:
        self._seen: dict[int, CType] = {}
        self._quad = quad

    def of(self, die: Any) -> CType:
        """The type that `die` has; none at all is void."""
        if "DW_AT_type" not in die.attributes:
            return Void()
        return self.described(die.get_DIE_from_attribute("DW_AT_type"))

    def described(self, die: Any) -> CType:
        """The type that `die` is."""
        known = self._seen.get(die.offset)
        if known is None:
            known = self._seen[die.offset] = self._type(die)
        return known

    def passed(self, die: Any) -> CType:
        """`of`, and what a record that is passed by value holds."""
        t = self.of(die)
        record = type_behind(die)
        if record is None or record.tag not in RECORDS or "DW_AT_declaration" in record.attributes:
            return t
        return _holding(t, records.content(record, self.described))

    def _type(self, die: Any) -> CType:
        tag = die.tag
        if tag in QUALIFIERS:
            return _qualified(QUALIFIERS[tag], self.of(die))
        match tag:
            case "DW_TAG_base_type":
                return self._base(die)
            case "DW_TAG_pointer_type":
                return self._pointer(die)
            case "DW_TAG_typedef":
                return Typedef(name_of(die) or "", self.of(die))
            case "DW_TAG_structure_type" | "DW_TAG_union_type":
                return _record(die)
            case "DW_TAG_enumeration_type":
                return self._enum(die)
            case "DW_TAG_array_type":
                return self._array(die)
            case "DW_TAG_subroutine_type":
                return self._function(die)
        return Unknown(str(tag))

    def _base(self, die: Any) -> CType:
        size = number_of(die, "DW_AT_byte_size") or 0
        t = _base(name_of(die) or "", size, number_of(die, "DW_AT_encoding"))
        if self._quad and isinstance(t, Base) and t.name in ("long double", "long double _Complex"):
            return Unknown(f"{t.name} in the 128-bit format")
        return t

    def _pointer(self, die: Any) -> CType:
        return elsewhere(die) or Pointer(self.of(die))

    def _enum(self, die: Any) -> CType:
        tag, size = name_of(die), number_of(die, "DW_AT_byte_size")
        if "DW_AT_declaration" in die.attributes or not size:
            return Unknown(f"incomplete enum {tag or ''}".rstrip())
        underlying = self.of(die)
        while isinstance(underlying, Typedef | Qualified):
            underlying = underlying.target
        return Enum(tag, size, isinstance(underlying, Base) and underlying.encoding is Encoding.SIGNED)

    def _array(self, die: Any) -> CType:
        vector = "DW_AT_GNU_vector" in die.attributes
        lengths = [length_of(child) for child in die.iter_children() if child.tag == "DW_TAG_subrange_type"]
        element = self.of(die)
        return reduce(lambda of, length: Array(of, length, vector), reversed(lengths), element)

    def _function(self, die: Any) -> Function:
        children = list(die.iter_children())
        prototyped = bool(number_of(die, "DW_AT_prototyped"))
        # A qualifier on a parameter itself is no part of the function's type (C11 6.7.6.3 p15); clang drops it,
        # gcc does not. _Atomic stays, since it may change how the value is passed.
        params = tuple(_unqualified(self.passed(c)) for c in children if c.tag == "DW_TAG_formal_parameter")
        rest = any(c.tag == "DW_TAG_unspecified_parameters" for c in children)
        convention = number_of(die, "DW_AT_calling_convention")
        return Function(
            self.passed(die),
            params if prototyped else (),
            variadic=prototyped and rest,
            prototyped=prototyped,
            convention="sysv"
            if convention is None or convention in _SYSV
            else _CONVENTIONS.get(convention, f"DW_CC 0x{convention:x}"),
        )


def _qualified(qualifier: str, target: CType) -> CType:
    # gcc spells a noreturn function type "volatile" and a const-attribute one "const"; C has no such types.
    return target if isinstance(target, Function) else Qualified(qualifier, target)


def _unqualified(t: CType) -> CType:
    while isinstance(t, Qualified) and t.qualifier != "_Atomic":
        t = t.target
    return t


def _holding(t: CType, content: Content) -> CType:
    match t:
        case Typedef(name=name, target=target):
            return Typedef(name, _holding(target, content))
        case Qualified(qualifier=qualifier, target=target):
            return Qualified(qualifier, _holding(target, content))
        case Record():
            return replace(t, content=content)
    return t


def _record(die: Any) -> Record:
    kind = "struct" if die.tag == "DW_TAG_structure_type" else "union"
    incomplete = "DW_AT_declaration" in die.attributes
    return Record(kind, name_of(die), None if incomplete else number_of(die, "DW_AT_byte_size"))


def _base(name: str, size: int, dw_ate: int | None) -> CType:
    encoding = _ENCODINGS.get(dw_ate or 0, Encoding.OTHER)
    match encoding:
        case Encoding.COMPLEX if size in _COMPLEX and "_Float" not in name:
            return Base(_COMPLEX[size], size, encoding)
        case Encoding.FLOAT if _FLOAT.fullmatch(name):
            return Base(name, size, encoding)
        case Encoding.SIGNED | Encoding.UNSIGNED | Encoding.BOOL if not _WORDS.sub("", name).strip():
            return Base(_integer(name), size, encoding)
    return Unknown(name or "a base type without a name")


def _integer(name: str) -> str:
    """One spelling for each integer type: the words in C's usual order, "int" only where it stands alone."""
    words = name.split()
    core = [word for word in words if word not in ("int", "signed", "unsigned")]
    sign = [word for word in words if word == "unsigned" or (word == "signed" and core == ["char"])]
    return " ".join([*sign, *(core or ["int"])])
