# SPDX-License-Identifier: MIT
"""The inside of an inline-asm wrapper: a signature's registers as the operands of one asm statement.

Knows gcc's constraint letters and which registers a call may change; must not know files or templates.
docs/design.md, section 5; psABI 3.2.1 and 3.2.3.

A value that is one integer, pointer or real number is its register's variable; anything else (a record, a complex
number, a vector, 128 bits) is copied by memcpy between its own variable and the bits of its registers, which
compilers turn into the moves that are needed, or none.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from instrument import declare
from instrument.model import Base, CType, Encoding, Enum, Piece, Pointer, Qualified, Signature, Typedef, Value
from instrument.value import dataclass

CONSTRAINTS = {"rdi": "D", "rsi": "S", "rdx": "d", "rcx": "c", "rax": "a", "st0": "t", "st1": "u"}
"""Registers with a constraint letter of their own; the others are reached by a register variable."""

INTEGER = ("rax", "rdi", "rsi", "rdx", "rcx", "r8", "r9")
SSE = tuple(f"xmm{i}" for i in range(8))
X87 = {"st0": "st", "st1": "st(1)"}
"""What classify deals out, and every call may change; the x87 registers by their names in a clobber list."""

MAX_OPERANDS = 30
"""What gcc's asm takes (recog.h, MAX_RECOG_OPERANDS), an operand that is read and written counted twice."""


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Pieces of C for templates/wrapper.h.j2, in the order in which they stand.

    `locals` are declarations, `loads` statements that fill them, `variables` the operands, those that are bound to a
    register last since at -O0 whatever computes something may pass through it; `stores` are the statements behind
    the asm, `result` the returned expression. `needs` are the macros that a file must be compiled with for these
    registers.
    """

    prototype: str
    locals: tuple[str, ...]
    loads: tuple[str, ...]
    variables: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    clobbers: tuple[str, ...]
    stores: tuple[str, ...]
    result: str
    needs: tuple[str, ...]


def build(name: str, signature: Signature) -> Wrapper:
    """The wrapper `__SCW__name` for a signature that needs no stack."""
    params = [f"__sc_a{i}" for i in range(len(signature.params))]
    asm = _Asm()
    results = {piece.register for piece in signature.result.pieces} if signature.result else set()
    for value, param in zip(signature.params, params, strict=True):
        _pass(asm, value, param, results)
    result = _returned(asm, signature)
    # In and out costs an operand more; gcc's shrink-wrapping (requires_stack_frame_p) asks for uses as for changes.
    if operands(signature) <= MAX_OPERANDS:
        asm.outputs.append('"+r"(__static_call_sp)')
    else:
        asm.inputs.append('"r"(__static_call_sp)')
    used = {piece.register for piece in _pieces(signature)} | ({"rdi"} if signature.in_memory else set())
    return Wrapper(
        prototype=declare.prototype(f"__SCW__{name}", signature.type, params),
        locals=tuple(asm.locals),
        loads=tuple(asm.loads),
        variables=(*asm.values, *asm.registers),
        outputs=tuple(asm.outputs),
        inputs=tuple(asm.inputs),
        clobbers=tuple(_clobbers(used)),
        stores=tuple(asm.stores),
        result=result,
        needs=tuple(_needs(used)),
    )


def operands(signature: Signature, stack_pointer: int = 2) -> int:
    """How many operands a wrapper's asm has: each argument in and out, the stack pointer likewise, the result."""
    arguments = {piece.register for value in signature.params for piece in value.pieces}
    if signature.in_memory:
        arguments.add("rdi")
    results = {piece.register for piece in signature.result.pieces} if signature.result else set()
    return 2 * len(arguments) + len(results - arguments) + stack_pointer


def unnameable(signature: Signature) -> str | None:
    """Why no variable can be declared for the result, or None where one can."""
    return declare.obstacle(mutable(signature.result.type)) if signature.result else None


