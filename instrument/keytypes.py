# SPDX-License-Identifier: MIT
"""One translation unit, preprocessed -> the type and the initial target of each key that it declares.

Knows how to have the compiler tell a type exactly: debug information, and assertions where that hides something.
Must not know other units, or what is done with the types.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from instrument import unseen
from instrument.compiler import ERROR, Rejected, compile_text
from instrument.folded import Folded, replaced
from instrument.model import CType, Edit, Function, Key, Qualified, Record, Span, Typedef, Unit
from instrument.value import dataclass, replace

if TYPE_CHECKING:
    from instrument.dwarf import Probe

# static_call_pointer.h says so by the width of long double's mantissa.
_QUAD = b"__scm_113"

NAME = rb"[\w$\x80-\xff]+"
_PROBE = b"__scp_"
DECLARED = re.compile(_PROBE + rb"(?<![\w$]__scp_)(" + NAME + rb")")
"""The probe variable of each key that a unit declares, in its preprocessed text."""

# gcc's, for what the psABI says of all files; a callee compiled with one may not keep what a wrapper counts on.
_CONVENTION_OPTION = re.compile(r"-f(?:call-used|call-saved|fixed)-.+|-f(?:pcc|reg)-struct-return")

_MARKER = re.compile(rb'^# (?P<line>\d+) (?P<path>"(?:[^"\\\n]|\\.)*")', re.MULTILINE)

_CONVENTION_CHECK, _EXACT_CHECK = "__scc", "__sce"


class WrongMachineError(Exception):
    """The compiler makes code for another machine than 64-bit x86-64."""


@dataclass(frozen=True, slots=True)
class Typed:
    """`keys` may lack some that were asked for; `defined` are those that the unit defines."""

    keys: Mapping[str, Key]
    defined: frozenset[str]


def read(
    unit: Unit,
    own: Folded,
    bodies: Sequence[Span],
    calls: Sequence[Edit],
    declared: Set[str],
    scratch: Path,
    whole_text: bool = True,
) -> Typed:
    """The `declared` keys, from `own`, the unit's text as it was preprocessed for the probe.

    `bodies` are its functions'; `calls` put something in place of each static call that a compiler takes. Raises
    Rejected if the compiler does not take the text, and WrongMachineError. `whole_text` asks for all of it; without,
    what is wrong inside of a function may go unnoticed.
    """
    from instrument import dwarf, objectfile

    probing = [b for b in bodies if _PROBE in own.text[b.start : b.end]]
    in_block = {decoded(m[1]) for b in probing for m in DECLARED.finditer(own.text, b.start, b.end)}
    blank = [Edit(b, b"{}") for b in bodies if b not in probing]
    whole = own.unfold(replaced(own.text, calls))
    text = own.unfold(replaced(own.text, [*blank, *calls]))
    try:
        compile_text(unit, text, ("-O0", "-c"), scratch)
    except Rejected:
        # An alias or a weakref to a function whose body is gone; such text is rare, and whole it is slow. At
        # -O0 whole text can fail by itself, where it counts on dead code being removed, so not that here.
        text = whole
        compile_text(unit, text, ("-c",), scratch)
    data = _written(unit, scratch)
    if not objectfile.is_x86_64(data):
        raise WrongMachineError
    try:
        probes = dwarf.read(data, declared, quad=_QUAD in own.text)
    except dwarf.BROKEN as e:
        raise Rejected(f"'{unit.command[0]} -c' has written an object that cannot be read: {e}") from e
    hidden = unseen.Text(text)
    option = next(filter(_CONVENTION_OPTION.fullmatch, unit.command), None)
    keys = {name: _key(name, found, name in in_block, hidden, option) for name, found in probes.items()}
    checked = _checked(
        unit, whole if whole_text else text, {name: key for name, key in keys.items() if not key.block}, scratch
    )
    return Typed({**keys, **checked}, frozenset(name for name, found in probes.items() if found.defined))


def _written(unit: Unit, scratch: Path) -> bytes:
    data = scratch.read_bytes() if scratch.is_file() else b""
    scratch.unlink(missing_ok=True)
    if not data.startswith(b"\x7fELF"):
        raise Rejected(f"'{unit.command[0]} -c' has written {'no ELF object' if data else 'no object'}")
    return data


def _key(name: str, found: Probe, block: bool, text: unseen.Text, option: str | None) -> Key:
    fn = _function(found.type)
    if fn is None:
        return Key(name, None, "what it is declared with is not a function", block=block)
    if fn.convention == "vectorcall":
        # clang's names for them have @@ in them, on the trampoline's declaration too, whatever its asm label says.
        return Key(name, None, "a vectorcall function has a name that assemblers take for a version", block=block)
    return Key(name, unseen.told(fn, text), symbol=found.symbol, block=block, option=option)


def _function(t: CType) -> Function | None:
    while isinstance(t, Typedef | Qualified):
        t = t.target
    return t if isinstance(t, Function) else None


def _checked(unit: Unit, text: bytes, keys: Mapping[str, Key], scratch: Path) -> dict[str, Key]:
    """The keys, held against the compiler once more: debug information does not tell all of a type.

    gcc 12 leaves out ms_abi, here and in what a parameter points to, noreturn there, and the const of an
    array's typedef. A wrapper of another type would not compile, or worse. Raises Rejected if `text`, with all its
    bodies, is not C: then it is the user's file that is told of, not what became of it.
    """
    from instrument import declare

    names = [name for name, key in keys.items() if key.type and not declare.unnameable(key.type)]
    assertions = {}
    for number, name in enumerate(names, 1):
        fn = keys[name].type
        assert fn is not None
        same = f"__builtin_types_compatible_p(__typeof__(*__scp_{name}), {declare.spell(fn)})"
        whole = "".join(f" && sizeof({declare.spell(t)})" for t in _records(fn))
        assertions[name] = f'# {number} "{_EXACT_CHECK}"\n_Static_assert({same}{whole}, "");\n'
    # In a function that is never closed this is an error of its own; the assertions would only look false there.
    lines = ["static int __scz(void);"]
    conventions = [name for name, key in keys.items() if key.type and key.type.convention == "sysv"]
    if b"ms_abi" in text or "-mabi=ms" in unit.command:
        lines.append(f'# 1 "{_CONVENTION_CHECK}"')
        # The typedef is the error where ms_abi is written out, the assertion where it comes from -mabi=ms.
        lines += [
            f"typedef __typeof__(*__scp_{k}) __scc_{k} __attribute__((__sysv_abi__));"
            f'_Static_assert(__builtin_types_compatible_p(__typeof__(*__scp_{k}), __scc_{k}), "");'
            for k in conventions
        ]
    text = _asserted(text, assertions)
    checked = dict(keys)
    try:
        compile_text(unit, b"\n".join((text, *map(os.fsencode, lines), b"")), ("-fsyntax-only",), scratch)
    except Rejected as e:
        errors = list(ERROR.finditer(str(e)))
        if any(error["path"] not in (_EXACT_CHECK, _CONVENTION_CHECK) for error in errors):
            raise
        for error in errors:
            if error["path"] == _EXACT_CHECK:
                name = names[int(error["line"]) - 1]
                checked[name] = replace(checked[name], inexact=True)
            else:
                name = conventions[int(error["line"]) - 1]
                fn = checked[name].type
                assert fn is not None
                checked[name] = replace(checked[name], type=replace(fn, convention="ms"))
    return checked


def _records(fn: Function) -> Iterator[CType]:
    """What a wrapper must know the size of."""
    for t in (fn.result, *fn.params):
        plain = t
        while isinstance(plain, Typedef | Qualified):
            plain = plain.target
        if isinstance(plain, Record):
            yield t


def _asserted(text: bytes, assertions: Mapping[str, str]) -> bytes:
    """`text` with each key's assertion behind its first declaration, where its wrapper will stand: a type may get its
    name, or its members, only later."""
    markers = list(_MARKER.finditer(text))
    starts = [marker.start() for marker in markers]
    parts, at, seen = [], 0, set[str]()
    for found in DECLARED.finditer(text):
        name = decoded(found[1])
        end = text.find(b";", found.end()) + 1
        if name in assertions and name not in seen and end > at:
            seen.add(name)
            parts += [text[at:end], b"\n", os.fsencode(assertions[name])]
            if i := bisect_right(starts, end):
                line = int(markers[i - 1]["line"]) + text.count(b"\n", starts[i - 1], end) - 1
                parts.append(b"# %d %b\n" % (line, markers[i - 1]["path"]))
            at = end
    return b"".join((*parts, text[at:]))


def decoded(name: bytes) -> str:
    """A key's name as the model has it."""
    return name.decode("utf-8", "surrogateescape")
