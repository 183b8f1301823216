# SPDX-License-Identifier: MIT
"""Random function types, weighted towards what people write, with everything odd among it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tests.abi.function import Function, Param, Shape
from tests.abi.ordinary import small_record
from tests.abi.types import VOID, Atom, Bytes, Class, Member, Record, Type, any_atom


def _integer(name: str, size: int, bits: int = 0) -> Atom:
    small = size < 4
    return Atom(f"{name} #", size, Class.INTEGER, bits=bits or size * 8, small=small, promoted=not small, atomic=True)


BOOL = Atom(
    "_Bool #", 1, Class.INTEGER, bytes=Bytes.BOOL, bits=1, small=True, promoted=False, atomic=True
)  # fmt: skip
INTEGERS = (
    BOOL,
    _integer("char", 1),
    _integer("signed char", 1),
    _integer("unsigned char", 1),
    _integer("short", 2),
    _integer("unsigned short", 2),
    _integer("int", 4),
    _integer("unsigned", 4),
    _integer("long", 8),
    _integer("unsigned long", 8),
    _integer("long long", 8),
    _integer("unsigned long long", 8),
)
WIDE = (
    replace(_integer("__int128", 16), bits=0, atomic=False),
    replace(_integer("unsigned __int128", 16), bits=0, atomic=False),
)


def _packed_enum(constants: str, size: int) -> Atom:
    text = f"enum __attribute__((packed)) @ {{ {constants} }}"
    return Atom("enum @ #", size, Class.INTEGER, text, small=True, promoted=False)


ENUMS = (
    Atom("enum @ #", 4, Class.INTEGER, "enum @ { A@, B@, C@ = 77 }", bits=7),
    Atom("enum @ #", 4, Class.INTEGER, "enum @ { N@ = -5, P@ = 5 }", bits=32),
    Atom("enum @ #", 8, Class.INTEGER, "enum @ { L@ = 0x123456789abcL }", bits=48),
    Atom("@ #", 4, Class.INTEGER, "typedef enum { U@, V@ } @", bits=4),
    _packed_enum("Q@ = -1, R@ = 9", 1),
    _packed_enum("S@, W@ = 999", 2),
)


def _pointer(declared: str, definition: str = "") -> Atom:
    return Atom(declared, 8, Class.INTEGER, definition, atomic=True)


POINTERS = (
    _pointer("void *#"),
    _pointer("const char *#"),
    _pointer("int **#"),
    _pointer("void (*#)(int, double)"),
    _pointer("const volatile struct opaque *#"),
    _pointer("int (*#)[3]"),
    _pointer("char *(*(*#)(void))[5]"),
    _pointer("@ #", "typedef int (*@)(const void *, const void *)"),
    Atom("unsigned char *#", 8, Class.INTEGER, live=True),
)
LIVE = POINTERS[-1]
FLOATS = (
    Atom("float #", 4, Class.SSE, promoted=False, atomic=True),
    Atom("double #", 8, Class.SSE, atomic=True),
)
LONG_DOUBLE = Atom("long double #", 16, Class.OTHER, bytes=Bytes.X87)
COMPLEX = (
    Atom("float _Complex #", 8, Class.SSE, definition=""),
    Atom("double _Complex #", 16, Class.SSE),
)
TYPEDEFS = (
    Atom("@ #", 8, Class.INTEGER, "typedef unsigned long @", bits=64),
    Atom("@ #", 2, Class.INTEGER, "typedef short @", bits=16, small=True, promoted=False),
    Atom("@ #", 4, Class.SSE, "typedef float @", promoted=False),
    Atom("@ #", 1, Class.INTEGER, "typedef _Bool @", bytes=Bytes.BOOL, small=True, promoted=False, bits=1),
)


def _vector(element: str, size: int, *, mmx: bool = False, ordinary: bool = False) -> Atom:
    text = f"typedef {element} @ __attribute__((vector_size({size})))"
    return Atom("@ #", size, Class.OTHER, text, ordinary=ordinary, mmx=mmx)


VECTORS = (
    *(_vector(e, 16, ordinary=True) for e in ("float", "double", "int", "long long", "unsigned char", "short")),
    *(_vector(e, n) for e in ("float", "int", "char") for n in (32, 64)),
    *(_vector("double", n) for n in (32, 64)),
    *(_vector(e, 8, mmx=True) for e in ("long long", "int", "float", "unsigned char", "double")),
    _vector("short", 4),
    _vector("char", 2),
    _vector("char", 4),
    _vector("int", 4),
    _vector("__int128", 16),
)


def _odd(declared: str, size: int, definition: str = "", bytes_: Bytes = Bytes.ALL, promoted: bool = True) -> Atom:
    return Atom(declared, size, Class.OTHER, definition, bytes_, ordinary=False, promoted=promoted)


ODD = (
    _odd("long double _Complex #", 32, bytes_=Bytes.X87),
    _odd("_Complex int #", 8),
    _odd("_Complex long #", 16),
    _odd("_Complex short #", 4),
    _odd("_Complex char #", 2),
    _odd("__float128 #", 16),
    _odd("@ #", 4, "typedef int @ __attribute__((aligned(2)))"),
    _odd("@ #", 8, "typedef double @ __attribute__((aligned(1)))"),
    _odd("@ #", 8, "typedef long @ __attribute__((aligned(32)))"),
    _odd("@ #", 4, "typedef float @ __attribute__((aligned(16)))", promoted=False),
    _odd("@ #", 8, "typedef long @ __attribute__((may_alias))"),
    _odd("@ #", 2, "typedef int @ __attribute__((mode(HI)))", promoted=False),
    _odd("@ #", 8, "typedef union { int *i; const void *v; long *l; } @ __attribute__((transparent_union))"),
    _odd("@ #", 4, "typedef union { int i; unsigned u; } @ __attribute__((transparent_union))"),
)
GCC_ODD = (
    _odd("_Float128 #", 16),
    _odd("_Float64 #", 8),
    _odd("_Float32 #", 4, promoted=False),
    _odd("_Float64x #", 16, bytes_=Bytes.X87),
    _odd("_Complex _Float128 #", 32),
    _odd("_Decimal32 #", 4),
    _odd("_Decimal64 #", 8),
    _odd("_Decimal128 #", 16),
)
HALF = _odd("_Float16 #", 2, promoted=False)
HALVES = (HALF, _odd("_Complex _Float16 #", 4))


def ordinary_atoms() -> st.SearchStrategy[Atom]:
    """What every compiler passes alike; small integers and doubles most often."""
    return st.one_of(
        st.sampled_from(INTEGERS),
        st.sampled_from(INTEGERS),
        st.sampled_from(FLOATS),
        st.sampled_from((*POINTERS, LIVE)),
        st.sampled_from((*ENUMS, *TYPEDEFS, *WIDE, *COMPLEX)),
    )


def odd_atoms(compiler: str) -> st.SearchStrategy[Atom]:
    """What is rare, or passed differently by different compilers, as far as `compiler` has it."""
    atoms = [*VECTORS, *ODD, LONG_DOUBLE]
    if compiler.startswith("gcc"):
        atoms += GCC_ODD
    if compiler not in ("gcc-11", "clang-14"):
        atoms += HALVES
    return st.sampled_from(atoms)


def atoms(compiler: str) -> st.SearchStrategy[Atom]:
    ordinary = ordinary_atoms()
    return st.one_of(ordinary, ordinary, ordinary, ordinary, odd_atoms(compiler))


def _bare(t: Type) -> Type:
    """A pointer that is just bytes: nobody follows it."""
    return replace(t, live=False) if isinstance(t, Atom) and t.live else t


BITFIELD_BASES = tuple(a for a in (*INTEGERS, *ENUMS, *TYPEDEFS[:1]) if a.bits)


@st.composite
def bitfields(draw: st.DrawFn, odd: bool) -> Member:
    base = draw(st.sampled_from(BITFIELD_BASES))
    unnamed = odd and draw(st.integers(0, 3)) == 0
    return Member(base, "" if unnamed else "?", bits=draw(st.integers(0 if unnamed else 1, base.bits)))


@st.composite
def members(draw: st.DrawFn, compiler: str, depth: int, odd: bool) -> Member:
    choice = draw(st.integers(0, 9))
    if choice <= 1:
        return draw(bitfields(odd))
    if choice == 2 and depth:
        inner = draw(records(compiler, depth - 1, odd))
        anonymous = not inner.typedef and draw(st.booleans())
        return Member(inner, "" if anonymous else "?")
    base = _bare(draw(atoms(compiler) if odd else ordinary_atoms()))
    attribute = ""
    lengths: tuple[int | None, ...] = ()
    if choice == 3 and _can_repeat(base):
        lengths = (draw(st.integers(1, 5)),)
    if choice == 4 and odd and _can_repeat(base):
        lengths = draw(st.sampled_from(((2, 2), (0,), (1, 3))))
    if choice == 5 and odd:
        attribute = draw(st.sampled_from((" __attribute__((packed))", " __attribute__((aligned(16)))")))
    return Member(base, "?", lengths, attribute=attribute)


def _can_repeat(t: Type) -> bool:
    """An array's elements may not be aligned to more than their size."""
    return not (isinstance(t, Atom) and "aligned(" in t.definition)


