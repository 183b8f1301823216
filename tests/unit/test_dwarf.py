# SPDX-License-Identifier: MIT
"""instrument.dwarf: what two compilers' debug information says of C types."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from instrument import dwarf, objectfile
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
    Target,
    Typedef,
    Unknown,
    Void,
)

COMPILERS = ("gcc", "gcc-11", "clang-14")

INT = Base("int", 4, Encoding.SIGNED)
UNSIGNED = Base("unsigned int", 4, Encoding.UNSIGNED)
CHAR = Base("char", 1, Encoding.SIGNED)

PRELUDE = """
typedef struct { float a; } anon;
struct whole { int x; };
struct never;
union both { int a; long b; };
enum small { A, B };
enum below { C = -1 };
enum packed { D } __attribute__((packed));
typedef enum { E } named;
typedef int fn_t(int);
typedef int vec __attribute__((vector_size(16)));
#define PROBE(key, func) static __typeof__(func) *__scp_##key __attribute__((used))
#define TARGET(key, func) static void (*__sci_##key)(void) __attribute__((used)) = (void (*)(void))(func)
struct static_call_key { void (*func)(void); };
"""


def compiled(tmp_path: Path, compiler: str, text: str, *flags: str) -> bytes:
    out = tmp_path / f"{compiler}.o"
    command = [compiler, "-w", "-g2", "-gdwarf-5", "-O0", *flags, "-c", "-x", "c", "-o", str(out), "-"]
    subprocess.run(command, input=PRELUDE + text, text=True, check=True)
    return out.read_bytes()


def function_of(tmp_path: Path, compiler: str, declaration: str, *flags: str) -> Function:
    data = compiled(tmp_path, compiler, f"{declaration};\nPROBE(k, f);\n", *flags)
    found = dwarf.read(data, {"k"})["k"].type
    assert isinstance(found, Function)
    return found


PARAMETERS: dict[str, CType] = {
    "int": INT,
    "signed": INT,
    "const int": INT,
    "unsigned": UNSIGNED,
    "char": CHAR,
    "signed char": Base("signed char", 1, Encoding.SIGNED),
    "unsigned char": Base("unsigned char", 1, Encoding.UNSIGNED),
    "short": Base("short", 2, Encoding.SIGNED),
    "unsigned short": Base("unsigned short", 2, Encoding.UNSIGNED),
    "long": Base("long", 8, Encoding.SIGNED),
    "unsigned long": Base("unsigned long", 8, Encoding.UNSIGNED),
    "long long": Base("long long", 8, Encoding.SIGNED),
    "unsigned long long": Base("unsigned long long", 8, Encoding.UNSIGNED),
    "_Bool": Base("_Bool", 1, Encoding.BOOL),
    "float": Base("float", 4, Encoding.FLOAT),
    "double": Base("double", 8, Encoding.FLOAT),
    "long double": Base("long double", 16, Encoding.FLOAT),
    "float _Complex": Base("float _Complex", 8, Encoding.COMPLEX),
    "double _Complex": Base("double _Complex", 16, Encoding.COMPLEX),
    "long double _Complex": Base("long double _Complex", 32, Encoding.COMPLEX),
    "__int128": Base("__int128", 16, Encoding.SIGNED),
    "unsigned __int128": Base("unsigned __int128", 16, Encoding.UNSIGNED),
    "void *": Pointer(Void()),
    "const void *": Pointer(Qualified("const", Void())),
    "int *const *restrict": Pointer(Qualified("const", Pointer(INT))),
    "volatile int *restrict *": Pointer(Qualified("restrict", Pointer(Qualified("volatile", INT)))),
    "_Atomic int *": Pointer(Qualified("_Atomic", INT)),
    "_Atomic int": Qualified("_Atomic", INT),
    "enum small": Enum("small", 4, False),
    "enum below": Enum("below", 4, True),
    "enum packed": Enum("packed", 1, False),
    "named": Typedef("named", Enum(None, 4, False)),
    "struct whole": Record("struct", "whole", 4, Content((Field(INT, 0, 32),))),
    "union both *": Pointer(Record("union", "both", 8)),
    "struct never *": Pointer(Record("struct", "never", None)),
    "struct never": Record("struct", "never", None),
    "anon": Typedef("anon", Record("struct", None, 4, Content((Field(Base("float", 4, Encoding.FLOAT), 0, 32),)))),
    "vec": Typedef("vec", Array(INT, 4, vector=True)),
    "int [5]": Pointer(INT),
    "int (*)[]": Pointer(Array(INT, None)),
    "int (*)[0]": Pointer(Array(INT, 0)),
    "const int (*)[3][4]": Pointer(Array(Array(Qualified("const", INT), 4), 3)),
    "fn_t": Pointer(Typedef("fn_t", Function(INT, (INT,), False))),
    "void (*)(const char *, ...)": Pointer(Function(Void(), (Pointer(Qualified("const", CHAR)),), True)),
    "int (*)()": Pointer(Function(INT, (), False, prototyped=False)),
    "void (*)(void) __attribute__((noreturn))": Pointer(Function(Void(), (), False)),
    "__builtin_va_list": Pointer(Record("struct", "__va_list_tag", 24)),
}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_parameters(tmp_path: Path, compiler: str) -> None:
    """All in one object, so that types which share debug information are told apart."""
    text = "".join(f"PROBE(k{i}, *(int (*)({spelling}))0);\n" for i, spelling in enumerate(PARAMETERS))
    found = dwarf.read(compiled(tmp_path, compiler, text), {f"k{i}" for i in range(len(PARAMETERS))})
    said = {spelling: found[f"k{i}"].type for i, spelling in enumerate(PARAMETERS)}
    assert said == {spelling: Function(INT, (t,), False) for spelling, t in PARAMETERS.items()}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_functions(tmp_path: Path, compiler: str) -> None:
    def of(declaration: str) -> Function:
        return function_of(tmp_path, compiler, declaration)

    assert of("void f(void)") == Function(Void(), (), False)
    assert of("int f()") == Function(INT, (), False, prototyped=False)
    assert of("int f(int, ...)") == Function(INT, (INT,), True)
    assert of("struct never *f(char)") == Function(Pointer(Record("struct", "never", None)), (CHAR,), False)
    assert of("void f(void) __attribute__((noreturn))") == Function(Void(), (), False)
    assert of("int (*f(int))(char)") == Function(Pointer(Function(INT, (CHAR,), False)), (INT,), False)


CONTENTS: dict[str, tuple[tuple[int, int], ...] | str] = {
    "struct { char a; struct { short b; int c[2]; } d; }": ((0, 8), (32, 16), (64, 32), (96, 32)),
    "union { char a[2]; struct whole b; }": ((0, 8), (8, 8), (0, 32)),
    "struct { int a[2][2]; }": ((0, 32), (32, 32), (64, 32), (96, 32)),
    "struct { unsigned a : 3, b : 20; unsigned c : 30; }": ((0, 3), (3, 20), (32, 30)),
    "struct { char a; long b : 60; int c : 7; } __attribute__((packed))": ((0, 8), (8, 60), (68, 7)),
    "struct { char a; unsigned long b : 40, c : 20; char d; } __attribute__((packed))": (
        (0, 8), (8, 40), (48, 20), (72, 8),
    ),
    "struct { struct { int : 3; int x : 5; } a; union { int b : 9; long c; }; }": ((3, 5), (64, 9), (64, 64)),
    "struct { vec v; fn_t *f; }": ((0, 128), (128, 64)),
    "struct { char a[65]; }": (),
    "struct { int a; int b[]; }": "an array without elements",
    "struct { int a[0]; int b; }": "an array without elements",
    "struct { _Atomic int a[2]; }": "an _Atomic member",
    "struct { struct { } a; int b; }": "a member without a size",
}  # fmt: skip


@pytest.mark.parametrize("compiler", COMPILERS)
def test_what_records_hold(tmp_path: Path, compiler: str) -> None:
    """clang writes bit-fields in the form of DWARF 3, gcc in that of DWARF 5."""
    text = "".join(f"typedef {t} t{i}; PROBE(k{i}, *(int (*)(t{i}))0);\n" for i, t in enumerate(CONTENTS))
    found = dwarf.read(compiled(tmp_path, compiler, text), {f"k{i}" for i in range(len(CONTENTS))})
    for i, (spelling, expected) in enumerate(CONTENTS.items()):
        fn = found[f"k{i}"].type
        assert isinstance(fn, Function) and isinstance(fn.params[0], Typedef)
        record = fn.params[0].target
        assert isinstance(record, Record) and record.content, spelling
        content = record.content
        places = tuple((field.start, field.width) for field in content.fields)
        assert (content.doubt if isinstance(expected, str) else places) == expected, spelling


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_record_that_leads_to_itself(tmp_path: Path, compiler: str) -> None:
    text = "struct node { struct node *next; int (*visit)(struct node); }; int f(struct node)"
    (t,) = function_of(tmp_path, compiler, text).params
    assert isinstance(t, Record) and t.content
    assert [field.width for field in t.content.fields] == [64, 64]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_long_double_of_128_bits_is_unknown(tmp_path: Path, compiler: str) -> None:
    """Its debug information is that of the 80-bit type, so the reader is told."""
    data = compiled(tmp_path, compiler, "long double f(long double _Complex); PROBE(k, f);")
    found = dwarf.read(data, {"k"}, quad=True)["k"].type
    assert isinstance(found, Function)
    assert isinstance(found.result, Unknown) and isinstance(found.params[0], Unknown)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_float128_is_not_long_double(tmp_path: Path, compiler: str) -> None:
    found = function_of(tmp_path, compiler, "void f(__float128)").params[0]
    assert isinstance(found, Base)
    assert found.name in {"__float128", "_Float128"}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_complex_integers_are_unknown(tmp_path: Path, compiler: str) -> None:
    assert isinstance(function_of(tmp_path, compiler, "void f(_Complex int)").params[0], Unknown)


FLOATS = {"_Float16": 2, "_Float32": 4, "_Float64": 8, "_Float32x": 8, "_Float64x": 16, "_Float128": 16}


@pytest.mark.parametrize("t", FLOATS)
def test_float_types_keep_their_names(tmp_path: Path, t: str) -> None:
    assert function_of(tmp_path, "gcc", f"{t} f(void)").result == Base(t, FLOATS[t], Encoding.FLOAT)


def test_decimal_and_address_space_are_unknown(tmp_path: Path) -> None:
    assert function_of(tmp_path, "gcc", "_Decimal64 f(void)").result == Unknown("_Decimal64")
    assert isinstance(function_of(tmp_path, "gcc", "int __seg_gs *f(void)").result, Unknown)


def test_clang_tells_the_convention(tmp_path: Path) -> None:
    assert function_of(tmp_path, "clang-14", "int __attribute__((ms_abi)) f(int)").convention == "ms"
    assert function_of(tmp_path, "clang-14", "int __attribute__((sysv_abi)) f(int)").convention == "sysv"
    assert function_of(tmp_path, "clang-14", "int __attribute__((preserve_all)) f(int)").convention == "preserve_all"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_variable_length(tmp_path: Path, compiler: str) -> None:
    assert function_of(tmp_path, compiler, "void f(int n, int (*a)[n])").params[1] == Pointer(Array(INT, None))


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", [(), ("-fPIC",), ("-fdata-sections", "-ffunction-sections"), ("-gz",)])
def test_targets(tmp_path: Path, compiler: str, flags: tuple[str, ...]) -> None:
    text = """
    extern int sscanf(const char *, const char *, ...) __asm__("__isoc99_sscanf");
    static void first(void) {}
    static void second(void) {}
    #define DEFINE(key, func) PROBE(key, func); struct static_call_key __SCK__##key = { 0 }; TARGET(key, func)
    DEFINE(redirected, sscanf);
    DEFINE(local, second);
    void missing(void) __attribute__((weak));
    DEFINE(weak, missing);
    PROBE(null, first);
    TARGET(null, 0);
    PROBE(declared, first);
    extern struct static_call_key __SCK__declared;
    void g(void) { PROBE(block, first); TARGET(block, first); __SCK__declared.func = 0; }
    """
    found = dwarf.read(
        compiled(tmp_path, compiler, text, *flags),
        {"redirected", "local", "weak", "null", "declared", "block"},
    )
    assert {name: (probe.defined, probe.symbol) for name, probe in found.items()} == {
        "redirected": (True, Target("__isoc99_sscanf", static=False)),
        "local": (True, Target("second", static=True)),
        "weak": (True, None),
        "null": (False, None),
        "declared": (False, None),
        "block": (False, Target("first", static=True)),
    }


def test_two_functions_at_one_address_name_no_target(tmp_path: Path) -> None:
    text = """
    static void first(void) {}
    static void second(void) __attribute__((alias("first")));
    PROBE(k, first);
    TARGET(k, first);
    """
    assert dwarf.read(compiled(tmp_path, "clang-14", text), {"k"})["k"].symbol is None


@pytest.mark.parametrize("flags", [("-g0",), ("-g1",)])
def test_no_debug_information_is_no_answer(tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert dwarf.read(compiled(tmp_path, "gcc", "int f(void);\nPROBE(k, f);\n", *flags), {"k"}) == {}


def test_machine(tmp_path: Path) -> None:
    assert objectfile.is_x86_64(compiled(tmp_path, "gcc", ""))
    assert not objectfile.is_x86_64(compiled(tmp_path, "gcc", "", "-m32"))
    assert not objectfile.is_x86_64(compiled(tmp_path, "gcc", "", "-mx32"))
    assert not objectfile.is_x86_64(compiled(tmp_path, "clang-14", "", "--target=aarch64-linux-gnu"))
    assert not objectfile.is_x86_64(b"")
