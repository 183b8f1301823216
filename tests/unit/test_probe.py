# SPDX-License-Identifier: MIT
"""What a unit tells beyond its keys' types: registers that a wrapper cannot name, types that cannot be spelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument.diagnostics import Finding
from instrument.model import Resolution, Unit
from instrument.paths import INCLUDE_DIR
from instrument.resolve import Resolved, resolve
from instrument.scan import scan
from tests.toolchain import COMPILERS

HEAD = '#include "static_call.h"\nint bark(int);\nDECLARE_STATIC_CALL(key, bark);\n'


def told(text: str, compiler: str, tmp_path: Path) -> Resolution:
    """What the compiler says of a tree of one file."""
    found = resolved(text, compiler, tmp_path)
    assert found.findings == () and not found.failed
    return found.resolution


def resolved(text: str, compiler: str, tmp_path: Path) -> Resolved:
    (tmp_path / "a.c").write_text(text)
    data = text.encode()
    unit = Unit(tmp_path / "a.c", (compiler,), tmp_path)
    return resolve(tmp_path, ["a.c"], {"a.c": scan(data, "a.c")}, {"a.c": data}, [unit], INCLUDE_DIR, 1)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("", None),
        ('__attribute__((target("avx2,bmi")))', None),
        ("#include <immintrin.h>\n", None),
        ('__attribute__((target("avx512f")))', "other registers"),
        ('__attribute__((noinline, __target__("arch=skylake-avx512")))', "other registers"),
        ('__attribute__((target("avx512f"))) int other(int);', None),
        ('__attribute__((target("avx512f"))) int other(int x) { return x; }', None),
        # Whatever is inlined into it loses its registers, too.
        ('int f(void); __attribute__((target("avx512f"))) int other(void) { return f(); }', "other registers"),
        ('int f(void); int (*p)(void) = f; __attribute__((target("avx512f"))) int other(int x);', None),
        ('int f(void); int other(void) { return f(); } __attribute__((target("avx512f"))) void big(void) {}', None),
        ('int f(void) __attribute__((noinline, target("avx512f")));', "other registers"),
        ('__attribute__((target("general-regs-only")))', "other registers"),
        ('__attribute__((target("avx512f")))\n#line 7\nstatic', "other registers"),
        ('int other;\n#pragma GCC target("avx512f")\n', "other registers"),
        ('int g(void) { register long r __asm__("r15") = 1; return (int)r; }', None),
        ("#define UNUSED __attribute__((musttail))\n", None),
    ],
)
def test_where_no_asm_can_stand_for_a_call(before: str, why: str | None, compiler: str, tmp_path: Path) -> None:
    answer = told(
        f"{HEAD}#define m(x) static_call(key)(x)\n{before} int f(void) {{ return m(1); }}\n", compiler, tmp_path
    )
    (use,) = answer.uses.values()
    assert use.keys == ("key",)
    assert (use.barred is None) if why is None else (why in str(use.barred))


def test_a_global_register_variable(tmp_path: Path) -> None:
    """gcc's alone: clang has none but the stack pointer's."""
    text = HEAD + 'register long kept __asm__("r15");\nint f(void) { return static_call(key)(1); }\n'
    (use,) = told(text, "gcc-12", tmp_path).uses.values()
    assert use.barred and "global register variable" in use.barred


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_type_that_is_whole_or_named_only_after_the_declaration(compiler: str, tmp_path: Path) -> None:
    """The wrapper stands at the first declaration; gcc and clang tell the types of the last."""
    text = """#include "static_call.h"
    struct s;
    DECLARE_STATIC_CALL(later, struct s (struct s, int)); DECLARE_STATIC_CALL(fine, int (unsigned));
    struct s { int a; float b; };
    typedef unsigned u32;
    int impl(u32 x);
    DECLARE_STATIC_CALL(fine, impl);
    """
    keys = told(text, compiler, tmp_path).keys
    assert keys["later"].inexact
    # clang spells it with the typedef of the last declaration, which the first one cannot.
    assert keys["fine"].inexact is (compiler.startswith("clang"))


@pytest.mark.parametrize(
    ("declaration", "inexact"),
    [
        ("int f(const int *p);", False),
        ("typedef int row[4]; int f(const row *p);", True),
        ("int f(void (*die)(int) __attribute__((noreturn)));", True),
        ("int f(int (*ms)(int) __attribute__((ms_abi)));", True),
    ],
)
def test_types_that_debug_information_does_not_tell_whole(declaration: str, inexact: bool, tmp_path: Path) -> None:
    text = f'#include "static_call.h"\n{declaration}\nDECLARE_STATIC_CALL(key, f);\n'
    assert told(text, "gcc-12", tmp_path).keys["key"].inexact is inexact


def refused(text: str, compiler: str, tmp_path: Path) -> list[Finding]:
    found = resolved(text, compiler, tmp_path)
    assert found.failed == {"a.c"} and found.resolution.keys == {}
    return list(found.findings)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_names_beyond_ascii(compiler: str, tmp_path: Path) -> None:
    text = '#include "static_call.h"\nint bark(int);\nDECLARE_STATIC_CALL(clé, bark);\n'
    answer = told(text + "int f(void) { return static_call(clé)(1); }\n", compiler, tmp_path)
    assert answer.keys["clé"].type is not None
    assert [use.keys for use in answer.uses.values()] == [("clé",)]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "-E' has put out no preprocessed text with line markers"),
        ('case " $* " in *" -E "*) echo "int x;" ;; esac', "-E' has put out no preprocessed text with line markers"),
        ('case " $* " in *" -c "*) ;; *) exec gcc-12 "$@" ;; esac', "-c' has written no object"),
        ('out=; for a; do [ "$out" = -o ] && f=$a; out=$a; done\n'
         'case " $* " in *" -c "*) echo junk > "$f" ;; *) exec gcc-12 "$@" ;; esac', "-c' has written no ELF object"),
        ('out=; for a; do [ "$out" = -o ] && f=$a; out=$a; done\n'
         'case " $* " in *" -c "*) gcc-12 "$@"; head -c 3000 "$f" > "$f.x"; mv "$f.x" "$f" ;;\n'
         '*) exec gcc-12 "$@" ;;\n'
         "esac", "-c' has written an object that cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_compiler(script: str, said: str, tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    (finding,) = refused(HEAD, str(compiler), tmp_path)
    assert finding.code == "IN001" and said in finding.detail


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_column_of_the_preprocessed_text(compiler: str, tmp_path: Path) -> None:
    text = HEAD + "#define LONG int aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbb;\nLONG long x = y;\n"
    (finding,) = refused(text, compiler, tmp_path)
    assert finding.place is not None and (finding.place.line, finding.place.column) == (5, len("LONG long x = y"))
    assert "error" in finding.detail and " |" not in finding.detail


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("use", ["static_call_update(kay, bark)", "(void)static_call_query(kay)"])
def test_an_undeclared_key_that_is_not_called(use: str, compiler: str, tmp_path: Path) -> None:
    (finding,) = refused(f"{HEAD}void f(void)\n{{\n\t{use};\n}}\n", compiler, tmp_path)
    assert (finding.code, finding.message) == ("IN002", "the key 'kay' is not declared in a.c")
    assert finding.place is not None and finding.place.line == 6
    assert finding.notes == ("did you mean 'key'?",)
    (finding,) = refused(f'#include "static_call.h"\nvoid f(void) {{ {use}; }}\n', compiler, tmp_path)
    assert finding.code == "IN002"


def test_a_key_that_is_declared_by_hand(tmp_path: Path) -> None:
    text = HEAD + "int f(void)\n{\n\textern struct static_call_key STATIC_CALL_KEY(kay);\n\treturn 0;\n}\n"
    assert told(text, "gcc-12", tmp_path).keys.keys() == {"key"}
    text = (
        HEAD
        + "extern struct static_call_key STATIC_CALL_KEY(kay);\nvoid *f(void) { return &STATIC_CALL_KEY(kay); }\n"
    )
    assert told(text, "gcc-12", tmp_path).keys.keys() == {"key"}


def test_an_undeclared_key_beside_a_function_for_other_registers(tmp_path: Path) -> None:
    text = '#include "static_call.h"\n__attribute__((target("avx512f"))) int f(void) { return static_call(kay)(); }\n'
    (finding,) = refused(text, "gcc-12", tmp_path)
    assert finding.code == "IN002"
