# SPDX-License-Identifier: MIT
"""instrument.classify: the psABI's registers, and a reason for everything that has none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from instrument import dwarf, explain, unseen
from instrument.classify import classify
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
    Refusal,
    Signature,
    Typedef,
    Unknown,
    Value,
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


def dealt(value: Value | None) -> str:
    """A value's registers with the bytes in each, as "rdi:0+8 xmm0:8+8"."""
    return " ".join(f"{p.register}:{p.offset}+{p.size}" for p in value.pieces) if value else "void"


def signature(*params: CType, result: CType = Void()) -> Signature:  # noqa: B008
    found = classify(Function(result, params, False))
    assert isinstance(found, Signature), found
    return found


def registers(*params: CType, result: CType = Void()) -> list[str]:  # noqa: B008
    return [piece.register for value in signature(*params, result=result).params for piece in value.pieces]


def refusal(*params: CType, result: CType = Void(), **form: object) -> Refusal:  # noqa: B008
    found = classify(Function(result, params, **{"variadic": False, **form}))  # type: ignore[arg-type]
    assert isinstance(found, Refusal), found
    assert explain.title(found.code)
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
    found = signature(t, result=t)
    (value,) = found.params
    assert (dealt(value), value.size, value.signed, value.type) == (f"rdi:0+{size}", size, signed, t)
    assert found.result is not None
    assert (dealt(found.result), found.result.signed) == (f"rax:0+{size}", signed)


WIDE = {
    "float": (FLOAT, "xmm0:0+4", "xmm0:0+4"),
    "double": (DOUBLE, "xmm0:0+8", "xmm0:0+8"),
    "_Float32": (Base("_Float32", 4, Encoding.FLOAT), "xmm0:0+4", "xmm0:0+4"),
    "_Float16": (Base("_Float16", 2, Encoding.FLOAT), "xmm0:0+2", "xmm0:0+2"),
    "-mlong-double-64": (Base("long double", 8, Encoding.FLOAT), "xmm0:0+8", "xmm0:0+8"),
    "__float128": (Base("__float128", 16, Encoding.FLOAT), "xmm0:0+16", "xmm0:0+16"),
    "_Float128": (Base("_Float128", 16, Encoding.FLOAT), "xmm0:0+16", "xmm0:0+16"),
    "__int128": (Base("__int128", 16, Encoding.SIGNED), "rdi:0+8 rsi:8+8", "rax:0+8 rdx:8+8"),
    "float _Complex": (Base("float _Complex", 8, Encoding.COMPLEX), "xmm0:0+8", "xmm0:0+8"),
    "double _Complex": (Base("double _Complex", 16, Encoding.COMPLEX), "xmm0:0+8 xmm1:8+8", "xmm0:0+8 xmm1:8+8"),
    "__m64": (Typedef("__m64", Array(INT, 2, vector=True)), "xmm0:0+8", "xmm0:0+8"),
    "__m128": (Typedef("__m128", Array(FLOAT, 4, vector=True)), "xmm0:0+16", "xmm0:0+16"),
    "long double": (LONG_DOUBLE, "IN020", "st0:0+16"),
    "_Float64x": (Base("_Float64x", 16, Encoding.FLOAT), "IN020", "st0:0+16"),
    "long double _Complex": (Base("long double _Complex", 32, Encoding.COMPLEX), "IN020", "st0:0+16 st1:16+16"),
}


@pytest.mark.parametrize("name", WIDE)
def test_scalars_beyond_integers(name: str) -> None:
    t, passed, returned = WIDE[name]
    if passed.startswith("IN"):
        assert refusal(t).code == passed
    else:
        assert dealt(signature(t).params[0]) == passed
    assert dealt(signature(result=t).result) == returned


@pytest.mark.parametrize("void", [Void(), Typedef("nothing", Void()), Qualified("const", Void())])
def test_no_result(void: CType) -> None:
    found = classify(Function(void, (), False))
    assert isinstance(found, Signature)
    assert found.result is None


def test_the_parameter_that_finds_no_register_is_named() -> None:
    assert refusal(*[INT] * 6, FLOAT, CHAR) == Refusal(
        "IN020", "parameter 8 (char) is on the stack: not enough registers are left"
    )
    assert refusal(*[DOUBLE] * 9).reason.startswith("parameter 9 (double)")


