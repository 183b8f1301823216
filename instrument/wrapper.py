# SPDX-License-Identifier: MIT
"""The inside of an inline-asm wrapper: a signature's registers as the operands of one asm statement.

Knows gcc's constraint letters and which registers a call may change; must not know files or templates.
docs/design.md, section 5; psABI 3.2.1 and 3.2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from instrument import declare
from instrument.model import Base, CType, Encoding, Pointer, Qualified, Signature, Typedef, Value

CONSTRAINTS = {"rdi": "D", "rsi": "S", "rdx": "d", "rcx": "c", "rax": "a"}
"""Registers with a constraint letter of their own; the others are reached by a register variable."""

INTEGER_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
SSE_ARGUMENTS = tuple(f"xmm{i}" for i in range(8))


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Pieces of C for templates/wrapper.h.j2: declarations, operands, the returned expression."""

    prototype: str
    locals: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    clobbers: tuple[str, ...]
    result: str


def unqualified(t: CType) -> CType:
    """The type without its outermost qualifiers: a cast to a qualified type draws -Wignored-qualifiers."""
    return unqualified(t.target) if isinstance(t, Qualified) else t


def underlying(t: CType) -> CType:
    return underlying(t.target) if isinstance(t, Qualified | Typedef) else t


def is_bool(t: CType) -> bool:
    bare = underlying(t)
    return isinstance(bare, Base) and bare.encoding is Encoding.BOOL


def extended(value: Value, name: str) -> str:
    """The argument as the 64 bits of its register.

    The psABI leaves the upper bits of a narrow argument open, but clang's callees rely on 32 bits being
    extended by the type's sign (LLVM issue 12579), and gcc's callers do so: hence through int.
    """
    if isinstance(underlying(value.type), Pointer) or value.size == 8:
        return f"(unsigned long){name}"
    return f"(unsigned int){name}" if value.size == 4 or not value.signed else f"(unsigned int)(int){name}"


def returned(value: Value) -> str:
    """The result as an expression of its C type, from rax or its own register variable."""
    if value.register != "rax":
        return " __sc_result"
    spelled = declare.spell(unqualified(value.type))
    if is_bool(value.type):
        # Only the low byte of a returned _Bool is defined (psABI 3.2.3, footnote on _Bool); a cast of all
        # of rax to _Bool would test the rest too.
        return f" ({spelled})(unsigned char)__sc_rax"
    return f" ({spelled})__sc_rax"


MAX_OPERANDS = 30
"""What gcc's asm takes (recog.h, MAX_RECOG_OPERANDS), an operand that is read and written counted twice."""


def operands(signature: Signature) -> int:
    """How many operands a wrapper's asm has: each argument in and out, the stack pointer likewise, the result."""
    return 2 * len(signature.params) + 2 + (1 if signature.result else 0)


def build(name: str, signature: Signature) -> Wrapper:
    """The wrapper `__SCW__name` for a signature that travels in registers alone."""
    params = [f"__sc_a{i}" for i in range(len(signature.params))]
    locals_: list[str] = []
    variables: list[str] = []
    outputs: list[str] = []
    inputs: list[str] = []
    result = signature.result
    result_in_sse = result is not None and result.register == "xmm0"

    if result is not None and result.register == "rax":
        locals_.append("unsigned long __sc_rax")
        outputs.append('"=a"(__sc_rax)')
    elif result_in_sse:
        assert result is not None
        variables.append(f'register {declare.spell(unqualified(result.type))} __sc_result __asm__("xmm0")')
        outputs.append('"=x"(__sc_result)')

    for value, param in zip(signature.params, params, strict=True):
        local = f"__sc_{value.register}"
        if value.register in CONSTRAINTS:
            locals_.append(f"unsigned long {local} = {extended(value, param)}")
            outputs.append(f'"+{CONSTRAINTS[value.register]}"({local})')
        elif value.register in INTEGER_ARGUMENTS:
            variables.append(f'register unsigned long {local} __asm__("{value.register}") = {extended(value, param)}')
            outputs.append(f'"+r"({local})')
        else:
            spelled = declare.spell(unqualified(value.type))
            variables.append(f'register {spelled} {local} __asm__("{value.register}") = {param}')
            if value.register == "xmm0" and result_in_sse:
                # The same register in another type on the way out: an input beside the output, no "+".
                inputs.append(f'"x"({local})')
            else:
                outputs.append(f'"+x"({local})')
    outputs.append('"+r"(__static_call_sp)')

    used = {value.register for value in signature.params} | ({result.register} if result else set())
    clobbers = [f'"{r}"' for r in ("rax", *INTEGER_ARGUMENTS, *SSE_ARGUMENTS) if r not in used]
    return Wrapper(
        prototype=declare.prototype(f"__SCW__{name}", signature.type, params),
        # Register variables last: at -O0 whatever computes another operand may pass through their registers.
        locals=(*locals_, *variables),
        outputs=tuple(outputs),
        inputs=tuple(inputs),
        clobbers=tuple(clobbers),
        result=returned(result) if result else "",
    )