@st.composite
def records(draw: st.DrawFn, compiler: str, depth: int = 2, odd: bool = False) -> Record:
    kind = draw(st.sampled_from(("struct", "struct", "struct", "union")))
    drawn = draw(st.lists(members(compiler, depth, odd), min_size=0 if odd else 1, max_size=5))
    if odd and kind == "struct" and drawn and draw(st.integers(0, 7)) == 0:
        drawn.append(Member(_bare(draw(ordinary_atoms())), "?", (None,)))
    attribute = draw(st.sampled_from(RECORD_ATTRIBUTES)) if odd else ""
    named = tuple(replace(m, name=f"m{n}" if m.name else "") for n, m in enumerate(drawn))
    if named and None in named[-1].lengths and not any(m.name and 0 not in m.lengths for m in named[:-1]):
        named = named[:-1]  # C wants another member before a flexible array
    return Record(kind, _distinct(named), attribute, draw(st.booleans()), odd)


RECORD_ATTRIBUTES = (
    *("",) * 6,
    " __attribute__((packed))",
    " __attribute__((aligned(16)))",
    " __attribute__((aligned(32)))",
    " __attribute__((packed, aligned(2)))",
    " __attribute__((packed, aligned(8)))",
)


def _distinct(members_: tuple[Member, ...], prefix: str = "") -> tuple[Member, ...]:
    """The members of anonymous members share a scope with their neighbours: give each a name of its own."""
    renamed = []
    for n, m in enumerate(members_):
        inner = m.type
        if isinstance(inner, Record) and not m.name and m.bits is None:
            inner = replace(inner, members=_distinct(inner.members, f"{prefix}a{n}"))
        renamed.append(replace(m, type=inner, name=f"{prefix}m{n}" if m.name else ""))
    return tuple(renamed)


