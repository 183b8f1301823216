# SPDX-License-Identifier: MIT
"""Function type -> the registers that its values travel in, or why they do not.

Written from "System V Application Binary Interface, AMD64 Architecture Processor Supplement", section 3.2.3
(parameter passing). Pure: types in, registers out. Must not know C text, modes or compilers.

First every value is classified, then registers are dealt out in order, as the document does it. This version
carries the one-eightbyte classes INTEGER and SSE; whatever has another class is refused by name in `_class`,
which is the one place to teach more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum as Enumeration

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
    Refusal,
    Signature,
    Typedef,
    Unknown,
    Value,
    Void,
)


class Class(Enumeration):
    """The classes of 3.2.3 "Classification" that this version assigns."""

    INTEGER = "INTEGER"
    SSE = "SSE"


@dataclass(frozen=True, slots=True)
class _Scalar:
    cls: Class
    size: int
    signed: bool


# 3.2.3 "Passing", rules 2 and 3: the next available register of this sequence.
_SEQUENCE = {
    Class.INTEGER: ("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    Class.SSE: tuple(f"xmm{n}" for n in range(8)),
}
# 3.2.3 "Returning of Values", rules 3 and 4.
_RESULT = {Class.INTEGER: "rax", Class.SSE: "xmm0"}


def classify(fn: Function) -> Signature | Refusal:
    """How a call of `fn` passes its values."""
    refusal = _form(fn)
    if refusal:
        return refusal
    result = _result(fn.result)
    if isinstance(result, Refusal):
        return result
    free = _Registers()
    params = []
    for number, t in enumerate(fn.params, 1):
        value = free.take(t, f"parameter {number} ({_describe(t)})")
        if isinstance(value, Refusal):
            return value
        params.append(value)
    return Signature(fn, tuple(params), result)


def _form(fn: Function) -> Refusal | None:
    """What rules the function out before any value is looked at."""
    if fn.convention != "sysv":
        return Refusal("IN024", f"the function has the calling convention {fn.convention}")
    if not fn.prototyped:
        return Refusal("IN023", "the function has no prototype, so its parameters are not known")
    if fn.variadic:
        # 3.2.3: %al must hold the number of vector registers used, which only the caller knows.
        return Refusal("IN022", f"the function takes further arguments after parameter {len(fn.params)}")
    return None


def _result(t: CType) -> Value | Refusal | None:
    if isinstance(_plain(t), Void):
        return None
    found = _class(t, f"the result ({_describe(t)})", is_result=True)
    if isinstance(found, Refusal):
        return found
    return Value(t, _RESULT[found.cls], found.size, found.signed)


@dataclass(slots=True)
class _Registers:
    """3.2.3 "Passing": registers get assigned in left-to-right order; what finds none is passed in memory."""

    used: dict[Class, int] = field(default_factory=lambda: dict.fromkeys(Class, 0))

    def take(self, t: CType, where: str) -> Value | Refusal:
        found = _class(t, where, is_result=False)
        if isinstance(found, Refusal):
            return found
        sequence, next_ = _SEQUENCE[found.cls], self.used[found.cls]
        if next_ == len(sequence):
            taken = f"all {len(sequence)} {found.cls.value} registers are taken"
            return Refusal("IN020", f"{where} is on the stack: {taken}")
        self.used[found.cls] = next_ + 1
        return Value(t, sequence[next_], found.size, found.signed)


def _class(t: CType, where: str, *, is_result: bool) -> _Scalar | Refusal:
    """3.2.3 "Classification" of one value; `where` names it in a refusal."""
    if _is_atomic(t):
        # Compilers disagree about _Atomic aggregates, and clang gives one a size of its own (parsing.md 3.6).
        return Refusal("IN021", f"{where} is _Atomic")
    plain = _plain(t)
    match plain:
        case Pointer():
            return _Scalar(Class.INTEGER, 8, False)
        case Enum(size=1 | 2 | 4 | 8 as size):
            return _Scalar(Class.INTEGER, size, plain.signed)
        case Base():
            return _arithmetic(plain, where, is_result)
        case Record():
            return _record(plain, where)
        case Array(vector=True):
            return Refusal("IN021", f"{where} is a vector")
        case Unknown():
            return Refusal("IN026", f"{where} is of a kind that is not known here: {plain.what}")
    return Refusal("IN021", f"{where} is not a value that can be passed")


def _arithmetic(t: Base, where: str, is_result: bool) -> _Scalar | Refusal:
    match t:
        # "Arguments of types (signed and unsigned) _Bool, char, short, int, long, long long, and pointers are
        # in the INTEGER class."
        case Base(encoding=Encoding.SIGNED | Encoding.UNSIGNED | Encoding.BOOL, size=1 | 2 | 4 | 8):
            return _Scalar(Class.INTEGER, t.size, t.encoding is Encoding.SIGNED)
        # "Arguments of types float, double ... are in class SSE." long double is one too under -mlong-double-64.
        case Base(encoding=Encoding.FLOAT, size=4 | 8):
            return _Scalar(Class.SSE, t.size, False)
        # X87 and COMPLEX_X87 have no registers for arguments ("Passing", rule 5): memory. The name is all that
        # tells long double and _Float64x from the 16-byte SSE types; under -mlong-double-128 not even it does.
        case Base(name="long double" | "_Float64x" | "long double _Complex") if not is_result:
            return Refusal("IN020", f"{where} is on the stack, as every x87 argument")
        case Base(name="long double" | "_Float64x" | "long double _Complex"):
            return Refusal("IN021", f"{where} is in the x87 registers")
        case Base(size=16, encoding=Encoding.FLOAT):
            return Refusal("IN021", f"{where} is of class SSE and SSEUP")
        case Base(encoding=Encoding.COMPLEX):
            return Refusal("IN021", f"{where} is a complex number")
        case Base(size=16, encoding=Encoding.SIGNED | Encoding.UNSIGNED):
            return Refusal("IN021", f"{where} is in two registers")
    return Refusal("IN021", f"{where} is of an arithmetic type that the inline form does not carry")


def _record(t: Record, where: str) -> Refusal:
    if t.size is None:
        return Refusal("IN021", f"{where} is incomplete here, so how it is passed is not known")
    # "If the size of an object is larger than eight eightbytes, or it contains unaligned fields, it has class
    # MEMORY", and after the post-merger step 5(c) so has all above two eightbytes that is not one SSE value.
    # A union of one __m256 is that exception; it needs more than the inline form carries in either case.
    if t.size > 16:
        return Refusal("IN020", f"{where} is a {t.kind} of {t.size} bytes in memory")
    return Refusal("IN021", f"{where} is a {t.kind} passed by value")


def _plain(t: CType) -> CType:
    while isinstance(t, Typedef | Qualified):
        t = t.target
    return t


def _is_atomic(t: CType) -> bool:
    while isinstance(t, Typedef | Qualified):
        if isinstance(t, Qualified) and t.qualifier == "_Atomic":
            return True
        t = t.target
    return False


def _describe(t: CType) -> str:
    """A value's type for a reason: enough to find it in the source, not always C."""
    match t:
        case Typedef(name=name) | Base(name=name):
            return name
        case Record(kind=kind, tag=tag):
            return f"{kind} {tag}" if tag else f"an unnamed {kind}"
        case Enum(tag=tag):
            return f"enum {tag}" if tag else "an unnamed enum"
        case Qualified(qualifier=qualifier, target=target):
            return f"{qualifier} {_describe(target)}"
        case Pointer():
            return "a pointer"
        case Array(of=of, length=length, vector=True):
            return f"a vector of {length} {_describe(of)}"
        case Unknown(what=what):
            return what
    return type(t).__name__.lower()
