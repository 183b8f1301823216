# SPDX-License-Identifier: MIT
"""The plain values that flow from one step to the next.

    source bytes -> scan -> resolve -> classify -> plan -> render + rewrite -> emit

Every value is frozen; no step reaches back into an earlier one. Offsets are byte offsets into the
file as it is on disk; lines and columns are 1-based, columns count bytes.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from instrument.value import dataclass, field


class Mode(StrEnum):
    """How a static call reaches its target (docs/design.md, section 1)."""

    INLINE_ASM = "inline-asm"
    TRAMPOLINE = "trampoline"
    DIRECT = "direct"


class Layout(StrEnum):
    """How the bytes of a call site lie in memory (docs/design.md, section 4)."""

    ALIGNED = "aligned"
    COMPACT = "compact"
    BARE = "bare"
    """As the compiler would have put them, in mode direct: no prefixes (the rule of 2018)."""


class Api(StrEnum):
    """The API's names, as they are spelled in source text."""

    CALL = "static_call"
    COND = "static_call_cond"
    MOD = "static_call_mod"
    QUERY = "static_call_query"
    UPDATE = "static_call_update"
    QUEUE = "static_call_queue"
    DECLARE = "DECLARE_STATIC_CALL"
    DEFINE = "DEFINE_STATIC_CALL"
    DEFINE_NULL = "DEFINE_STATIC_CALL_NULL"
    DEFINE_RET0 = "DEFINE_STATIC_CALL_RET0"
    EXPORT = "EXPORT_STATIC_CALL"
    EXPORT_GPL = "EXPORT_STATIC_CALL_GPL"
    EXPORT_TRAMP = "EXPORT_STATIC_CALL_TRAMP"
    EXPORT_TRAMP_GPL = "EXPORT_STATIC_CALL_TRAMP_GPL"
    KEY = "STATIC_CALL_KEY"
    TRAMP = "STATIC_CALL_TRAMP"
    TRAMP_STR = "STATIC_CALL_TRAMP_STR"


CALLS = frozenset({Api.CALL, Api.COND, Api.MOD})
"""The names that make a call site; every other name is a use of a key."""

DEFINITIONS = frozenset({Api.DEFINE, Api.DEFINE_NULL, Api.DEFINE_RET0})
DECLARATIONS = DEFINITIONS | {Api.DECLARE}


class Spelling(StrEnum):
    """The shape of a call's text."""

    KERNEL = "static_call(key)(args)"
    V2018 = "static_call(key, args...)"
    VALUE = "static_call(key)"
    """No second parenthesis: the callee as a pointer value, or arguments that a macro's user supplies."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` up to, not including, `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """A position a person can go to. `path` is relative to the root of the tree, with '/'."""

    path: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Token:
    """One API name outside of comments and strings, and the parenthesised text behind it.

    `name`   the span of the name itself, splices included.
    `parens` the span of the group behind it, both parentheses included; None if no group follows
             (the name alone, as in `#ifdef static_call`, or a group that never closes).
    `key`    the first argument's text: splices and comments removed, white space folded; "" without
             a group.
    `key_span` the first argument's span, without the white space around it.
    `rest`   the span of what follows the first top-level comma inside `parens`, that comma excluded,
             the closing parenthesis excluded; None if there is no such comma.
    `called` whether another '(' follows the group, as in `static_call(key)(args)`.
    `macro`  the name of the macro whose body holds the token, else None.
    `directive` the name of the directive the token stands in ("define", "ifdef", "undef", "if", ...),
             else None. A token in a macro's body has directive "define" and `macro` set; the token
             that is itself the macro being defined has directive "define" and macro None.
    """

    api: Api
    place: Place
    name: Span
    parens: Span | None
    key: str
    key_span: Span | None
    rest: Span | None
    called: bool
    macro: str | None
    directive: str | None

    @property
    def is_call(self) -> bool:
        return self.api in CALLS and self.parens is not None and (self.directive is None or self.macro is not None)

    @property
    def spelling(self) -> Spelling:
        if self.rest is not None:
            return Spelling.V2018
        return Spelling.KERNEL if self.called else Spelling.VALUE


HEADERS = {"static_call.h": b"__SC_PICK", "static_call_runtime.h": b"STATIC_CALL_RUNTIME_H"}
"""What a program includes of ours (the second brings the first), and a word that every copy of it has, wherever a
project keeps it, and no header of another's that has the name."""