# ---- values as C ----------------------------------------------------------------------------------


def unqualified(t: CType) -> CType:
    """The type without its outermost qualifiers: a cast to a qualified type draws -Wignored-qualifiers."""
    return unqualified(t.target) if isinstance(t, Qualified) else t


def mutable(t: CType) -> CType:
    """The type without qualifiers, also those in its typedef: something can be stored to it."""
    inner = t
    while isinstance(inner, Typedef | Qualified):
        if isinstance(inner, Qualified):
            t = inner.target
        inner = inner.target
    return t


def underlying(t: CType) -> CType:
    return underlying(t.target) if isinstance(t, Qualified | Typedef) else t


def is_bool(t: CType) -> bool:
    bare = underlying(t)
    return isinstance(bare, Base) and bare.encoding is Encoding.BOOL


def is_plain(value: Value) -> bool:
    """Whether the value is its register's variable: one integer, pointer, float, double or long double."""
    match underlying(value.type):
        case Base(name="long double" | "_Float64x", size=16):
            return True
        case Pointer() | Enum():
            return True
        case Base(encoding=encoding, size=size):
            floating = encoding is Encoding.FLOAT and size in (4, 8)
            return floating or (encoding in (Encoding.SIGNED, Encoding.UNSIGNED, Encoding.BOOL) and size <= 8)
    return False


def extended(value: Value, name: str, word: bool) -> tuple[str, str]:
    """The type of an argument's variable in an INTEGER register, and the argument as that.

    The psABI leaves the upper bits of a narrow argument open, but clang's callees rely on 32 bits being
    extended by the type's sign (LLVM issue 12579), and gcc's callers do so: hence through int. All 64 bits cost an
    instruction, as a call does not: only if a `word` is asked for, as where the register has a result's bits later.
    """
    if isinstance(underlying(value.type), Pointer) or value.size == 8:
        return "__static_call_word", f"(__static_call_word){name}"
    # In one step more, since gcc's -Wsign-conversion warns of the two alone.
    int_ = f"(unsigned int){name}" if value.size == 4 or not value.signed else f"(unsigned int)(int){name}"
    return ("__static_call_word", f"(__static_call_word){int_}") if word else ("__static_call_half", int_)


def narrowed(value: Value, variable: str) -> str:
    """A plain result as an expression of its C type, from the 64 bits of rax or a variable of its own type."""
    if value.pieces[0].register != "rax":
        return f" {variable}"
    spelled = declare.spell(unqualified(value.type))
    if is_bool(value.type):
        # Only the low byte of a returned _Bool is defined (psABI 3.2.3, footnote on _Bool); a cast of all
        # of rax to _Bool would test the rest too.
        return f" ({spelled})(unsigned char){variable}"
    return f" ({spelled}){variable}"


def bits(piece: Piece) -> str:
    """The C type of a register's bits."""
    if piece.register in X87:
        return "long double"
    if piece.register in INTEGER:
        return "__static_call_word"
    return "__static_call_double" if piece.size <= 8 else "__static_call_xmm"


# ---- operands -------------------------------------------------------------------------------------


class _Asm:
    """What has come together of a wrapper."""

    def __init__(self) -> None:
        self.locals: list[str] = []
        self.loads: list[str] = []
        self.values: list[str] = []
        self.registers: list[str] = []
        self.outputs: list[str] = []
        self.inputs: list[str] = []
        self.stores: list[str] = []


def _pass(asm: _Asm, value: Value, param: str, results: AbstractSet[str]) -> None:
    """The argument `param` in its registers, of which some may be `results` as well."""
    if is_plain(value):
        piece = value.pieces[0]
        if piece.register in INTEGER:
            _argument(asm, piece.register, *extended(value, param, piece.register in results))
        else:
            _argument(asm, piece.register, declare.spell(unqualified(value.type)), param)
        return
    for i, piece in enumerate(value.pieces):
        part, t = f"{param}_{i}", bits(piece)
        asm.locals.append(f"{t} {part} = {'{ 0 }' if t == '__static_call_xmm' else '0'}")
        asm.loads.append(f"__builtin_memcpy(&{part}, (const char *)&{param} + {piece.offset}, {piece.size})")
        _argument(asm, piece.register, t, part)


