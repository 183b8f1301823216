# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

from instrument import wrapper
from instrument.classify import classify
from instrument.model import Base, Encoding, Function, Pointer, Qualified, Signature, Typedef, Void

INT = Base("int", 4, Encoding.SIGNED)
DOUBLE = Base("double", 8, Encoding.FLOAT)
FLOAT = Base("float", 4, Encoding.FLOAT)
BOOL = Base("_Bool", 1, Encoding.BOOL)
CHANGED_BY_CALLS = {"rax", "rdi", "rsi", "rdx", "rcx", "r8", "r9", *(f"xmm{i}" for i in range(8))}


def built(function: Function) -> wrapper.Wrapper:
    signature = classify(function)
    assert isinstance(signature, Signature)
    return wrapper.build("k", signature)


def registers_of(built: wrapper.Wrapper) -> set[str]:
    """Every register that the asm names as read, written or changed."""
    letters = {f'"+{letter}"': name for name, letter in wrapper.CONSTRAINTS.items()} | {'"=a"': "rax"}
    named = {name for start, name in letters.items() if any(o.startswith(start) for o in built.outputs)}
    named |= {match for local in built.locals for match in re.findall(r'__asm__\("(\w+)"\)', local)}
    return named | {clobber.strip('"') for clobber in built.clobbers}


def test_every_register_that_a_call_may_change_is_named_once() -> None:
    for function in (
        Function(Void(), (), False),
        Function(INT, (INT,) * 6, False),
        Function(DOUBLE, (DOUBLE,) * 8, False),
        Function(FLOAT, (INT, DOUBLE, FLOAT, INT), False),
    ):
        result = built(function)
        assert registers_of(result) == CHANGED_BY_CALLS
        operands = " ".join((*result.outputs, *result.locals))
        for clobber in result.clobbers:
            # gcc refuses an operand that is also a clobber.
            assert f"__asm__({clobber})" not in operands


def test_narrow_arguments_are_extended_to_32_bits_by_their_sign() -> None:
    signed, unsigned = Base("signed char", 1, Encoding.SIGNED), Base("unsigned short", 2, Encoding.UNSIGNED)
    result = built(Function(Void(), (signed, unsigned, BOOL, INT, Base("long", 8, Encoding.SIGNED)), False))
    text = "; ".join(result.locals)
    assert "__sc_rdi = (unsigned int)(int)__sc_a0" in text
    assert "__sc_rsi = (unsigned int)__sc_a1" in text
    assert "__sc_rdx = (unsigned int)__sc_a2" in text
    assert "__sc_r8 __asm__" in text and "(unsigned long)__sc_a4" in text


def test_only_the_low_byte_of_a_bool_result_counts() -> None:
    assert built(Function(BOOL, (), False)).result == " (_Bool)(unsigned char)__sc_rax"
    named = Typedef("flag", Qualified("const", BOOL))
    assert built(Function(named, (), False)).result == " (flag)(unsigned char)__sc_rax"


def test_results_are_not_cast_to_qualified_types() -> None:
    result = built(Function(Qualified("const", INT), (), False))
    assert result.result == " (int)__sc_rax"
    pointer = built(Function(Pointer(Qualified("const", INT)), (), False))
    assert pointer.result == " (const int *)__sc_rax"


def test_xmm0_may_hold_two_types() -> None:
    result = built(Function(DOUBLE, (FLOAT,), False))
    assert '"=x"(__sc_result)' in result.outputs and '"x"(__sc_xmm0)' in result.inputs
