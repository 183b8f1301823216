# SPDX-License-Identifier: MIT
"""The assembly of the targets: record, call the callee, record, leave garbage wherever a callee may.

The callee is called with the return address taken off the stack and put back afterwards, so that arguments on the
stack are where it expects them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.abi.function import Function
from tests.abi.types import VOID, Atom, Class, Type

RED_ZONE = 128


def assembly(functions: Sequence[Function], flags: Sequence[str]) -> str:
    parts = [_entry(number, _garbage(fn, flags)) for number, fn in enumerate(functions)]
    return "\t.text\n" + "".join(parts) + '\t.section .note.GNU-stack, "", @progbits\n'


def _entry(number: int, garbage: Sequence[str]) -> str:
    body = (
        "call sc_record",
        "popq sc_return(%rip)",
        f"call callee_{number}",
        "pushq sc_return(%rip)",
        "call sc_record_result",
        *garbage,
        "ret",
    )
    name = f"entry_{number}"
    head = f"\t.globl {name}\n\t.type {name}, @function\n\t.p2align 4\n{name}:\n"
    return head + "".join(f"\t{line}\n" for line in body) + f"\t.size {name}, . - {name}\n"


def _garbage(fn: Function, flags: Sequence[str]) -> list[str]:
    """What overwrites everything that a callee may change and that the result is not in."""
    if not fn.sysv:
        return []
    result = fn.result
    integer = ["rcx", "rsi", "rdi", "r8", "r9", "r10", "r11"]
    if result == VOID or _class(result) is Class.SSE:
        integer.append("rax")
    if _small(result):
        integer.append("rdx")
    lines = _spoiled(result)
    lines += [f"movq ${0x5A000000 + n}, %{register}" for n, register in enumerate(integer)]
    lines += [_vector(n, flags) for n in range(_result_vectors(result), 32 if _evex(flags) else 16)]
    if _evex(flags):
        lines += [f"kxnorw %k0, %k0, %k{n}" for n in range(1, 8)]
    if not fn.mmx and _class(result) in (Class.INTEGER, Class.SSE):
        lines += ["fldpi"] * 8 + ["fstp %st(0)"] * 8
    lines += [f"movq $0x7a7a7a7a, -{at}(%rsp)" for at in range(8, RED_ZONE + 1, 8)]
    return [*lines, "cmpb $0, sc_pattern(%rip)"]


def _spoiled(result: Type) -> list[str]:
    """Garbage in what a narrow result leaves of its register. Bits 8 to 31 of an integer clang relies on."""
    if _class(result) is Class.INTEGER and _small(result) and isinstance(result, Atom) and result.size <= 4:
        return ["movl %eax, %eax", "movabsq $0x5a5a5a5a00000000, %rcx", "orq %rcx, %rax"]
    if result.declared in ("float #", "double #"):
        move = "movss" if result.declared == "float #" else "movsd"
        return ["movups sc_pattern(%rip), %xmm1", f"{move} %xmm0, %xmm1", "movaps %xmm1, %xmm0"]
    return []


def _class(t: Type) -> Class:
    return t.cls if isinstance(t, Atom) and t != VOID else Class.OTHER


def _small(result: Type) -> bool:
    """Whether at most one register carries it."""
    return result == VOID or (isinstance(result, Atom) and result.cls is not Class.OTHER and result.size <= 8)


def _result_vectors(result: Type) -> int:
    """How many of the first vector registers may hold the result."""
    if result == VOID or _class(result) is Class.INTEGER:
        return 0
    return 1 if _small(result) else 4


def _vector(number: int, flags: Sequence[str]) -> str:
    if _evex(flags):
        return f"vmovups sc_pattern(%rip), %zmm{number}"
    if "-mavx2" in flags:
        return f"vmovups sc_pattern(%rip), %ymm{number}"
    return f"movups sc_pattern(%rip), %xmm{number}"


def _evex(flags: Sequence[str]) -> bool:
    return "-mavx512f" in flags