def _argument(asm: _Asm, register: str, t: str, value: str) -> None:
    """A register that the call reads, and may change."""
    local = f"__sc_{register}"
    if register in CONSTRAINTS:
        asm.values.append(f"{t} {local} = {value}")
        asm.outputs.append(f'"+{CONSTRAINTS[register]}"({local})')
        return
    asm.registers.append(f'register {t} {local} __asm__("{register}") = {value}')
    asm.outputs.append(f'"+{"r" if register in INTEGER else "x"}"({local})')


def _returned(asm: _Asm, signature: Signature) -> str:
    """The result as an expression, its registers among the outputs."""
    result = signature.result
    if result is None:
        return ""
    if not result.pieces:
        # psABI 3.2.3, "Returning of Values", rule 2; the asm clobbers memory, this object too.
        asm.locals.append(f"{declare.spell(mutable(result.type))} __sc_value")
        _argument(asm, "rdi", "__static_call_word", "(__static_call_word)&__sc_value")
        return " __sc_value"
    if is_plain(result):
        t = "__static_call_word" if result.pieces[0].register == "rax" else declare.spell(unqualified(result.type))
        return narrowed(result, _output(asm, result.pieces[0].register, t, "__sc_result"))
    asm.locals.append(f"{declare.spell(mutable(result.type))} __sc_value")
    copies = []
    for i, piece in enumerate(result.pieces):
        name = _output(asm, piece.register, bits(piece), f"__sc_result{i}")
        asm.locals.append(f"{bits(piece)} __sc_r{i}")
        # All registers first: memcpy may be a call.
        asm.stores.append(f"__sc_r{i} = {name}")
        copies.append(f"__builtin_memcpy((char *)&__sc_value + {piece.offset}, &__sc_r{i}, {piece.size})")
    asm.stores += copies
    return " __sc_value"


def _output(asm: _Asm, register: str, t: str, name: str) -> str:
    """A register that holds a result after the call: the variable to read it from."""
    if register in CONSTRAINTS:
        local = f"__sc_{register}"
        if f'"+{CONSTRAINTS[register]}"({local})' not in asm.outputs:
            asm.values.append(f"{t} {local}")
            asm.outputs.append(f'"={CONSTRAINTS[register]}"({local})')
        return local
    asm.registers.append(f'register {t} {name} __asm__("{register}")')
    asm.outputs.append(f'"=x"({name})')
    argument = f'"+x"(__sc_{register})'
    if argument in asm.outputs:
        # The same register in another type on the way out: an input beside the output, no "+".
        asm.outputs.remove(argument)
        asm.inputs.append(argument.replace("+", ""))
    return name


# ---- registers ------------------------------------------------------------------------------------


def _pieces(signature: Signature) -> Iterator[Piece]:
    for value in signature.params:
        yield from value.pieces
    if signature.result:
        yield from signature.result.pieces


def _clobbers(used: set[str]) -> Iterator[str]:
    """What a call may change and no operand says so; the macros are empty in a file without such registers."""
    yield from (f'"{r}",' for r in INTEGER if r not in used)
    yield from (f'__SC_SSE("{r}")' for r in SSE if r not in used)
    yield from (f'__SC_X87("{name}")' for r, name in X87.items() if r not in used)


def _needs(used: set[str]) -> Iterator[str]:
    # With it an asm would lose its callers' cleanups; `instrument` is told of it only where it has the same flags.
    yield "!defined __EXCEPTIONS"
    if used & set(SSE):
        yield "defined __SSE2__"
    if used & X87.keys():
        yield "!defined _SOFT_FLOAT"
