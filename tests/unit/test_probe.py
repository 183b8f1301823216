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
    ("before", "wider"),
    [
        ("", False),
        ('__attribute__((target("avx2,bmi")))', False),
        ('__attribute__((target("avx512f")))', True),
        ('__attribute__((noinline, __target__("arch=skylake-avx512")))', True),
        ('__attribute__((target("avx512f"))) int other(int x) { return x; }', False),
        ('__attribute__((target("avx512f"))) int other(int);', False),
        ('int f(void) __attribute__((noinline, target("avx512f")));', True),
        ('__attribute__((target("general-regs-only")))', True),
        ('__attribute__((target("avx512f")))\n#line 7\nstatic', True),
    ],
)
def test_functions_with_wider_registers(before: str, wider: bool, compiler: str, tmp_path: Path) -> None:
    answer = told(
        f"{HEAD}#define m(x) static_call(key)(x)\n{before} int f(void) {{ return m(1); }}\n", compiler, tmp_path
    )
    (use,) = answer.uses.values()
    assert use.keys == ("key",) and use.wider is wider


def test_a_pragma_widens_what_follows_it(tmp_path: Path) -> None:
    text = (
        HEAD + "int before(void) { return static_call(key)(1); }\n#include <immintrin.h>\n"
        "int between(void) { return static_call(key)(2); }\n"
        '#pragma GCC target("avx512f")\nint after(void) { return static_call(key)(3); }\n'
    )
    uses = told(text, "gcc-12", tmp_path).uses
    # The pragmas inside of immintrin.h are popped again there, and are the system's.
    assert [use.wider for _, use in sorted(uses.items())] == [False, False, True]


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
