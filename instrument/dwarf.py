# SPDX-License-Identifier: MIT
"""Object file -> the C types of the keys it was compiled to show.

Knows ELF, DWARF and how gcc and clang write C types in it. Must not know where the object came from or what
becomes of the types. Importing it costs elftools (44 ms), so import it only when a compiler has run.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct.core import ConstructError
from elftools.elf.elffile import ELFFile

from instrument.model import (
    Array,
    Base,
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

TYPE_PROBE = "__scp_"
TARGET_PROBE = "__sci_"
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


def is_x86_64(data: bytes) -> bool:
    """Whether the object is little-endian ELF64 for EM_X86_64; x32 is EM_X86_64 too, but ELF32."""
    return data[:6] == b"\x7fELF\x02\x01" and struct.unpack_from("<H", data, 18)[0] == 62


def read(data: bytes, keys: Collection[str]) -> dict[str, Probe]:
    """The probes found for `keys`; the caller must look whether one is missing."""
    elf = ELFFile(io.BytesIO(data))
    if not elf.has_dwarf_info():
        return {}
    symbols = _symbols(elf)
    defined = {s.name for s in symbols if s.section != _SHN_UNDEF}
    targets = _targets(elf, symbols)
    types = _Types()
    found: dict[str, Probe] = {}
    dwarf = _debug_information(elf, data)
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
    return {_name(die) or "" for die in tops if die.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in die.attributes}


def _probe_key(die: Any, keys: Collection[str]) -> str | None:
    if die.tag != "DW_TAG_variable":
        return None
    name = _name(die)
    if name is None or not name.startswith(TYPE_PROBE):
        return None
    key = name[len(TYPE_PROBE) :]
    return key if key in keys else None


# ---- types ----------------------------------------------------------------------------------------

_QUALIFIERS = {
    "DW_TAG_const_type": "const",
    "DW_TAG_volatile_type": "volatile",
    "DW_TAG_restrict_type": "restrict",
    "DW_TAG_atomic_type": "_Atomic",
}

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
_CONVENTIONS = {0xC0: "vectorcall", 0xC1: "ms", 0xC8: "regcall", 0xC9: "preserve_most", 0xCA: "preserve_all"}


class _Types:
    """DIEs to types, each DIE once."""

    def __init__(self) -> None:
        self._seen: dict[int, CType] = {}

    def of(self, die: Any) -> CType:
        """The type that `die` has; none at all is void."""
        if "DW_AT_type" not in die.attributes:
            return Void()
        target = die.get_DIE_from_attribute("DW_AT_type")
        known = self._seen.get(target.offset)
        if known is None:
            known = self._seen[target.offset] = self._type(target)
        return known

    def _type(self, die: Any) -> CType:
        tag = die.tag
        if tag in _QUALIFIERS:
            return _qualified(_QUALIFIERS[tag], self.of(die))
        match tag:
            case "DW_TAG_base_type":
                return _base(_name(die) or "", _number(die, "DW_AT_byte_size") or 0, _number(die, "DW_AT_encoding"))
            case "DW_TAG_pointer_type":
                return self._pointer(die)
            case "DW_TAG_typedef":
                return Typedef(_name(die) or "", self.of(die))
            case "DW_TAG_structure_type" | "DW_TAG_union_type":
                return _record(die)
            case "DW_TAG_enumeration_type":
                return self._enum(die)
            case "DW_TAG_array_type":
                return self._array(die)
            case "DW_TAG_subroutine_type":
                return self._function(die)
        return Unknown(str(tag))

    def _pointer(self, die: Any) -> CType:
        # gcc marks __seg_gs so; clang marks __ptr32 by the size, which it otherwise leaves out.
        if "DW_AT_address_class" in die.attributes or _number(die, "DW_AT_byte_size") not in (None, 8):
            return Unknown("a pointer into another address space")
        return Pointer(self.of(die))

    def _enum(self, die: Any) -> CType:
        tag, size = _name(die), _number(die, "DW_AT_byte_size")
        if "DW_AT_declaration" in die.attributes or not size:
            return Unknown(f"incomplete enum {tag or ''}".rstrip())
        underlying = self.of(die)
        while isinstance(underlying, Typedef | Qualified):
            underlying = underlying.target
        return Enum(tag, size, isinstance(underlying, Base) and underlying.encoding is Encoding.SIGNED)

    def _array(self, die: Any) -> CType:
        vector = "DW_AT_GNU_vector" in die.attributes
        lengths = [_length(child) for child in die.iter_children() if child.tag == "DW_TAG_subrange_type"]
        element = self.of(die)
        return reduce(lambda of, length: Array(of, length, vector), reversed(lengths), element)

    def _function(self, die: Any) -> Function:
        children = list(die.iter_children())
        prototyped = bool(_number(die, "DW_AT_prototyped"))
        # A qualifier on a parameter itself is no part of the function's type (C11 6.7.6.3 p15); clang drops it,
        # gcc does not. _Atomic stays, since it may change how the value is passed.
        params = tuple(_unqualified(self.of(c)) for c in children if c.tag == "DW_TAG_formal_parameter")
        rest = any(c.tag == "DW_TAG_unspecified_parameters" for c in children)
        convention = _number(die, "DW_AT_calling_convention")
        return Function(
            self.of(die),
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


def _record(die: Any) -> Record:
    kind = "struct" if die.tag == "DW_TAG_structure_type" else "union"
    incomplete = "DW_AT_declaration" in die.attributes
    return Record(kind, _name(die), None if incomplete else _number(die, "DW_AT_byte_size"))


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


def _length(subrange: Any) -> int | None:
    count = _number(subrange, "DW_AT_count")
    if count is not None:
        return count
    upper = _number(subrange, "DW_AT_upper_bound")
    return None if upper is None else upper + 1


def _name(die: Any) -> str | None:
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode("utf-8", "surrogateescape") if attribute else None


def _number(die: Any, attribute: str) -> int | None:
    """An attribute's constant; an expression or a reference, as for variable-length arrays, is none."""
    found = die.attributes.get(attribute)
    if found is None or not isinstance(found.value, int):
        return None
    if found.form.startswith(("DW_FORM_ref", "DW_FORM_exprloc")):
        return None
    return int(found.value)


