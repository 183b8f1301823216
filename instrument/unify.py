# SPDX-License-Identifier: MIT
"""What two translation units say of one type -> a type that is right in both, or None.

Knows which C types are compatible (C11 6.2.7). Must not know how the types were found.

Of two descriptions the weaker one is kept: an incomplete struct over a complete one, no typedef over a typedef
of one side only. So whatever is built from the result compiles in every unit.
"""

from __future__ import annotations

from instrument.model import Array, Base, CType, Encoding, Enum, Function, Pointer, Qualified, Record, Typedef
from instrument.value import replace


def unify(a: CType, b: CType) -> CType | None:
    """The type that `a` and `b` both are."""
    if a == b:
        return a
    match a, b:
        case (Typedef(name=x), Typedef(name=y)) if x == y:
            target = unify(a.target, b.target)
            return target and Typedef(x, target)
        case (Typedef(), _) | (_, Typedef()):
            return _expanded(a, b)
        case Pointer(), Pointer():
            to = unify(a.to, b.to)
            return to and Pointer(to)
        case (Qualified(qualifier=x), Qualified(qualifier=y)) if x == y:
            target = unify(a.target, b.target)
            return target and Qualified(x, target)
        case Record(), Record():
            return _record(a, b)
        case (Enum(), Base()) | (Base(), Enum()):
            return _integer(a, b)
        case Array(), Array():
            return _array(a, b)
        case Function(), Function():
            return function(a, b)
    return None


def function(a: Function, b: Function) -> Function | None:
    """As `unify`; without a prototype in one unit the whole is without one."""
    result = unify(a.result, b.result)
    if result is None or a.convention != b.convention:
        return None
    if not (a.prototyped and b.prototyped):
        return replace(a, result=result, params=(), variadic=False, prototyped=False)
    if len(a.params) != len(b.params) or a.variadic != b.variadic:
        return None
    params = [p for x, y in zip(a.params, b.params, strict=True) if (p := unify(x, y)) is not None]
    return replace(a, result=result, params=tuple(params)) if len(params) == len(a.params) else None


def _expanded(a: CType, b: CType) -> CType | None:
    a, b = _target(a), _target(b)
    # Two typedefs of unnamed structs are two types, however alike their descriptions are.
    if isinstance(a, Record | Enum) and a.tag is None:
        return None
    return unify(a, b)


def _target(t: CType) -> CType:
    while isinstance(t, Typedef):
        t = t.target
    return t


def _record(a: Record, b: Record) -> Record | None:
    if (a.kind, a.tag) != (b.kind, b.tag):
        return None
    if a.size is None or b.size is None:
        return None if a.tag is None else replace(a, size=None, content=None)
    if a.size != b.size:
        return None
    if a.content is None or b.content is None:
        return replace(a, content=None)
    if a.content.fields != b.content.fields:
        return None
    # What one unit's text hides, another's need not.
    doubt, unseen = a.content.doubt or b.content.doubt, a.content.unseen or b.content.unseen
    return replace(a, content=replace(a.content, doubt=doubt, unseen=unseen))


def _integer(a: CType, b: CType) -> CType | None:
    """C11 6.7.2.2 p4: an enumerated type is compatible with the integer type that it is represented by."""
    enum, base = (a, b) if isinstance(a, Enum) else (b, a)
    assert isinstance(enum, Enum) and isinstance(base, Base)
    encoding = Encoding.SIGNED if enum.signed else Encoding.UNSIGNED
    same = base.encoding is encoding and base.size == enum.size and base.name != "char"
    return base if same else None


def _array(a: Array, b: Array) -> Array | None:
    of = unify(a.of, b.of)
    if of is None or a.vector != b.vector or (a.length != b.length and None not in (a.length, b.length)):
        return None
    return Array(of, a.length if a.length == b.length else None, a.vector)