@dataclass(frozen=True, slots=True)
class Include:
    """One `#include` of the header of ours called `name`; `header` is its span, delimiters and all."""

    place: Place
    header: Span
    name: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one file says, by its tokens alone."""

    tokens: tuple[Token, ...] = ()
    includes: tuple[Include, ...] = ()


# ---- C types, as the user's compiler describes them -----------------------------------------------


class Encoding(StrEnum):
    """What a base type holds (DWARF's DW_ATE, less what C cannot spell)."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    BOOL = "bool"
    FLOAT = "float"
    COMPLEX = "complex"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Void:
    pass


@dataclass(frozen=True, slots=True)
class Base:
    """An arithmetic type; `name` is C's ("unsigned long"), `size` in bytes."""

    name: str
    size: int
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Pointer:
    to: CType


@dataclass(frozen=True, slots=True)
class Enum:
    """`tag` is None for an enum without one; it can then be spelled only through a typedef."""

    tag: str | None
    size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One scalar, or one vector, somewhere inside of a record, however deeply it is nested there.

    `start` and `width` in bits from the record's beginning; `bitfield` tells whether it is declared as one.
    """

    type: CType
    start: int
    width: int
    bitfield: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What a record holds: its `fields` in the order of its text, arrays and inner records taken apart.

    `doubt` says what in it compilers pass in different ways, `unseen` what debug information may hide of it that
    could only make an eightbyte INTEGER; None where there is nothing of the kind. `lines` are those on which the
    record and the records in it begin; two units may have them differ.
    """

    fields: tuple[Field, ...]
    doubt: str | None = None
    unseen: str | None = None
    lines: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Record:
    """A struct or union, whole or incomplete; `size` is None where it is incomplete.

    `content` is known where a function takes or returns it by value, else None: behind a pointer nobody asks.
    """

    kind: str
    tag: str | None
    size: int | None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Typedef:
    name: str
    target: CType


@dataclass(frozen=True, slots=True)
class Qualified:
    """`qualifier` is "const", "volatile", "restrict" or "_Atomic"."""

    qualifier: str
    target: CType


@dataclass(frozen=True, slots=True)
class Array:
    """`length` is None for `[]` and for a length that is not a constant."""

    of: CType
    length: int | None
    vector: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A function type. `prototyped` is False for `()`; `convention` is "sysv" or what else it is."""

    result: CType
    params: tuple[CType, ...]
    variadic: bool
    prototyped: bool = True
    convention: str = "sysv"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type that the reader of the debug information does not know; `what` says which."""

    what: str


CType = Void | Base | Pointer | Enum | Record | Typedef | Qualified | Array | Function | Unknown


# ---- resolve --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unit:
    """One translation unit to ask the compiler about.

    `source` is the absolute path of its main file, `command` the compiler with the user's own flags
    (no input, no output, no -c), `cwd` the directory those flags are relative to.
    """

    source: Path
    command: tuple[str, ...]
    cwd: Path


@dataclass(frozen=True, slots=True)
class Target:
    """A function by its assembler name; `static` if the name is its file's own."""

    name: str
    static: bool


@dataclass(frozen=True, slots=True)
class Key:
    """What the compiler says of one key over all translation units.

    `type`     the function's type, or None where units disagree or it cannot be had.
    `trouble`  why `type` is None, else None.
    `symbol`   the function that DEFINE_STATIC_CALL starts with, where every
               definition names one and the same function; else None.
    `block`    declared inside a function: a wrapper cannot be emitted there.
    `barred`   why it cannot be called by an asm: it is called, by another name for static_call, in a unit where none
               can stand for a call.
    `inexact`  the compiler does not take `type`, written out, for the key's own: debug information hides some
               of it (attributes of a parameter's pointed-to function, qualifiers of a typedef's array).
    `option`   an option of a unit that declares it, if one changes which registers a call may change or use.
    """

    name: str
    type: Function | None
    trouble: str | None = None
    symbol: Target | None = None
    block: bool = False
    barred: str | None = None
    inexact: bool = False
    option: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What became of one call token in the preprocessed text of all units.

    `keys` are the keys it expanded to, sorted; empty where no unit has it live.
    `stringized` tells that its spelling ends up in a string literal, so the text must stay.
    `barred` tells why no asm can stand for the call in some unit, None where one can in all.
    `whole` tells that some unit says -DSTATIC_CALL_2018: static_call(key) is a call without arguments there.
    """

    keys: tuple[str, ...] = ()
    stringized: bool = False
    barred: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """`uses` has an entry for every call token, by (path, offset of its name).

    `reached` are the files, relative to the root, that some unit read, `hidden` the keys that are called by no token
    in them, `defined` those that some unit defines.
    """

    keys: dict[str, Key] = field(default_factory=dict)
    uses: dict[tuple[str, int], Use] = field(default_factory=dict)
    reached: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    defined: frozenset[str] = frozenset()


# ---- classify -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `offset` up to `offset + size` of a value, in one register.

    `register` is "rdi".."r9", "rax" for class INTEGER, "xmm0".."xmm7" for SSE (SSEUP shares its register),
    "st0", "st1" for X87 and COMPLEX_X87.
    """

    register: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Value:
    """One argument or result in registers; `size` in bytes. `signed` decides how an integer under four bytes is
    extended. A result without pieces is in memory that the caller provides (class MEMORY)."""

    type: CType
    size: int
    pieces: tuple[Piece, ...]
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """A function type that needs no stack: every argument in registers, the result there or in the caller's memory,
    whose address is then in rdi."""

    type: Function
    params: tuple[Value, ...]
    result: Value | None

    @property
    def in_memory(self) -> bool:
        """Whether the caller provides the memory of the result, by rdi (psABI 3.2.3, "Returning of Values", 2)."""
        return self.result is not None and not self.result.pieces


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something takes the step down; `code` is a diagnostic code."""

    code: str
    reason: str


# ---- plan -----------------------------------------------------------------------------------------


class Form(StrEnum):
    INLINE = "inline-asm"
    DIRECT = "direct"
    """The compiler's own call of the trampoline, which `instrument cc` prepares; without it, a trampoline's call."""
    TRAMPOLINE = "trampoline"


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The form of a key's calls; `signature` is set exactly for Form.INLINE."""

    key: Key
    form: Form
    signature: Signature | None
    refusal: Refusal | None


class Fate(StrEnum):
    """What happens to one call token's text."""

    REWRITTEN = "rewritten"
    MACRO = "left to the header's macro"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class SitePlan:
    """`forms` has the form of each key in `use.keys`, in their order; it is empty for an inactive site.

    `refusal` tells why a form is lower than the highest, `stay` why the text is left as it is written.
    `text` replaces `span` where fate is REWRITTEN. `function` and `unevaluated` are for the reader of the
    report: where the call stands, and that it is an operand which is never evaluated.
    """

    token: Token
    use: Use
    fate: Fate
    forms: tuple[Form, ...] = ()
    refusal: Refusal | None = None
    stay: Refusal | None = None
    span: Span | None = None
    text: str = ""
    function: str | None = None
    unevaluated: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the bytes of `span` by `text`."""

    span: Span
    text: bytes
