# SPDX-License-Identifier: MIT
"""Trees as they are: several directories, odd bytes, sources that include sources, keys known only to headers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.toolchain import FORMS, INCLUDE, RUNTIME, build, instrument, run

HEADER = """#ifndef OPS_H
#define OPS_H
#include <static_call.h>
int first(int);
#define OPS(X) X(read) X(write)
#define DECLARE_OP(name) DECLARE_STATIC_CALL(ops_##name, first);
OPS(DECLARE_OP)
#define ops_call(name, ...) static_call(ops_##name)(__VA_ARGS__)
static inline int both(int x) { return ops_call(read, x) + static_call(ops_write)(x); }
#endif
"""


def grow(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def census(source: Path, *arguments: str) -> list[dict[str, object]]:
    done = instrument(source, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    tokens: list[dict[str, object]] = json.loads(done.stdout)["tokens"]
    return tokens


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_calls_that_only_a_header_spells(mode: str, layout: str, tmp_path: Path) -> None:
    """No C file mentions a call; all of them come out of the header, in two units, and are patched."""
    tree = grow(
        tmp_path / "src",
        {
            "include/ops.h": HEADER,
            "main.c": '#include "include/ops.h"\n#include "lib/lib.h"\n#include "keys.h"\n'
            "int first(int x) { return x + 1; }\nint second(int x) { return x + 2; }\nKEYS\n"
            "int main(void) { return both(1) != 4 || lib(1) != 4 || UPDATE || both(1) != 5 || lib(1) != 5; }\n",
            "keys.h": "#define KEYS DEFINE_STATIC_CALL(ops_read, first); DEFINE_STATIC_CALL(ops_write, first);\n"
            "#define UPDATE static_call_update(ops_read, second)\n",
            "lib/lib.h": "int lib(int);\n",
            "lib/lib.c": '#include "lib.h"\n#include "../include/ops.h"\nint lib(int x) { return both(x); }\n',
        },
    )
    out = tmp_path / "out"
    done = instrument(tree, "-o", out, "--mode", mode, "--layout", layout)
    assert done.returncode == 0, done.stderr
    prog = build("gcc-12", [out / "main.c", out / "lib" / "lib.c"], tmp_path / "prog", "-O2")
    run([prog])
    sites = run(["readelf", "-SW", prog]).count("__static_call_sites")
    assert sites == (1 if mode == "inline-asm" else 0)


@pytest.mark.parametrize("directive", ['#include "impl.c"', '#define IMPL "impl.c"\n#include IMPL'])
def test_sources_that_include_sources(directive: str, tmp_path: Path) -> None:
    """impl.c makes no sense alone and says nothing of static calls; the file that includes it needs it."""
    tree = grow(
        tmp_path / "src",
        {
            "main.c": "#include <static_call.h>\n#define NUMBER 40\n" + directive + "\n"
            "DEFINE_STATIC_CALL(key, impl);\nint main(void) { return static_call(key)(2) != 42; }\n",
            "impl.c": "static int impl(int x) { return NUMBER + x; }\n",
            "unit.c": "#ifndef HELPER\n#error only to be included\n#endif\n"
            "static int helper(void) { return static_call(own)(1); }\n",
            "whole.c": "#include <static_call.h>\n"
            "static int own(int x) { return x; }\nDEFINE_STATIC_CALL(own, own);\n"
            '#define HELPER\n#include "unit.c"\nint whole(void) { return helper(); }\n',
        },
    )
    out = tmp_path / "out"
    done = instrument(tree, "-o", out)
    assert done.returncode == 0, done.stderr
    run([build("gcc-12", [out / "main.c", out / "whole.c"], tmp_path / "prog")])
    assert "__SCW__own(1)" in (out / "unit.c").read_text()


def test_a_header_that_means_another_key_in_a_file_that_was_not_asked(tmp_path: Path) -> None:
    tree = grow(
        tmp_path / "src",
        {
            "keys.h": "#pragma once\n#include <static_call.h>\nint impl(int);\n"
            "DECLARE_STATIC_CALL(op, impl);\nDECLARE_STATIC_CALL(op_b, impl);\n",
            "run.h": '#include "keys.h"\nstatic inline int run(int x) { return static_call(op)(x); }\n',
            "a.c": '#include "run.h"\nint impl(int x) { return x + 1; }\nDEFINE_STATIC_CALL(op, impl);\n'
            "int runb(int);\nint main(void) { return run(1) != 2 || static_call(op)(1) != 2 || runb(1) != 101; }\n",
            "b.c": '#include "keys.h"\n#define op op_b\n#inc\\\nlude "run.h"\nint runb(int x) { return run(x); }\n',
            "c.c": '#include "keys.h"\nstatic int more(int x) { return x + 100; }\nDEFINE_STATIC_CALL(op_b, more);\n',
        },
    )
    out = tmp_path / "out"
    done = instrument(tree, "-o", out)
    assert done.returncode == 0 and "[IN037]" in done.stderr, done.stderr
    assert "static_call(op)" in (out / "run.h").read_text() and "__SCW__op(1)" in (out / "a.c").read_text()
    run([build("gcc-12", [out / name for name in ("a.c", "b.c", "c.c")], tmp_path / "prog")])


def test_a_unity_build(tmp_path: Path) -> None:
    """all.c says nothing of static calls, two.c makes no sense alone."""
    tree = grow(
        tmp_path / "src",
        {
            "all.c": '#include "one.c"\n#include "sub/two.c"\n',
            "one.c": "#include <static_call.h>\nstatic int f(int x) { return x; }\nDEFINE_STATIC_CALL(key, f);\n",
            "sub/two.c": "int main(void) { return static_call(key)(0); }\n",
        },
    )
    out = tmp_path / "out"
    done = instrument(tree, "-o", out)
    assert done.returncode == 0, done.stderr
    assert "__SCW__key(0)" in (out / "sub" / "two.c").read_text()
    run([build("gcc-12", [out / "all.c"], tmp_path / "prog")])


def test_the_runtimes_header_brings_the_api_in(tmp_path: Path) -> None:
    """Included before static_call.h, alone, and by a header of the tree's."""
    key = (
        "static int f(int x) {{ return x + 1; }}\nDEFINE_STATIC_CALL({0}, f);\n"
        "int {0}_run(void) {{ return static_call({0})(1); }}\n"
    )
    tree = grow(
        tmp_path / "src",
        {
            "tell.h": "#include <static_call_runtime.h>\nint a_run(void);\nint b_run(void);\n",
            "sub/a.c": "#include <static_call_runtime.h>\n#include <static_call.h>\n" + key.format("a"),
            "b.c": "#include <static_call_runtime.h>\n" + key.format("b"),
            "main.c": '#include "tell.h"\nstatic int one(const struct static_call_key_info *key, void *sites)\n'
            "{ *(int *)sites += (int)key->sites; return 0; }\n"
            "int main(void)\n{ int sites = 0; static_call_each_key(one, &sites); "
            "return a_run() + b_run() + sites != 6; }\n",
        },
    )
    out = tmp_path / "out"
    done = instrument(tree, "-o", out)
    assert done.returncode == 0, done.stderr
    assert (out / "sub/a.c").read_text().startswith('#include "../static_call/static_call_runtime.h"\n')
    run([build("gcc-12", [out / name for name in ("sub/a.c", "b.c", "main.c")], tmp_path / "prog")])


