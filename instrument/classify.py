# SPDX-License-Identifier: MIT
"""Function type -> the registers that its values travel in, or why they do not.

Written from "System V Application Binary Interface, AMD64 Architecture Processor Supplement", section 3.2.3
(parameter passing). Pure: types in, registers out. Must not know C text, modes or compilers.

First every value is classified, eightbyte by eightbyte; then registers are dealt out in order, as the document
does it. What compilers are known to pass in different ways (docs/design.md section 2) is refused (IN038), and so is
every type that is not named here.
"""

from __future__ import annotations

from enum import Enum as Enumeration

from instrument.model import (
    Array,
    Base,
    CType,
    Encoding,
    Enum,
    Field,
    Function,
    Piece,
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
from instrument.value import dataclass, field


class Class(Enumeration):
    """The classes of 3.2.3 "Classification", each of one eightbyte; COMPLEX_X87 and MEMORY are of a whole value."""

    NO_CLASS = "NO_CLASS"
    INTEGER = "INTEGER"
    SSE = "SSE"
    SSEUP = "SSEUP"
    X87 = "X87"
    X87UP = "X87UP"
    COMPLEX_X87 = "COMPLEX_X87"
    MEMORY = "MEMORY"


Classes = tuple[Class, ...]

_X87 = frozenset({Class.X87, Class.X87UP, Class.COMPLEX_X87})

# 3.2.3 "Passing", rules 2 and 3: the next available register of this sequence.
_ARGUMENTS = {
    Class.INTEGER: ("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    Class.SSE: tuple(f"xmm{n}" for n in range(8)),
}
# 3.2.3 "Returning of Values", rules 3, 4, 6 and 8 (7: "X87UP ... together with the previous X87 value in %st0").
_RESULTS = {
    Class.INTEGER: ("rax", "rdx"),
    Class.SSE: ("xmm0", "xmm1"),
    Class.X87: ("st0",),
    Class.COMPLEX_X87: ("st0", "st1"),
}


def classify(fn: Function) -> Signature | Refusal:
    """How a call of `fn` passes its values."""
    refusal = _form(fn)
    if refusal:
        return refusal
    result = _result(fn.result)
    if isinstance(result, Refusal):
        return result
    # "Returning of Values", rule 2: the address of the memory "as if it were the first argument".
    arguments = _Registers(_ARGUMENTS, {Class.INTEGER: 1 if result and not result.pieces else 0})
    params = []
    for number, t in enumerate(fn.params, 1):
        value = _argument(t, f"parameter {number} ({_describe(t)})", arguments)
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


# ---- 3.2.3 "Passing" and "Returning of Values" -------------------------------------------------------


@dataclass(slots=True)
class _Registers:
    """The registers of each class, dealt out in their order."""

    sequences: dict[Class, tuple[str, ...]]
    used: dict[Class, int] = field(default_factory=dict)

    def take(self, classes: Classes, size: int) -> tuple[Piece, ...] | None:
        """A value's pieces; None, and no register taken, if there are not enough for all its eightbytes."""
        used, pieces = dict(self.used), []
        for i, cls in enumerate(classes):
            if cls in self.sequences:
                number = used.get(cls, 0)
                if number == len(self.sequences[cls]):
                    return None
                used[cls] = number + 1
                # An SSEUP or X87UP is in the upper half of the register before it; so is half of a COMPLEX_X87.
                width = 8 if cls in (Class.INTEGER, Class.SSE) and not _goes_on(classes, i) else 16
                start = 8 * i if cls is not Class.COMPLEX_X87 else 16 * i
                pieces.append(Piece(self.sequences[cls][number], start, min(width, size - start)))
        self.used = used
        return tuple(pieces)


def _goes_on(classes: Classes, i: int) -> bool:
    return i + 1 < len(classes) and classes[i + 1] in (Class.SSEUP, Class.X87UP)


def _argument(t: CType, where: str, registers: _Registers) -> Value | Refusal:
    classes = _classes(t, where)
    if isinstance(classes, Refusal):
        return classes
    if classes[0] is Class.MEMORY or classes[0] in _X87:
        # "Passing", rule 5: "class is X87, X87UP or COMPLEX_X87, it is passed in memory".
        what = "every x87 argument" if classes[0] in _X87 else "every argument of class MEMORY"
        return Refusal("IN020", f"{where} is on the stack, as {what}")
    pieces = registers.take(classes, _size(t))
    if pieces is None:
        return Refusal("IN020", f"{where} is on the stack: not enough registers are left")
    return Value(t, _size(t), pieces, _signed(t))


def _result(t: CType) -> Value | Refusal | None:
    if isinstance(_plain(t), Void):
        return None
    classes = _classes(t, f"the result ({_describe(t)})")
    if isinstance(classes, Refusal):
        return classes
    # Two registers of each class are enough for whatever is not of class MEMORY.
    pieces = _Registers(_RESULTS).take(classes, _size(t)) or ()
    return Value(t, _size(t), pieces, _signed(t))


# ---- 3.2.3 "Classification" ---------------------------------------------------------------------------


def _classes(t: CType, where: str) -> Classes | Refusal:
    """The classes of a value's eightbytes; `where` names it in a refusal."""
    if _is_atomic(t):
        return Refusal("IN038", f"{where} is _Atomic")
    plain = _plain(t)
    if isinstance(plain, Record):
        return _record(plain, where)
    return _scalar(plain) or _unknown(plain, where)


def _scalar(t: CType) -> Classes | None:
    """The classes of what is not a record; None if they are not certain."""
    match t:
        # "Arguments of types (signed and unsigned) _Bool, char, short, int, long, long long, and pointers are
        # in the INTEGER class." Enumerated types are integers (figure 3.1).
        case Pointer() | Enum(size=1 | 2 | 4 | 8):
            return (Class.INTEGER,)
        case Base(encoding=Encoding.SIGNED | Encoding.UNSIGNED | Encoding.BOOL, size=1 | 2 | 4 | 8):
            return (Class.INTEGER,)
        # "Arguments of type __int128 offer the same operations as INTEGERs, yet they do not fit into one
        # general purpose register but require two registers."
        case Base(encoding=Encoding.SIGNED | Encoding.UNSIGNED, size=16):
            return (Class.INTEGER, Class.INTEGER)
        # "Arguments of type long double: the 64-bit mantissa is class X87, the 16-bit exponent plus 6 bytes of
        # padding belongs to class X87UP." Only the name tells it from the 16-byte type of SSE (parsing.md 3.5).
        case Base(name="long double" | "_Float64x", size=16):
            return (Class.X87, Class.X87UP)
        case Base(name="long double _Complex", size=32):
            return (Class.COMPLEX_X87, Class.COMPLEX_X87)
        # "Arguments of types __float128 and __m128 are split into two halves", SSE and SSEUP.
        case Base(name="__float128" | "_Float128", size=16):
            return (Class.SSE, Class.SSEUP)
        # "Arguments of types _Float16, float, double and __m64 are in class SSE."
        case Base(name="_Float16", encoding=Encoding.FLOAT, size=2) | Base(encoding=Encoding.FLOAT, size=4 | 8):
            return (Class.SSE,)
        # "complex T ... is treated as struct { T real; T imag; }".
        case Base(encoding=Encoding.COMPLEX, size=8 | 16):
            return (Class.SSE,) * (t.size // 8)
        case Array(vector=True):
            return _vector(t)
    return None


def _vector(t: Array) -> Classes | None:
    """__m64 and __m128. Compilers disagree about smaller vectors and about a vector of one double, and pass larger
    ones as the file's own -m flags have it (parsing.md 3.6)."""
    match t.of:
        case Base(encoding=Encoding.SIGNED | Encoding.UNSIGNED | Encoding.FLOAT, size=1 | 2 | 4 | 8 as size):
            if t.of.name == "_Float16":
                return None
            width = size * (t.length or 0)
            if width == 16:
                return (Class.SSE, Class.SSEUP)
            if width == 8 and size != 8:
                return (Class.SSE,)
    return None


def _unknown(t: CType, where: str) -> Refusal:
    if isinstance(t, Array) and t.vector:
        return Refusal("IN038", f"{where} is a vector that compilers pass in different ways")
    return Refusal("IN021", f"{where} is of a type that is not known here")


def _record(t: Record, where: str) -> Classes | Refusal:
    if t.size is None or t.content is None:
        return Refusal("IN021", f"{where} is incomplete here, so how it is passed is not known")
    fields = t.content.fields
    # "If the size of an object is larger than eight eightbytes ... it has class MEMORY", and by the post-merger
    # clean-up (c) so has what is above two eightbytes and not one wide vector.
    if t.size > 64 or (t.size > 16 and not any(_is_wide(field) for field in fields)):
        return (Class.MEMORY,)
    doubt = t.content.doubt or _doubt(t, fields)
    if doubt:
        return Refusal("IN038", f"{where} has {doubt}, which compilers pass in different ways")
    classes = [Class.NO_CLASS] * ((t.size + 7) // 8)
    kinds: set[Class] = set()
    for part in fields:
        found = (Class.INTEGER,) if part.bitfield else _scalar(_plain(part.type))
        if found is None:
            return Refusal("IN021", f"{where} has a member of a type that is not known here")
        kinds.update(found)
        first, last = part.start // 64, (part.start + part.width - 1) // 64
        for i in range(first, last + 1):
            classes[i] = _merged(classes[i], found[min(i - first, len(found) - 1)])
    if t.content.unseen and {*kinds, *classes} != {Class.INTEGER}:
        return Refusal("IN038", f"{where} {t.content.unseen}")
    return _cleaned(tuple(classes))


def _is_wide(part: Field) -> bool:
    """Whether a member is a vector, or what may be one, that is larger than a register."""
    return part.width > 128 and not isinstance(_plain(part.type), Base | Pointer | Enum)


def _doubt(t: Record, fields: tuple[Field, ...]) -> str | None:
    """What a record of at most 16 bytes has that compilers were seen to disagree about (parsing.md 3.6)."""
    if not any(part.start < 64 for part in fields):
        return "nothing in its first eightbyte"
    for part in fields:
        plain = _plain(part.type)
        if part.start + part.width > 8 * (t.size or 0):
            return "a member that reaches beyond its end"
        if not part.bitfield and part.start % min(part.width, 128) and not _is_complex(plain):
            # A packed struct's is in memory for all; a typedef's own smaller alignment is not (gcc 12, clang 14, 19).
            return "a member that is not aligned"
        if not part.bitfield and _is_complex(plain) and part.start % (part.width // 2):
            return "a member that is not aligned"
        if isinstance(plain, Base) and plain.name in ("__float128", "_Float128"):
            return f"a {plain.name}"
        if isinstance(plain, Base) and plain.name == "_Float16":
            return "a _Float16"
        if isinstance(plain, Array) and _vector(plain) is None:
            return "a vector of an unusual size"
    return None


def _merged(a: Class, b: Class) -> Class:
    """3.2.3 "Classification", step 4 for fields that share an eightbyte."""
    if a is b:
        return a
    pair = {a, b}
    if Class.NO_CLASS in pair:
        return b if a is Class.NO_CLASS else a
    if Class.MEMORY in pair:
        return Class.MEMORY
    if Class.INTEGER in pair:
        return Class.INTEGER
    return Class.MEMORY if pair & _X87 else Class.SSE


def _cleaned(classes: Classes) -> Classes:
    """3.2.3 "Classification", step 5, the post-merger clean-up."""
    if Class.MEMORY in classes:
        return (Class.MEMORY,)
    for i, cls in enumerate(classes):
        before = classes[i - 1] if i else Class.NO_CLASS
        if cls is Class.X87UP and before is not Class.X87:
            return (Class.MEMORY,)
        if cls is Class.SSEUP and before not in (Class.SSE, Class.SSEUP):
            return (*classes[:i], Class.SSE, *classes[i + 1 :])
    return classes


# ---- about types --------------------------------------------------------------------------------------


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


def _is_complex(t: CType) -> bool:
    return isinstance(t, Base) and t.encoding is Encoding.COMPLEX


def _size(t: CType) -> int:
    """In bytes, of a type that has classes."""
    match _plain(t):
        case Base(size=size) | Enum(size=size):
            return size
        case Record(size=int(size)):
            return size
        case Array(of=of, length=int(length)):
            return length * _size(of)
    return 8


def _signed(t: CType) -> bool:
    match _plain(t):
        case Enum(signed=signed):
            return signed
        case Base(encoding=encoding):
            return encoding is Encoding.SIGNED
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
