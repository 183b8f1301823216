# SPDX-License-Identifier: MIT
"""The conversion, on a program laid out as csmith lays them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.csmith.convert import Form, Updates, convert
from tests.csmith.program import NotCsmith, parse
from tests.toolchain import RUNTIME, run

ORIGINAL = """#include <stdio.h>
static void crc32_gentab(void) { }

struct S0 {
   const signed f0 : 3;
};


static struct S0 g_1[2] = {{1},{2}};
static int *g_2 = (void*)0;



static int  func_1(void);
inline static const struct S0  func_20(int  p_21, const struct S0  p_22, int ** const  p_23);
static int * func_30(int  p_31);




static int  func_1(void)
{
    return func_20(safe_func_3((*g_2 = func_20((func_30(1) , 2), g_1[0], &g_2).f0)), g_1[1], &g_2).f0;
}


inline static const struct S0  func_20(int  p_21, const struct S0  p_22, int ** const  p_23)
{
    *p_23 = func_30(p_21);
    return p_22;
}


static int * func_30(int  p_31)
{
    static int l_32;
    l_32 = p_31;
    return &l_32;
}




int main (void)
{
    crc32_gentab();
    func_1();
    printf("checksum = %d\\n", *g_2);
    return 0;
}
"""
PROGRAM = ORIGINAL.replace("safe_func_3(", "(").replace("\nstruct", "\nstatic int safe_func_3;\nstruct", 1)
FORMS = [Form(updates, two, late) for updates in Updates for two in (False, True) for late in (False, True)]


def test_every_call_is_converted_and_nothing_else() -> None:
    program = parse(ORIGINAL)
    assert program.calls == 5
    text = convert(program, Form(Updates.NEVER, two_files=False, define_late=False))["main.c"]
    assert text.count("static_call(func_") == 5
    assert (
        "return static_call(func_20)(safe_func_3((*g_2 = static_call(func_20)((static_call(func_30)(1) , 2), "
        "g_1[0], &g_2).f0)), g_1[1], &g_2).f0;" in text
    )
    assert "static int  func_1(void)\n{" in text
    assert "inline static const struct S0  func_20(int  p_21, const struct S0  p_22, int ** const  p_23);\n" in text


def test_a_second_function_hands_on_its_arguments() -> None:
    text = convert(parse(ORIGINAL), Form(Updates.BEFORE, two_files=False, define_late=True))["main.c"]
    assert (
        "static __attribute__((noinline)) const struct S0  second_func_20(int  p_21, const struct S0  p_22, "
        "int ** const  p_23)\n{\n    return func_20(p_21, p_22, p_23);\n}\n" in text
    )
    assert text.index("crc32_gentab();\n    if (static_call_update(func_1, second_func_1)) return 99;") > 0
    assert text.index("DECLARE_STATIC_CALL(func_30") < text.index("\n{\n") < text.index("DEFINE_STATIC_CALL(func_30")


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_converted_program_does_the_same(form: Form, tmp_path: Path) -> None:
    files = convert(parse(PROGRAM), form)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    include = Path(RUNTIME[0]).parent / "include"
    sources = [tmp_path / name for name in files if name.endswith(".c")]
    run(["gcc-12", "-std=gnu11", "-Werror", f"-I{include}", *sources, *RUNTIME, "-o", tmp_path / "prog"])
    assert run([tmp_path / "prog"]) == "checksum = 1\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("static int  func_1(void);", ""),
        ("static int *g_2 = (void*)0;", "static int *g_2;"),
        ("int main (void)", "int main(void)"),
        ("static int * func_30(int  p_31)\n", "static int *func_30(int  p_31)\n"),
    ],
)
def test_what_csmith_does_not_write_is_refused(old: str, new: str) -> None:
    assert old in ORIGINAL
    with pytest.raises(NotCsmith):
        parse(ORIGINAL.replace(old, new))
