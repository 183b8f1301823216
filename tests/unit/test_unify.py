# SPDX-License-Identifier: MIT
"""instrument.unify: which descriptions are of one type, and what is kept of two."""

from __future__ import annotations

import pytest

from instrument.model import (
    Array,
    Base,
    Content,
    CType,
    Encoding,
    Enum,
    Field,
    Function,
    Pointer,
    Qualified,
    Record,
    Typedef,
    Void,
)
from instrument.unify import function, unify
from instrument.value import replace

INT = Base("int", 4, Encoding.SIGNED)
FLOAT = Base("float", 4, Encoding.FLOAT)
CONTENT = Content((Field(INT, 0, 32),))
PET = Record("struct", "pet", 4, CONTENT)
NEVER = Record("struct", "pet", None)
UNNAMED = replace(PET, tag=None)


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        (INT, INT, INT),
        (INT, FLOAT, None),
        (Typedef("t", INT), INT, INT),
        (Typedef("t", INT), Typedef("u", INT), INT),
        (Typedef("t", INT), Typedef("t", FLOAT), None),
        (PET, NEVER, NEVER),
        (Pointer(PET), Pointer(NEVER), Pointer(NEVER)),
        (PET, Record("union", "pet", 4, CONTENT), None),
        (PET, replace(PET, size=8), None),
        (PET, replace(PET, content=Content((Field(FLOAT, 0, 32),))), None),
        (PET, replace(PET, content=None), replace(PET, content=None)),
        (Typedef("t", UNNAMED), Typedef("t", UNNAMED), Typedef("t", UNNAMED)),
        (Typedef("t", UNNAMED), Typedef("u", UNNAMED), None),
        (Typedef("t", UNNAMED), Typedef("t", replace(UNNAMED, size=None, content=None)), None),
        (Qualified("const", INT), INT, None),
        (Enum("e", 4, True), INT, INT),
        (Enum("e", 4, False), INT, None),
        (Enum("e", 4, True), Enum("f", 4, True), None),
        (Pointer(Array(INT, None)), Pointer(Array(INT, 3)), Pointer(Array(INT, None))),
        (Pointer(Array(INT, 4)), Pointer(Array(INT, 3)), None),
    ],
)
def test_pairs(a: CType, b: CType, both: CType | None) -> None:
    assert unify(a, b) == both
    assert unify(b, a) == both


def test_a_doubt_of_one_unit_is_a_doubt() -> None:
    """One unit's text may hold an attribute that another's does not, and lines differ where headers do."""
    doubted = replace(PET, content=replace(CONTENT, doubt="an _Atomic member", unseen="may be", lines=(7,)))
    for found in (unify(PET, doubted), unify(doubted, PET)):
        assert isinstance(found, Record) and found.content
        assert (found.content.doubt, found.content.unseen) == ("an _Atomic member", "may be")
    assert replace(PET, content=replace(CONTENT, lines=(7,))) == PET


def test_functions() -> None:
    one = Function(INT, (Pointer(PET),), False)
    assert function(one, replace(one, params=(Pointer(NEVER),))) == replace(one, params=(Pointer(NEVER),))
    assert function(one, replace(one, params=(), prototyped=False)) == replace(one, params=(), prototyped=False)
    assert function(one, replace(one, result=Void())) is None
    assert function(one, replace(one, variadic=True)) is None
    assert function(one, replace(one, params=())) is None
    assert function(one, replace(one, convention="ms")) is None