def test_a_value_is_in_registers_as_a_whole_or_not_at_all() -> None:
    """3.2.3 "Passing": where one eightbyte finds no register, those of the others are given back."""
    wide = Base("__int128", 16, Encoding.SIGNED)
    assert refusal(*[LONG] * 5, wide).reason.startswith("parameter 6 (__int128) is on the stack")
    assert registers(*[LONG] * 4, wide)[-2:] == ["r8", "r9"]


def test_a_result_in_memory_takes_the_first_register() -> None:
    found = signature(INT, DOUBLE, result=Record("struct", "big", 24, Content(())))
    assert found.in_memory and [dealt(p) for p in found.params] == ["rsi:0+4", "xmm0:0+8"]
    assert not signature(result=INT).in_memory and not signature().in_memory


RECORDS = {
    "struct { int a; double b; }": "rdi:0+8 xmm0:8+8",
    "struct { double a; int b; }": "xmm0:0+8 rdi:8+8",
    "struct { float x, y, z; }": "xmm0:0+8 xmm1:8+4",
    "struct { float x; int y; float z; }": "rdi:0+8 xmm0:8+4",
    "struct { char c[3]; }": "rdi:0+3",
    "struct { char c[9]; }": "rdi:0+8 rsi:8+1",
    "struct { short a; struct { char b; struct { int c; } d; } e[1]; }": "rdi:0+8 rsi:8+4",
    "struct { struct { double a[1]; } b; struct { float c, d; }; }": "xmm0:0+8 xmm1:8+8",
    "union { double d; long l; }": "rdi:0+8",
    "union { float f; double d; }": "xmm0:0+8",
    "union { struct { double a; float b; } s; char c[12]; }": "rdi:0+8 rsi:8+8",
    "struct { unsigned a : 3, b : 20; unsigned long c : 40; }": "rdi:0+8",
    "struct { float f; int b : 5; }": "rdi:0+8",
    "struct { char c; long b : 60; int d : 7; } __attribute__((packed))": "rdi:0+8 rsi:8+2",
    "struct { void *p; int (*f)(void); }": "rdi:0+8 rsi:8+8",
    "struct { enum { X } e; _Bool b; }": "rdi:0+8",
    "struct { const volatile int a; }": "rdi:0+4",
    "struct { int a; } __attribute__((aligned(16)))": "rdi:0+8",
    "struct { int a; char b; } __attribute__((packed))": "rdi:0+5",
    "struct { __int128 v; }": "rdi:0+8 rsi:8+8",
    "struct { float _Complex c; float d; }": "xmm0:0+8 xmm1:8+4",
    "struct { float a; float _Complex c; }": "xmm0:0+8 xmm1:8+4",
    "struct { vec16 v; }": "xmm0:0+16",
    "union { vec16 v; float f[4]; }": "xmm0:0+8 xmm1:8+8",
    "struct { vec8 a; vec8 b; }": "xmm0:0+8 xmm1:8+8",
    "struct { long double v; }": "IN020",
    "union { long double v; double d; }": "IN020",
    "union { long double v; long l; }": "IN020",
    "struct { long a[3]; }": "IN020",
    "struct { char c; int b; } __attribute__((packed))": "IN038",
    "struct { char c; under u; }": "IN038",
    "struct { short a[4]; over b; } __attribute__((packed))": "IN038",
    "struct { float a; struct { eight b; } c; } __attribute__((packed))": "IN038",
    "struct { float a; struct { float b; } __attribute__((aligned(8))) c; } __attribute__((packed))": "IN038",
    "struct { float a __attribute__((aligned(8))); over *b; }": "xmm0:0+8 rdi:8+8",
    "struct { over a; }": "xmm0:0+8",
    "struct { float a; int : 32; }": "IN038",
    "struct { float a; int : 0; float b; }": "IN038",
    "struct { int a; int : 5; }": "rdi:0+8",
    "struct { int n; int a[]; }": "IN038",
    "struct { float n; int a[0]; }": "IN038",
    "struct { struct { } e; int a; }": "IN038",
    "struct { }": "IN038",
    "struct { _Atomic int a; }": "IN038",
    "struct { __float128 q; }": "IN038",
    "struct { vec4 v; int i; }": "IN038",
    "struct { vec32 v; }": "IN038",
    "vec4": "IN038",
    "vec32": "IN038",
    "_Atomic int": "IN038",
    "struct incomplete": "IN021",
}
RESULTS = {
    "struct { int a; double b; }": "rax:0+8 xmm0:8+8",
    "struct { double a; int b; }": "xmm0:0+8 rax:8+8",
    "struct { long a, b; }": "rax:0+8 rdx:8+8",
    "struct { float x, y, z; }": "xmm0:0+8 xmm1:8+4",
    "struct { long double v; }": "st0:0+16",
    "union { long double v; double d; }": "",
    "struct { long a[3]; }": "",
    "struct { char c[65]; vec32 v; }": "",
    "struct { char c; long b[4]; } __attribute__((packed))": "",
    "struct { int n; long b[3]; int a[]; }": "",
}
TYPES = """
typedef int vec16 __attribute__((vector_size(16)));
typedef int vec8 __attribute__((vector_size(8)));
typedef char vec4 __attribute__((vector_size(4)));
typedef int vec32 __attribute__((vector_size(32)));
typedef float eight __attribute__((aligned(8)));
typedef float over __attribute__((aligned(16)));
typedef int under __attribute__((aligned(1)));
struct incomplete;
"""