_R_X86_64_64, _R_X86_64_32 = 1, 10


def _debug_information(elf: ELFFile, data: bytes) -> Any:
    """The debug information with its relocations applied, as if each section lay at 0.

    All of them lead into other debug sections, or to code, which nothing here looks at. elftools does this as
    well, but takes 0.3 ms for each, two thirds of the whole time; compressed sections are left to it.
    """
    relocations = list(elf.iter_sections("SHT_RELA"))
    targets = [elf.get_section(section["sh_info"]) for section in relocations]
    if any(target.compressed for target in targets):
        return elf.get_dwarf_info()
    done = bytearray(data)
    for section, target in zip(relocations, targets, strict=True):
        if target.name.startswith(".debug_"):
            for offset, info, addend in struct.iter_unpack("<QQq", section.data()):
                at = target["sh_offset"] + offset
                if info & 0xFFFFFFFF == _R_X86_64_32:
                    struct.pack_into("<I", done, at, addend & 0xFFFFFFFF)
                elif info & 0xFFFFFFFF == _R_X86_64_64:
                    struct.pack_into("<q", done, at, addend)
    return ELFFile(io.BytesIO(done)).get_dwarf_info(relocate_dwarf_sections=False)


# ---- initial targets ------------------------------------------------------------------------------

# gcc appends ".0" to a static of a function, clang puts "function." before it.
_TARGET = re.compile(rf"(?:^|\.){TARGET_PROBE}([^.]+)(?:\.\d+)?$")
_STT_FUNC, _STT_SECTION = 2, 3
_STB_LOCAL, _STB_WEAK = 0, 2
_SHN_UNDEF = 0


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    kind: int
    bind: int
    section: int
    value: int

    @property
    def target(self) -> Target:
        return Target(self.name, self.bind == _STB_LOCAL)


def _targets(elf: ELFFile, symbols: Sequence[_Symbol]) -> dict[str, Target]:
    """Key -> the function that its `__sci_` pointer is relocated to."""
    probes = [(m[1], s) for s in symbols if (m := _TARGET.search(s.name))]
    if not probes:
        return {}
    relocations = _relocations(elf, {s.section for _, s in probes})
    functions: dict[tuple[int, int], set[Target]] = {}
    for s in symbols:
        if s.kind == _STT_FUNC:
            functions.setdefault((s.section, s.value), set()).add(s.target)
    named: dict[str, set[Target]] = {}
    for key, probe in probes:
        if (probe.section, probe.value) in relocations:
            index, addend = relocations[probe.section, probe.value]
            symbol = symbols[index]
            # A weak function that nobody defines is NULL, and a jump to it a crash: the slot knows better.
            missing = symbol.bind == _STB_WEAK and symbol.section == _SHN_UNDEF
            local = symbol.kind == _STT_SECTION
            found = functions.get((symbol.section, addend), set()) if local else {symbol.target}
            named.setdefault(key, set()).update(() if missing else found)
    return {key: next(iter(names)) for key, names in named.items() if len(names) == 1}


def _symbols(elf: ELFFile) -> list[_Symbol]:
    """The symbol table. Read by hand: elftools takes 40 us a symbol, and sqlite3.c has 3,000."""
    table = elf.get_section_by_name(".symtab")
    if table is None:
        return []
    names = elf.get_section(table["sh_link"]).data()
    return [
        _Symbol(
            names[at : names.index(b"\0", at)].decode("utf-8", "surrogateescape"),
            info & 15,
            info >> 4,
            section,
            value,
        )
        for at, info, _, section, value, _ in struct.iter_unpack("<IBBHQQ", table.data())
    ]


def _relocations(elf: ELFFile, sections: Collection[int]) -> dict[tuple[int, int], tuple[int, int]]:
    """(section, offset) -> (symbol's index, addend) of the 64-bit absolute relocations."""
    return {
        (section["sh_info"], offset): (info >> 32, addend)
        for section in elf.iter_sections("SHT_RELA")
        if section["sh_info"] in sections
        for offset, info, addend in struct.iter_unpack("<QQq", section.data())
        if info & 0xFFFFFFFF == _R_X86_64_64
    }
