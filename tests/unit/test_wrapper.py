# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

from instrument import wrapper
from instrument.classify import classify
from instrument.model import (
    Base,
    Content,
    Encoding,
    Field,
    Function,
    Pointer,
    Qualified,
    Record,
    Signature,
    Typedef,
    Void,
)

INT = Base("int", 4, Encoding.SIGNED)
DOUBLE = Base("double", 8, Encoding.FLOAT)
FLOAT = Base("float", 4, Encoding.FLOAT)
BOOL = Base("_Bool", 1, Encoding.BOOL)
LONG_DOUBLE = Base("long double", 16, Encoding.FLOAT)
WIDE = Base("__int128", 16, Encoding.SIGNED)
PAIR = Record("struct", "pair", 16, Content((Field(INT, 0, 32), Field(DOUBLE, 64, 64))))
BIG = Record("struct", "big", 80, Content(()))
CHANGED_BY_CALLS = {"rax", "rdi", "rsi", "rdx", "rcx", "r8", "r9", *(f"xmm{i}" for i in range(8)), "st0", "st1"}


def built(function: Function) -> wrapper.Wrapper:
    signature = classify(function)
    assert isinstance(signature, Signature)
    return wrapper.build("k", signature)


def registers_of(built: wrapper.Wrapper) -> list[str]:
    """Every register that the asm names as read, written or changed."""
    letters = {letter: name for name, letter in wrapper.CONSTRAINTS.items()}
    constraints = [re.match(r'"[+=]?(\w)"', operand) for operand in built.outputs]
    named = [letters[m[1]] for m in constraints if m and m[1] in letters]
    bound = {m for local in built.variables for m in re.findall(r'__asm__\("(\w+)"\)', local)}
    changed = [name for clobber in built.clobbers for name in re.findall(r'"([^"]+)"', clobber)]
    x87 = {name: register for register, name in wrapper.X87.items()}
    return [*named, *bound, *(x87.get(name, name) for name in changed)]


def test_every_register_that_a_call_may_change_is_named_once() -> None:
    for function in (
        Function(Void(), (), False),
        Function(INT, (INT,) * 6, False),
        Function(DOUBLE, (DOUBLE,) * 8, False),
        Function(FLOAT, (INT, DOUBLE, FLOAT, INT), False),
        Function(LONG_DOUBLE, (DOUBLE,), False),
        Function(Base("long double _Complex", 32, Encoding.COMPLEX), (WIDE,), False),
        Function(WIDE, (INT, INT, INT), False),
        Function(PAIR, (PAIR, PAIR), False),
        Function(BIG, (INT,) * 5, False),
        Function(INT, (*[INT] * 6, *[DOUBLE] * 8), False),
    ):
        result = built(function)
        # Each once: gcc refuses an operand that is also a clobber.
        assert sorted(registers_of(result)) == sorted(CHANGED_BY_CALLS)


def test_narrow_arguments_are_extended_to_32_bits_by_their_sign() -> None:
    signed, unsigned = Base("signed char", 1, Encoding.SIGNED), Base("unsigned short", 2, Encoding.UNSIGNED)
    result = built(Function(Void(), (signed, unsigned, BOOL, INT, Base("long", 8, Encoding.SIGNED)), False))
    text = "; ".join(result.variables)
    assert "__static_call_half __sc_rdi = (unsigned int)(int)__sc_a0" in text
    assert "__sc_rsi = (unsigned int)__sc_a1" in text
    assert "__sc_rdx = (unsigned int)__sc_a2" in text
    assert "__sc_r8 __asm__" in text and "(__static_call_word)__sc_a4" in text


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


def test_a_record_travels_as_the_bytes_of_its_registers() -> None:
    result = built(Function(PAIR, (PAIR,), False))
    assert "__builtin_memcpy(&__sc_a0_1, (const char *)&__sc_a0 + 8, 8)" in result.loads
    assert result.stores[-1] == "__builtin_memcpy((char *)&__sc_value + 8, &__sc_r1, 8)"
    # The registers are read before memcpy, which may be a call, can change them.
    assert [store.startswith("__sc_r") for store in result.stores] == [True, True, False, False]
    assert result.needs == ("!defined __EXCEPTIONS", "defined __SSE2__")


def test_a_result_in_memory_is_an_object_of_the_wrapper() -> None:
    result = built(Function(Qualified("const", BIG), (INT,), False))
    assert "struct big __sc_value" in result.locals and result.result == " __sc_value"
    assert "__static_call_word __sc_rdi = (__static_call_word)&__sc_value" in result.variables
    assert "__static_call_half __sc_rsi = (unsigned int)__sc_a0" in result.variables


def test_what_cannot_be_declared_without_its_const_has_no_wrapper() -> None:
    unnamed = Record("struct", None, 16, PAIR.content)
    named, const = Typedef("t", unnamed), Typedef("t", Qualified("const", unnamed))
    reasons = []
    for t in (named, const):
        signature = classify(Function(t, (), False))
        assert isinstance(signature, Signature)
        reasons.append(wrapper.unnameable(signature))
    assert reasons == [None, "an unnamed struct"]


def test_gcc_s_limit_of_operands() -> None:
    def counted(function: Function) -> tuple[int, wrapper.Wrapper]:
        signature = classify(function)
        assert isinstance(signature, Signature)
        return wrapper.operands(signature), wrapper.build("k", signature)

    count, full = counted(Function(Void(), (*[INT] * 6, *[DOUBLE] * 8), False))
    assert count == wrapper.MAX_OPERANDS and '"+r"(__static_call_sp)' in full.outputs
    count, over = counted(Function(INT, (*[INT] * 6, *[DOUBLE] * 8), False))
    assert count == wrapper.MAX_OPERANDS + 1 and '"r"(__static_call_sp)' in over.inputs