def value_types(compiler: str) -> st.SearchStrategy[Type]:
    return st.one_of(
        atoms(compiler),
        ordinary_atoms(),
        ordinary_atoms(),
        records(compiler).filter(small_record),
        records(compiler),
        records(compiler, odd=True),
    )


@st.composite
def params(draw: st.DrawFn, compiler: str) -> Param:
    t = draw(value_types(compiler))
    choice = draw(st.integers(0, 19))
    if choice == 0:
        return draw(st.sampled_from(DECAYED))
    if choice == 1:
        return Param(t, t.declared.replace("#", "const #"))
    if choice == 2 and not any_atom(t, "live"):
        return Param(t, t.declared.replace("#", "volatile #"))
    if choice == 3 and (t.atomic if isinstance(t, Atom) else not _vague(t)):
        return Param(t, t.declared.replace("#", "_Atomic #"))
    return Param(t)


def _vague(t: Record) -> bool:
    """Whether _Atomic makes no sense of it: no bytes, or not known how many."""
    return not t.members or any(None in m.lengths or 0 in m.lengths for m in t.members) or not small_record(t)


DECAYED = (
    Param(LIVE, "unsigned char #[4]"),
    Param(LIVE, "unsigned char #[static 4]"),
    Param(LIVE, "unsigned char #[const]"),
    Param(_pointer("int (*#)(double)"), "int #(double)"),
    Param(_pointer("int (*#)[3]"), "int #[][3]"),
    Param(_pointer("char *restrict #")),
)


