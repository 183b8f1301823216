# SPDX-License-Identifier: MIT
"""instrument.classify: the psABI's registers, and a reason for everything that has none."""

from __future__ import annotations

import pytest

from instrument.classify import classify
from instrument.diagnostics import CODES
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
    Void,
)

INT = Base("int", 4, Encoding.SIGNED)
CHAR = Base("char", 1, Encoding.SIGNED)
BOOL = Base("_Bool", 1, Encoding.BOOL)
USHORT = Base("unsigned short", 2, Encoding.UNSIGNED)
LONG = Base("long", 8, Encoding.SIGNED)
FLOAT = Base("float", 4, Encoding.FLOAT)
DOUBLE = Base("double", 8, Encoding.FLOAT)
LONG_DOUBLE = Base("long double", 16, Encoding.FLOAT)
PTR = Pointer(Void())


def registers(*params: CType, result: CType = Void()) -> list[str]:  # noqa: B008
    found = classify(Function(result, params, False))
    assert isinstance(found, Signature), found
    return [value.register for value in found.params]


def refusal(*params: CType, result: CType = Void(), **form: object) -> Refusal:  # noqa: B008
    found = classify(Function(result, params, **{"variadic": False, **form}))  # type: ignore[arg-type]
    assert isinstance(found, Refusal), found
    assert found.code in CODES
    return found


def test_the_two_sequences_are_dealt_independently() -> None:
    """The psABI's own example (figure 3.6), less its struct and long double."""
    assert registers(INT, INT, INT, DOUBLE, INT, DOUBLE, DOUBLE, INT) == [
        "rdi", "rsi", "rdx", "xmm0", "rcx", "xmm1", "xmm2", "r8",
    ]  # fmt: skip


def test_all_registers() -> None:
    assert registers(*[INT] * 6, *[FLOAT] * 8) == ["rdi", "rsi", "rdx", "rcx", "r8", "r9"] + [
        f"xmm{n}" for n in range(8)
    ]


@pytest.mark.parametrize(
    ("t", "size", "signed"),
    [
        (INT, 4, True),
        (CHAR, 1, True),
        (BOOL, 1, False),
        (USHORT, 2, False),
        (LONG, 8, True),
        (PTR, 8, False),
        (Pointer(Unknown("anything")), 8, False),
        (Enum("e", 4, True), 4, True),
        (Enum(None, 1, False), 1, False),
        (Typedef("size_t", Base("unsigned long", 8, Encoding.UNSIGNED)), 8, False),
        (Typedef("t", Qualified("const", Typedef("u", CHAR))), 1, True),
        (Pointer(Qualified("_Atomic", INT)), 8, False),
    ],
)
def test_integers_carry_what_their_extension_needs(t: CType, size: int, signed: bool) -> None:
    found = classify(Function(t, (t,), False))
    assert isinstance(found, Signature)
    (value,) = found.params
    assert (value.register, value.size, value.signed, value.type) == ("rdi", size, signed, t)
    assert found.result is not None
    assert (found.result.register, found.result.size, found.result.signed) == ("rax", size, signed)


@pytest.mark.parametrize(
    "t", [FLOAT, DOUBLE, Base("_Float32", 4, Encoding.FLOAT), Base("long double", 8, Encoding.FLOAT)]
)
def test_floats(t: Base) -> None:
    found = classify(Function(t, (t,), False))
    assert isinstance(found, Signature)
    assert (found.params[0].register, found.params[0].size) == ("xmm0", t.size)
    assert found.result is not None
    assert found.result.register == "xmm0"


@pytest.mark.parametrize("void", [Void(), Typedef("nothing", Void()), Qualified("const", Void())])
def test_no_result(void: CType) -> None:
    found = classify(Function(void, (), False))
    assert isinstance(found, Signature)
    assert found.result is None


def test_the_parameter_that_finds_no_register_is_named() -> None:
    assert refusal(*[INT] * 6, FLOAT, CHAR) == Refusal(
        "IN020", "parameter 8 (char) is on the stack: all 6 INTEGER registers are taken"
    )
    assert refusal(*[DOUBLE] * 9) == Refusal(
        "IN020", "parameter 9 (double) is on the stack: all 8 SSE registers are taken"
    )


@pytest.mark.parametrize(
    ("t", "code", "words"),
    [
        (Record("struct", "pair", 16), "IN021", "parameter 2 (struct pair) is a struct passed by value"),
        (Record("struct", "empty", 0), "IN021", "struct empty"),
        (Record("union", "u", 17), "IN020", "parameter 2 (union u) is a union of 17 bytes in memory"),
        (Record("struct", "never", None), "IN021", "incomplete"),
        (Typedef("pair_t", Record("struct", None, 8)), "IN021", "parameter 2 (pair_t)"),
        (Base("__int128", 16, Encoding.SIGNED), "IN021", "two registers"),
        (LONG_DOUBLE, "IN020", "x87"),
        (Base("_Float64x", 16, Encoding.FLOAT), "IN020", "x87"),
        (Base("__float128", 16, Encoding.FLOAT), "IN021", "SSEUP"),
        (Base("_Float128", 16, Encoding.FLOAT), "IN021", "SSEUP"),
        (Base("_Float16", 2, Encoding.FLOAT), "IN021", "_Float16"),
        (Base("float _Complex", 8, Encoding.COMPLEX), "IN021", "complex"),
        (Base("double _Complex", 16, Encoding.COMPLEX), "IN021", "complex"),
        (Base("long double _Complex", 32, Encoding.COMPLEX), "IN020", "x87"),
        (Typedef("__m128", Array(FLOAT, 4, vector=True)), "IN021", "parameter 2 (__m128) is a vector"),
        (Array(FLOAT, 2, vector=True), "IN021", "a vector of 2 float"),
        (Qualified("_Atomic", INT), "IN021", "parameter 2 (_Atomic int) is _Atomic"),
        (Typedef("atomic_int", Qualified("_Atomic", INT)), "IN021", "parameter 2 (atomic_int) is _Atomic"),
        (Unknown("_Decimal64"), "IN026", "_Decimal64"),
    ],
)
def test_what_one_register_cannot_carry(t: CType, code: str, words: str) -> None:
    found = refusal(INT, t)
    assert found.code == code
    assert words in found.reason
    found = refusal(INT, result=t)
    assert "the result (" in found.reason


def test_results_that_differ_from_parameters() -> None:
    assert refusal(result=LONG_DOUBLE).code == "IN021"
    assert refusal(result=Record("struct", "big", 24)).code == "IN020"


def test_forms_that_no_register_decides() -> None:
    assert refusal(INT, variadic=True).code == "IN022"
    assert refusal(prototyped=False).code == "IN023"
    assert refusal(INT, convention="ms") == Refusal("IN024", "the function has the calling convention ms")