@pytest.mark.parametrize("compiler", ["gcc-12", "clang-14"])
def test_records(tmp_path: Path, compiler: str) -> None:
    """What the compilers' debug information and the text say, classified: the first by the psABI's own rules."""
    text = TYPES
    for i, spelling in enumerate((*RECORDS, *RESULTS)):
        form = f"void (*)(t{i})" if i < len(RECORDS) else f"t{i} (*)(void)"
        text += f"typedef {spelling} t{i};\nstatic __typeof__(*({form})0) *__scp_k{i} __attribute__((used));\n"
    out = tmp_path / "records.o"
    command = [compiler, "-w", "-g2", "-gdwarf-5", "-O0", "-c", "-x", "c", "-o", str(out), "-"]
    subprocess.run(command, input=text, text=True, check=True)
    probes = dwarf.read(out.read_bytes(), {f"k{i}" for i in range(len(RECORDS) + len(RESULTS))})
    said = {}
    for i, spelling in enumerate((*RECORDS, *RESULTS)):
        fn = probes[f"k{i}"].type
        assert isinstance(fn, Function)
        found = classify(unseen.told(fn, unseen.Text(text.encode())))
        if isinstance(found, Refusal):
            said[i, spelling] = found.code
        else:
            said[i, spelling] = dealt(found.params[0] if i < len(RECORDS) else found.result)
    expected = (*RECORDS.values(), *RESULTS.values())
    assert said == {(i, spelling): expected[i] for i, spelling in enumerate((*RECORDS, *RESULTS))}


@pytest.mark.parametrize(
    ("t", "code", "words"),
    [
        (Record("struct", "never", None), "IN021", "parameter 2 (struct never) is incomplete here"),
        (Typedef("atomic_int", Qualified("_Atomic", INT)), "IN038", "parameter 2 (atomic_int) is _Atomic"),
        (Array(DOUBLE, 1, vector=True), "IN038", "a vector of 1 double"),
        (Array(Base("_Float16", 2, Encoding.FLOAT), 8, vector=True), "IN038", "a vector of 8 _Float16"),
        (Unknown("_Decimal64"), "IN021", "_Decimal64"),
    ],
)
def test_what_is_not_known_for_certain(t: CType, code: str, words: str) -> None:
    found = refusal(INT, t)
    assert found.code == code and words in found.reason
    found = refusal(INT, result=t)
    assert found.code == code and "the result (" in found.reason


def test_a_transparent_union_is_not_taken_for_a_union() -> None:
    fields = (Field(DOUBLE, 0, 64), Field(LONG, 0, 64))
    mixed = Record("union", "u", 8, Content(fields, unseen="may be a transparent union"))
    assert refusal(mixed).code == "IN038"
    integers = Record("union", "u", 8, Content((Field(PTR, 0, 64), Field(LONG, 0, 64)), unseen="may be"))
    assert registers(integers) == ["rdi"]


def test_forms_that_no_register_decides() -> None:
    assert refusal(INT, variadic=True).code == "IN022"
    assert refusal(prototyped=False).code == "IN023"
    assert refusal(INT, convention="ms") == Refusal("IN024", "the function has the calling convention ms")