def test_a_copy_for_mode_direct_says_how_it_is_compiled(tmp_path: Path) -> None:
    text = "#include <static_call.h>\nint f(void);\nDECLARE_STATIC_CALL(key, f);\nint g(void) { return %s; }\n"
    tree = grow(tmp_path / "src", {"a.c": text % "static_call(key)()"})
    told = "out is for `instrument cc --mode direct -- COMPILER`"
    done = instrument("src", "-o", "out", "--mode", "direct", cwd=tmp_path)
    assert done.returncode == 0 and told in done.stderr
    assert told in instrument("src", "-o", "out", "--mode", "direct", cwd=tmp_path).stderr
    assert told not in instrument("src", "-o", "out", cwd=tmp_path).stderr
    grow(tree, {"a.c": text % "0"})
    assert told not in instrument("src", "-o", "out", "--mode", "direct", cwd=tmp_path).stderr


def test_what_was_built_in_the_tree_is_built_anew(tmp_path: Path) -> None:
    """Carried over with the copy's time it would be up to date, and the program without a static call."""
    source = "#include <static_call.h>\nint f(void) { return 3; }\nDEFINE_STATIC_CALL(key, f);\n"
    makefile = "all: prog other\nprog: a.o\n\t$(CC) $^ $(LIBS) -o $@\na.o: a.c\n\t$(CC) $(CFLAGS) -c $<\n"
    makefile += "other: a.c\n\t$(CC) $(CFLAGS) $< $(LIBS) -o $@\n"
    tree = grow(
        tmp_path / "src",
        {"a.c": source + "int main(void) { return static_call(key)() - 3; }\n", "Makefile": makefile},
    )
    build_it = ["make", "-s", "CC=gcc-12", f"CFLAGS={INCLUDE}", f"LIBS={' '.join(RUNTIME)}"]
    run(build_it, cwd=tree)
    done = instrument(tree, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    run(build_it, cwd=tmp_path / "out")
    for name in ("prog", "other"):
        assert "1 call site" in instrument("inspect", tmp_path / "out" / name).stdout


def test_a_header_of_the_same_name_is_the_projects_own(tmp_path: Path) -> None:
    tree = grow(
        tmp_path / "src",
        {
            "core/static_call.h": "#define ZERO 0\n",
            "core/b.c": '#include "static_call.h"\nint b = ZERO;\n',
            "a.c": '#include <static_call.h>\n#include "core/static_call.h"\nint f(int x) { return x; }\n'
            "DEFINE_STATIC_CALL(key, f);\nint main(void) { return static_call(key)(ZERO); }\n",
        },
    )
    out = tmp_path / "out"
    done = instrument(tree, "-o", out)
    assert done.returncode == 0, done.stderr
    assert '#include "core/static_call.h"' in (out / "a.c").read_text()
    assert '#include "static_call.h"' in (out / "core" / "b.c").read_text()
    run([build("gcc-12", [out / "a.c", out / "core" / "b.c"], tmp_path / "prog")])


def test_every_byte_outside_of_an_edit_is_kept(tmp_path: Path) -> None:
    before = (
        b"\xef\xbb\xbf#include <static_call.h>\r\n/* caf\xe9, \x0c */\r\nint f(int x) { return x; }\r\n"
        b"DEFINE_STATIC_CALL(k, f);\r\n#define M(x) \\\r\n\tstatic_call(k)(x)\r\n"
        b'int main(void) <%\tconst char *s = "static_call(k)(\xff)";\r\n'
        b"\treturn M(0) + static_\\\r\ncall(k)(\r\n\t0) + !s; %> // static_call(k)"
    )
    tree = grow(tmp_path / "src", {"a.c": before, "b.txt": b"\x00\xff\r\n", "sub/empty.c": b""})
    out = tmp_path / "out"
    done = instrument(tree, "-o", out)
    assert done.returncode == 0, done.stderr
    after = (out / "a.c").read_bytes()
    assert after == before.replace(b"<static_call.h>", b'"static_call/static_call.h"').replace(
        b"static_\\\r\ncall(k)(\r\n", b"__SCW__k\r\n(\r\n"
    )
    assert (out / "b.txt").read_bytes() == b"\x00\xff\r\n" and (out / "sub" / "empty.c").read_bytes() == b""
    # gcc takes the splice for a line's end in one place, and the edit leaves one line's end in the same.
    run([build("gcc-12", [out / "a.c"], tmp_path / "prog", "-Wno-overflow")])


def test_the_census_tells_every_token(tmp_path: Path) -> None:
    tree = grow(
        tmp_path / "src", {"include/ops.h": HEADER, "a.c": "#ifdef static_call\n#endif\n#undef static_call\n"}
    )
    text = "".join((tree / name).read_text() for name in ("include/ops.h", "a.c"))
    tokens = census(tree)
    assert len(tokens) == text.count("static_call(") + text.count("_STATIC_CALL(") + 2
    assert {(t["path"], t["line"], t["fate"]) for t in tokens if t["path"] == "a.c"} == {
        ("a.c", 1, "named in a directive"),
        ("a.c", 3, "named in a directive"),
    }


def test_a_compilation_database_tells_the_flags(tmp_path: Path) -> None:
    tree = grow(
        tmp_path / "src",
        {
            "a.c": "#include <static_call.h>\n#include <ops.h>\n"
            "DEFINE_STATIC_CALL(k, f);\nint f(int x) { return x; }\n"
            "#ifdef EXTRA\nint g(void) { return static_call(k)(1); }\n#endif\n",
            "inc/ops.h": "int f(int);\n",
        },
    )
    assert instrument(tree, "--json").returncode == 1
    entry = {"directory": str(tree), "file": "a.c", "command": "ccache gcc -DEXTRA -Iinc -O2 -c a.c -o a.o -MMD"}
    grow(tmp_path / "build", {"compile_commands.json": json.dumps([entry])})
    fates = [t["fate"] for t in census(tree, "-p", str(tmp_path / "build")) if t["api"] == "static_call"]
    assert fates == ["rewritten"]
    fates = [t["fate"] for t in census(tree, "--", "-I", str(tree / "inc")) if t["api"] == "static_call"]
    assert fates == ["inactive"]


def test_the_name_of_a_function_that_is_redirected(tmp_path: Path) -> None:
    """`sscanf` in C is `__isoc99_sscanf` to the assembler; the trampoline must jump to the function that C means."""
    tree = grow(
        tmp_path / "src",
        {
            "a.c": "#include <stdio.h>\n#include <static_call.h>\nDEFINE_STATIC_CALL(scan, sscanf);\n"
            'int main(void) { int *p = 0; return static_call(scan)("x", "%ms", (char **)&p) != 1 || !p; }\n'
        },
    )
    out = tmp_path / "out"
    assert instrument(tree, "-o", out, "--", "-std=c11").returncode == 0
    assert '__SC_JUMP("__isoc99_sscanf")' in (out / "static_call" / "static_call_keys.h").read_text()
    run(["gcc-12", "-std=c11", INCLUDE, out / "a.c", *RUNTIME, "-o", tmp_path / "prog"])
    run([tmp_path / "prog"])