@st.composite
def functions(draw: st.DrawFn, compiler: str) -> Function:
    """One function type. Half of them are of types that every compiler passes alike."""
    plain = draw(st.booleans())
    values: st.SearchStrategy[Type] = st.one_of(
        ordinary_atoms(), ordinary_atoms(), records(compiler).filter(small_record)
    )
    count = draw(st.sampled_from((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12)))
    one = values.map(Param) if plain else params(compiler)
    taken = tuple(draw(st.lists(one, min_size=count, max_size=count)))
    result = draw(results(compiler, plain))
    matching = [n for n, p in enumerate(taken) if p.type == result and not p.text]
    if taken and not matching and not taken[-1].text and draw(st.integers(0, 4)) == 0:
        # A result is any bytes: nothing to pass on as a pointer that the callee follows.
        result, matching = _bare(taken[-1].type), [len(taken) - 1]
    matching = [n for n in matching if not any_atom(taken[n].type, "live")]
    shape = draw(st.sampled_from(Shape))
    if shape is Shape.NESTED and not matching:
        shape = Shape.LIVE
    fn = Function(result, taken, shape=shape, nested=matching[0] if matching else 0)
    kind = draw(st.integers(0, 19))
    if plain or kind > 4:
        return fn
    return draw(_variant(fn, kind, compiler))


@st.composite
def results(draw: st.DrawFn, compiler: str, plain: bool) -> Type:
    if draw(st.integers(0, 5)) == 0:
        return VOID
    everything = st.one_of(ordinary_atoms(), records(compiler), records(compiler).filter(small_record))
    drawn = draw(everything if plain else st.one_of(value_types(compiler), st.just(LONG_DOUBLE)))
    return _bare(drawn)


EXTRA: tuple[Type, ...] = (
    *(a for a in INTEGERS if a.promoted),
    FLOATS[1],
    LONG_DOUBLE,
    POINTERS[0],
    *WIDE,
    COMPLEX[1],
    Record("struct", (Member(INTEGERS[6], "m0"), Member(FLOATS[1], "m1"))),
    Record("struct", (Member(INTEGERS[8], "m0", (3,)),)),
)


DECORATED: tuple[str, ...] = ("regcall",)
"""clang makes other names of these functions; those of vectorcall functions no static call can have (IN014)."""


@st.composite
def _variant(draw: st.DrawFn, fn: Function, kind: int, compiler: str) -> Function:
    """A variadic function, one without a prototype, or one with an attribute."""
    if kind <= 1 and fn.params:
        # Before LLVM 18, what clang's va_arg reads is not where clang's callers put an __int128.
        usable = [t for t in EXTRA if t not in WIDE or compiler not in ("clang-14", "clang-16")]
        extra = tuple(draw(st.lists(st.sampled_from(usable), max_size=5)))
        return replace(fn, variadic=True, extra=extra)
    if kind == 2 and all(p.type.promoted if isinstance(p.type, Atom) else not p.type.odd for p in fn.params):
        if not any(p.text or p.type in ODD for p in fn.params):
            return replace(fn, prototyped=False)
        return fn
    if kind == 3:
        conventions = ["ms_abi", "sysv_abi"]
        if compiler.startswith("clang"):
            conventions += ["preserve_most", *DECORATED]
        ordinary = [p for p in fn.params if not isinstance(p.type, Record) or small_record(p.type)]
        convention = draw(st.sampled_from(conventions))
        if all(isinstance(p.type, Atom) and p.type.ordinary for p in ordinary) and _plain_result(fn.result):
            return replace(fn, params=tuple(ordinary), attribute=convention, shape=Shape.LIVE)
        return replace(fn, attribute="sysv_abi")
    return replace(fn, result_qualifier="const") if fn.result != VOID else fn


def _plain_result(t: Type) -> bool:
    return isinstance(t, Atom) and t.ordinary and "(" not in t.declared and t.size <= 8
