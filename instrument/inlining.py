# SPDX-License-Identifier: MIT
"""Which calls a compiler may make part of a function that is compiled for other registers: a wide one, here.

Knows C's declarations by their words alone, and errs to the side of too many. What is inlined into a wide function is
named by it, or by what it names in turn, or its address has come there: as an argument, a result, or the one value
of a variable (each seen; with gcc 12 -O3, a callback's call lost the mask registers of what it was passed to).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set

from instrument.preprocessed import Declaration
from instrument.value import dataclass

# xmm16-31, masks and r16-31 can be named as changed only where a function is compiled for them; and what a wrapper
# names must be there.
TARGET = re.compile(
    rb"target(?:_clones)?(?:__)?\s*\([^;{}]*?(?:avx512|avx10|apx|arch=|general-regs-only|no-(?:sse|mmx|80387)\b)"
)
_WORD = re.compile(rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*+")
_CALLED = re.compile(_WORD.pattern + rb"(?=\s*\()")
_NOT_CALLED = re.compile(_WORD.pattern + rb"(?!\s*\()")
_DIRECTIVE = re.compile(rb"^[ \t]*#.*", re.MULTILINE)
_LITERAL = re.compile(rb'"(?:[^"\\]|\\.)*"')
# `(*p)`, and the `(f)` of `(f)(int)`, hold what is declared; no other group does.
_GROUP = re.compile(rb"\(\s*(?:([*^][^()]*)|([\w$]+)\s*(?=\)\s*\()|[^()]*)\)|\[[^\[\]]*\]|\{[^{}]*\}")
_STATIC = re.compile(rb"\bstatic\b")
_BEHIND_A_NAME = re.compile(rb"=.*|\b__attribute(?:__)?\b|\b(?:__)?asm(?:__)?\b", re.DOTALL)
_TAG = re.compile(rb"\s*(?:struct|union|enum)(?:\s+[\w$]+)?\s*")
_OURS = (b"__SCK__", b"__SCT__", b"__static_call_")


def exposed(text: bytes, declarations: Sequence[Declaration], positions: Iterable[int]) -> set[int]:
    """The positions that are, or may come to be, in a wide function of the unit `text`."""
    if not declarations or b"target" not in text or not TARGET.search(text):
        return set()
    unit = [_read(text, declaration) for declaration in declarations]
    if any(one.is_function and not one.names for one in unit):
        return set(positions)
    unsafe = _unsafe(unit)
    starts = [declaration.span.start for declaration in declarations]
    around = {at: unit[bisect_right(starts, at) - 1] for at in positions}
    return {at for at, one in around.items() if not one.is_function or one.names & unsafe}


# ---- what inlines what ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Declared:
    """`names` are what it declares, `words` all that it mentions, `addresses` those of them that it does not call.

    `lasts` tells that an address can be put there by one function and taken by another.
    """

    names: frozenset[bytes]
    words: frozenset[bytes]
    addresses: frozenset[bytes]
    is_function: bool
    is_wide: bool
    lasts: bool


def _unsafe(unit: Sequence[_Declared]) -> set[bytes]:
    """The names of the functions that are wide or that may be inlined into such."""
    mentions: dict[bytes, set[bytes]] = defaultdict(set)
    mentioned: dict[bytes, set[bytes]] = defaultdict(set)
    addresses: dict[bytes, set[bytes]] = defaultdict(set)
    for one in unit:
        for name in one.names:
            mentions[name] |= one.words
            addresses[name] |= one.addresses
        for word in one.words:
            mentioned[word] |= one.names
    functions = {name for one in unit if one.is_function for name in one.names}
    wide = {name for one in unit if one.is_wide for name in one.names} & functions
    lasting = {name for one in unit if one.lasts for name in one.names}
    # An address comes into a wide function from one that leads to it, or that has to do with the same variables.
    linked = _reach(mentioned, wide)
    while further := (handled := _reach(mentions, linked & functions)) & lasting - linked:
        linked = _reach(mentioned, linked | further)
    passed = {word for name in handled & addresses.keys() for word in addresses[name]}
    return _reach(mentions, wide | passed)


def _reach(graph: Mapping[bytes, Set[bytes]], start: Iterable[bytes]) -> set[bytes]:
    """`start` and everything that leads to, by any number of steps."""
    found = set(start)
    ahead = list(found)
    while ahead:
        more = graph.get(ahead.pop(), set()) - found
        found |= more
        ahead += more
    return found


# ---- reading a declaration --------------------------------------------------------------------------


def _read(text: bytes, declaration: Declaration) -> _Declared:
    span, body = declaration.span, declaration.body
    behind = body.start if body else span.end
    head = _DIRECTIVE.sub(b"", text[span.start : behind])
    inside = _DIRECTIVE.sub(b"", text[behind : span.end])
    # With K&R parameters a body stands by itself, and belongs to nobody knows whom.
    is_function = body is not None or head.lstrip().startswith(b"{")
    flat = _flat(head)
    names = _names(flat)
    if not is_function:
        # What a key holds changes while the program runs, and no compiler counts on it.
        names = frozenset(name for name in names if not name.startswith(_OURS))
    lasts = _STATIC.search(inside) is not None if is_function else _is_variable(head, flat, names)
    return _Declared(
        names,
        frozenset(_WORD.findall(head) + _WORD.findall(inside)),
        frozenset(_NOT_CALLED.findall(head) + _NOT_CALLED.findall(inside)),
        is_function,
        is_wide=TARGET.search(head) is not None,
        lasts=lasts,
    )


def _flat(head: bytes) -> bytes:
    """A declaration without parameters, attributes, members and initialisers: types, names and asterisks."""
    head, more = _LITERAL.sub(b"", head), 1
    while more:
        head, more = _GROUP.subn(lambda m: b" " + (m[1] or m[2] or b"") + b" ", head)
    return head


def _names(flat: bytes) -> frozenset[bytes]:
    parts = [_BEHIND_A_NAME.sub(b"", part) for part in flat.rstrip(b";").split(b",")]
    return frozenset(words[-1] for part in parts if not _TAG.fullmatch(part) and (words := _WORD.findall(part)))


def _is_variable(head: bytes, flat: bytes, names: Set[bytes]) -> bool:
    """Whether it can be written to; a function's pointer is taken for one, a function's prototype is not."""
    constant = b"const" in flat and b"*" not in flat
    return not constant and b"typedef" not in flat and names.isdisjoint(_CALLED.findall(head))
