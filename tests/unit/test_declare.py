# SPDX-License-Identifier: MIT
"""instrument.declare: the text means the type, to two compilers and to pycparser."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pycparser import c_ast
from pycparser.c_parser import CParser

from instrument import declare, dwarf
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
    Typedef,
    Unknown,
    Void,
)

COMPILERS = ("gcc", "gcc-11", "clang-14")

INT = Base("int", 4, Encoding.SIGNED)
CHAR = Base("char", 1, Encoding.SIGNED)

PRELUDE = """
struct pet { int legs; };
union both { int a; long b; };
enum colour { RED, GREEN };
typedef unsigned long size_type;
typedef struct { int a; } unnamed;
typedef enum { ONE } one;
typedef int row[4];
typedef int compare(const void *, const void *);
typedef int vec __attribute__((vector_size(16)));
typedef struct pet *const pet_ref;
"""

NASTY = [
    "void f(void)",
    "int f(const struct pet *, int)",
    "char f(signed char, unsigned char, short, unsigned short)",
    "unsigned long long f(long long, unsigned long, unsigned)",
    "int *const *f(int *const *restrict, char *volatile *const *)",
    "const char *const *f(const char *const *const)",
    "int (*f(int))(char)",
    "int (*(*f(void))(int))[3]",
    "int (*f(int (*)[4]))[4]",
    "void (*f(int, void (*)(int)))(int)",
    "int f(int (*)(int (*)(int (*)(void))))",
    "void f(void *, size_type, size_type, int (*)(const void *, const void *))",
    "void f(compare *, compare)",
    "void f(row, row *)",
    "void f(const int (*)[3][4], int [5][6])",
    "void f(int (*)[], int *(*)[], int (*(*)[2])(void))",
    "void f(int (*)[0])",
    "int f(const char *, ...)",
    "int f(int (*)(const char *, ...), int (*)(), void (*)(void))",
    "unnamed *f(unnamed, unnamed (*)(unnamed))",
    "one f(one, one *, enum colour, enum colour *)",
    "union both *f(union both, const union both *volatile)",
    "struct never *f(struct never **, const struct never *)",
    "_Bool f(_Bool, _Bool *)",
    "float f(double, long double, float *, const double *restrict)",
    "double _Complex f(float _Complex, long double _Complex *)",
    "__int128 f(unsigned __int128, __int128 *)",
    "_Atomic int *f(_Atomic int *, _Atomic(int *) *, const _Atomic int *)",
    "pet_ref *f(pet_ref, const pet_ref *)",
    "vec f(vec, vec *)",
    "volatile void *f(const volatile void *, void *restrict *restrict)",
    "char *(*(*f(char *(*)(char *)))[2])(struct pet *(*)(struct pet **))",
    "void f(row (*)[2], const int *(*const (*)[3])(const row))",
    "int f(int n, int (*a)[n])",
    "int f(const char *, __builtin_va_list)",
    "int f(int (*)(int, __builtin_va_list), __builtin_va_list *)",
]


def functions(tmp_path: Path, compiler: str) -> list[Function]:
    """NASTY as the compiler describes it."""
    text = PRELUDE + "struct never;\n"
    for i, declaration in enumerate(NASTY):
        text += (
            f"{declaration.replace('f(', f'f{i}(', 1)};\nstatic __typeof__(f{i}) *__scp_k{i} __attribute__((used));\n"
        )
    out = tmp_path / "nasty.o"
    command = [compiler, "-w", "-g2", "-gdwarf-5", "-O0", "-c", "-x", "c", "-o", str(out), "-"]
    subprocess.run(command, input=text, text=True, check=True)
    found = dwarf.read(out.read_bytes(), {f"k{i}" for i in range(len(NASTY))})
    types = [found[f"k{i}"].type for i in range(len(NASTY))]
    assert all(isinstance(t, Function) for t in types)
    return [t for t in types if isinstance(t, Function)]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_text_is_the_type(tmp_path: Path, compiler: str) -> None:
    text = PRELUDE + "struct never;\n"
    for i, (declaration, fn) in enumerate(zip(NASTY, functions(tmp_path, compiler), strict=True)):
        assert declare.unnameable(fn) is None, declaration
        names = [f"a{n}" for n in range(len(fn.params))]
        text += f"{declaration.replace('f(', f'f{i}(', 1)};\n{declare.prototype(f'g{i}', fn, names)};\n"
        same = f"__builtin_types_compatible_p(__typeof__(f{i}), "
        text += f'_Static_assert({same}__typeof__(g{i})), "prototype {i}");\n'
        text += f'_Static_assert({same}{declare.spell(fn)}), "spell {i}");\n'
        same = f"__builtin_types_compatible_p(__typeof__(&f{i}), "
        text += f'_Static_assert({same}{declare.spell(Pointer(fn))}), "pointer {i}");\n'
    command = [compiler, "-fsyntax-only", "-w", "-x", "c", "-"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pycparser_reads_the_text_back(tmp_path: Path) -> None:
    typedefs = "typedef int size_type, unnamed, one, row, compare, vec, pet_ref, __builtin_va_list;\n"
    for fn in functions(tmp_path, "gcc"):
        text = declare.prototype("g", fn, [f"a{n}" for n in range(len(fn.params))])
        tree = CParser().parse(f"{typedefs}{text};\n{declare.spell(Pointer(fn)).replace('(*)', '(*h)', 1)};")
        read = tree.ext[-2]
        assert isinstance(read, c_ast.Decl)
        assert read.name == "g"
        assert isinstance(read.type, c_ast.FuncDecl)
        named = [p.name for p in read.type.args.params if isinstance(p, c_ast.Decl)] if read.type.args else []
        assert named == [f"a{n}" for n in range(len(fn.params))]


@pytest.mark.parametrize(
    ("fn", "names", "text"),
    [
        (
            Function(INT, (Pointer(Qualified("const", Record("struct", "pet", 4))), INT), False),
            ["__sc_a0", "__sc_a1"],
            "int bark(const struct pet *__sc_a0, int __sc_a1)",
        ),
        (Function(Void(), (), False), [], "void bark(void)"),
        (Function(INT, (), False, prototyped=False), [], "int bark()"),
        (Function(INT, (INT,), True), ["a"], "int bark(int a, ...)"),
        (
            Function(Void(), (Qualified("restrict", Pointer(Qualified("const", Pointer(INT)))),), False),
            ["p"],
            "void bark(int * const * restrict p)",
        ),
        (
            Function(Void(), (Pointer(Function(Void(), (INT,), False)), Pointer(Array(INT, 3))), False),
            ["f", "a"],
            "void bark(void (*f)(int), int (*a)[3])",
        ),
    ],
)
def test_prototype(fn: Function, names: list[str], text: str) -> None:
    assert declare.prototype("bark", fn, names) == text


def test_spell() -> None:
    assert declare.spell(Typedef("size_t", INT)) == "size_t"
    assert declare.spell(Qualified("const", Qualified("volatile", INT))) == "const volatile int"
    assert declare.spell(Pointer(Qualified("const", CHAR))) == "const char *"
    assert declare.spell(Pointer(Array(Pointer(CHAR), 2))) == "char *(*)[2]"


@pytest.mark.parametrize(
    ("t", "words"),
    [
        (Record("struct", None, 4), "an unnamed struct"),
        (Pointer(Qualified("const", Record("union", None, 4))), "an unnamed union"),
        (Enum(None, 4, False), "an unnamed enum"),
        (Pointer(Pointer(Record("struct", "__va_list_tag", 24))), "va_list"),
        (Array(INT, 4, vector=True), "a vector type without a name"),
        (Pointer(Array(Array(INT, None), None)), "an array of arrays of variable length"),
        (Pointer(Function(Void(), (Record("struct", None, 4),), False)), "an unnamed struct"),
        (Pointer(Function(Void(), (), False, convention="ms")), "a function of the calling convention ms"),
        (Unknown("_Decimal64"), "_Decimal64"),
    ],
)
def test_unnameable(t: CType, words: str) -> None:
    assert declare.unnameable(Function(Void(), (INT, t), False)) == words
    assert declare.unnameable(Function(t, (), False)) == words
    assert declare.unnameable(Function(Typedef("t", t), (), False)) is None


def test_spelling_what_has_no_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="unnameable"):
        declare.spell(Pointer(Record("struct", None, 4)))
