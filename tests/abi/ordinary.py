# SPDX-License-Identifier: MIT
"""Which functions the inline form has to carry: a small second opinion, from the psABI's text alone.

Only for types that every compiler passes alike; about all others it says nothing.
"""

from __future__ import annotations

from tests.abi.function import Function
from tests.abi.types import VOID, Atom, Class, Member, Record, Type

MAX_INLINE_SIZE = 16
MAX_OPERANDS = 30
"""What gcc's asm takes; an operand that is read and written counts twice."""

Spans = list[tuple[int, int, Class]]
"""Bit offset, width and class of every scalar."""


def is_ordinary(t: Type) -> bool:
    if isinstance(t, Atom):
        return t.ordinary
    if t.odd or t.attribute or not t.members:
        return False
    return all(is_ordinary(m.type) and not m.attribute and (m.bits is None or m.name) for m in t.members)


def small_record(t: Type) -> bool:
    """Whether it is a struct or union of at most sixteen bytes that has only ordinary members."""
    return isinstance(t, Record) and is_ordinary(t) and 0 < layout(t)[0] <= MAX_INLINE_SIZE * 8


def layout(t: Type) -> tuple[int, int, Spans]:
    """Size and alignment in bits of an ordinary type, and the scalars in it (psABI 3.1.2)."""
    if isinstance(t, Atom):
        return t.size * 8, atom_align(t), [(0, t.size * 8, t.cls)]
    end, align = 0, 8
    spans: Spans = []
    for m in t.members:
        start = 0 if t.kind == "union" else end
        start, stop, member_align, inside = _place(m, start)
        spans += inside
        align = max(align, member_align)
        end = max(end, stop)
    return -(-end // align) * align, align, spans


def atom_align(t: Atom) -> int:
    return (t.size // 2 if "_Complex" in t.declared else t.size) * 8


def _place(m: Member, start: int) -> tuple[int, int, int, Spans]:
    size, align, inside = layout(m.type)
    if m.bits is not None:
        # A bit-field must lie within one unit of its declared type.
        if start // size != (start + m.bits - 1) // size:
            start = -(-start // size) * size
        return start, start + m.bits, align, [(start, m.bits, Class.INTEGER)]
    count = 1
    for length in m.lengths:
        count *= length or 0
    start = -(-start // align) * align
    spans = [(start + n * size + at, width, cls) for n in range(count) for at, width, cls in inside]
    return start, start + count * size, align, spans


def eightbytes(t: Type) -> list[Class]:
    """The classes of an ordinary value's eightbytes; MEMORY alone, or OTHER for what this module leaves open."""
    size, _, spans = layout(t)
    if isinstance(t, Atom) and t.cls is Class.OTHER:
        return [Class.OTHER]
    if isinstance(t, Record) and size > MAX_INLINE_SIZE * 8:
        return [Class.MEMORY]
    if any(cls is Class.OTHER for _, _, cls in spans):
        return [Class.OTHER]
    classes = [Class.SSE] * -(-size // 64)
    for at, width, cls in spans:
        if cls is Class.INTEGER:
            for n in range(at // 64, (at + width - 1) // 64 + 1):
                classes[n] = cls
    return classes


def must_be_inline(fn: Function) -> bool:
    """Whether no reason is good enough to leave `fn` to the trampoline."""
    if not fn.sysv or fn.variadic or not fn.prototyped or fn.attribute or fn.result_qualifier:
        return False
    if any("_Atomic" in p.text for p in fn.params):
        return False
    if not all(map(is_ordinary, (*fn.values, fn.result))):
        return False
    integers, sse, results = _result_registers(fn.result)
    for t in fn.values:
        # A vector of sixteen bytes takes one register.
        classes = [Class.SSE] if isinstance(t, Atom) and "vector_size(16)" in t.definition else eightbytes(t)
        if not set(classes) <= {Class.INTEGER, Class.SSE}:
            return False
        integers += classes.count(Class.INTEGER)
        sse += classes.count(Class.SSE)
    return integers <= 6 and sse <= 8 and 2 * (integers + sse) + 2 + results <= MAX_OPERANDS


def _result_registers(t: Type) -> tuple[int, int, int]:
    """INTEGER and SSE registers that a result takes from the arguments, and how many outputs it is."""
    if t == VOID:
        return 0, 0, 0
    if eightbytes(t) == [Class.MEMORY]:
        return 1, 0, 1
    return 0, 0, len(eightbytes(t))
