# SPDX-License-Identifier: MIT
"""What a unit tells beyond its keys' types: registers that a wrapper cannot name, types that cannot be spelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument.model import Resolution, Unit
from instrument.paths import INCLUDE_DIR
from instrument.resolve import resolve
from instrument.scan import scan
from tests.toolchain import COMPILERS

HEAD = '#include "static_call.h"\nint bark(int);\nDECLARE_STATIC_CALL(key, bark);\n'


def told(text: str, compiler: str, tmp_path: Path) -> Resolution:
    """What the compiler says of a tree of one file."""
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
