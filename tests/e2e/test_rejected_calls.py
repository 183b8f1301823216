# SPDX-License-Identifier: MIT
"""What C rejects is rejected, in the compiler's own words at the user's own line; what it warns of, it still does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.toolchain import COMPILERS, FORMS, INCLUDE, attempt, instrument

PRELUDE = """#include <static_call.h>
struct pet { int legs; };
int bark(struct pet *, double);
void walk(int);
DECLARE_STATIC_CALL(bark, bark);
DECLARE_STATIC_CALL(walk, walk);
short narrow(signed char, short, char, unsigned short, _Bool);
DECLARE_STATIC_CALL(narrow, narrow);
__extension__ typedef __int128 huge_t;
__extension__ __int128 wide(__int128);
DECLARE_STATIC_CALL(wide, wide);
#define WALK(n) static_call(walk)(n)
"""
LINE = PRELUDE.count("\n") + 3
CALLS = {
    "too few arguments": "static_call(bark)(p);",
    "too many arguments": "static_call(bark)(p, 1.0, 2);",
    "no argument": "static_call(walk)();",
    "wrong type": "static_call(bark)(p, p);",
    "a struct for a number": "static_call(walk)(*p);",
    "a result of void": "return static_call(walk)(1);",
    "nested": "static_call(walk)(static_call(bark)(p));",
    "in a macro": "WALK(*p);",
    "the 2018 spelling": "static_call(bark, p);",
    "cond": "static_call_cond(walk)(*p);",
    "an update to a wrong type": "static_call_update(walk, *p);",
    "an undeclared variable": "static_call(walk)(nobody);",
    "a misspelt macro": "static_cal(walk)(1);",
    "a result of cond": "return static_call_cond(bark)(p, 1.0) != 3;",
}
ERROR = re.compile(r"^(\S+?):(\d+):(\d+): error: ", re.MULTILINE)


def source(call: str) -> str:
    return PRELUDE + "int f(struct pet *p)\n{\n\t" + call + "\n\treturn p != 0;\n}\n"


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_the_compiler_s_error_at_the_users_line(mode: str, layout: str, compiler: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    names = {f"call{n}.c": call for n, call in enumerate(CALLS.values())}
    for name, call in names.items():
        (tmp_path / "src" / name).write_text(source(call))
        plain = attempt([compiler, "-fsyntax-only", INCLUDE, f"src/{name}"], cwd=tmp_path)
        assert plain.returncode and f"src/{name}:{LINE}:" in plain.stderr, plain.stderr
    done = instrument("src", "-o", "out", "--mode", mode, "--layout", layout, cwd=tmp_path, CC=compiler)
    assert done.returncode == 1
    told = done.stderr.splitlines()
    for name, call in names.items():
        at = next(n for n, line in enumerate(told) if line.startswith(f"src/{name}:"))
        assert re.fullmatch(rf"src/{name}:{LINE}:\d+: error: .*\[IN001\]", told[at]), done.stderr
        assert told[at + 1] == "  \t" + call
        assert not (tmp_path / "out" / name).exists()


WARNED = {
    "-Wconversion": "static_call(walk)(2.5);",
    "-Wint-conversion": "static_call(bark)(1, 2.0);",
    "-Wincompatible-pointer-types": 'static_call(bark)("x", 2.0);',
    "-Wunused-variable": "int unused = static_call(bark)(p, 2.0);",
    "none, narrow": "static_call(narrow)(-1, -2, 'c', 3, 1);",
    "none, wide": "static_call(wide)((huge_t)1);",
    "none": "static_call(walk)(static_call(bark)(p, 1.5f));",
}


def warnings(compiler: str, path: Path, *flags: str) -> tuple[list[tuple[str, str]], set[str]]:
    """(line, option) of each warning of the file itself, and the options of those of the headers."""
    done = attempt(
        [compiler, "-O2", "-c", "-o", "/dev/null", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", *flags, path]
    )
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(\S+?):(\d+):\d+: warning: .*\[([^]]+)\]$", done.stderr, re.MULTILINE)
    own = [(line, option) for name, line, option in found if Path(name).name == path.name]
    return own, {option for name, _, option in found if Path(name).name != path.name}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("std", ["gnu11", "c11", "gnu89"])
def test_the_warnings_are_those_of_the_plain_sources(std: str, compiler: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    plain = {}
    for n, (option, call) in enumerate(WARNED.items()):
        path = tmp_path / "src" / f"call{n}.c"
        path.write_text(source(call))
        plain[path.name] = warnings(compiler, path, f"-std={std}", INCLUDE)
        assert option.startswith("none") or plain[path.name][0], option
    for mode, layout in FORMS:
        how = ("-o", "out", "--mode", mode, "--layout", layout, "-q", "--", f"-std={std}")
        done = instrument("src", *how, cwd=tmp_path, CC=compiler)
        assert done.returncode == 0, done.stderr
        for name, (lines, options) in plain.items():
            own, headers = warnings(compiler, tmp_path / "out" / name, f"-std={std}", INCLUDE)
            assert own == lines and headers <= options, (name, mode, headers)
