# SPDX-License-Identifier: MIT
"""What linkers and link-time optimisers do with two files that look alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain import FORMS, INCLUDE, RUNTIME, instrument, run, runtime_object

HEADER = "#include <static_call.h>\nint b_call(int);\nint shared(int);\nDECLARE_STATIC_CALL(kb, shared);\n"
FILES = {
    "h.h": HEADER,
    "x.c": '#include "h.h"\nstatic int impl(int x) { return x + 100; }\nint shared(int x) { return x + 300; }\n'
    "DEFINE_STATIC_CALL(ka, impl);\nDEFINE_STATIC_CALL(kc, shared);\nDEFINE_STATIC_CALL(kd, shared);\n"
    "int main(void)\n{\n\tif (static_call(ka)(1) != 101 || b_call(1) != 201 || static_call(kc)(1) != 301) return 1;\n"
    "\tif (static_call_update(kc, impl) || static_call(kc)(1) != 101 || static_call(kd)(1) != 301) return 2;\n"
    "\treturn b_call(1) != 201;\n}\n",
    "y.c": '#include "h.h"\nstatic int impl(int x) { return x + 200; }\nDEFINE_STATIC_CALL(kb, impl);\n'
    "int b_call(int x) { return static_call(kb)(x); }\n",
}


@pytest.mark.parametrize(
    "command",
    [
        ("gcc-12", "-flto"),
        ("gcc-12", "-flto", "-flto-partition=max"),
        ("clang-14", "-flto", "-fuse-ld=lld"),
        ("clang-14", "-flto=thin", "-fuse-ld=lld"),
        ("clang-14", "-ffunction-sections", "-fuse-ld=lld", "-Wl,--icf=all"),
        ("gcc-12", "-ffunction-sections", "-fuse-ld=gold", "-Wl,--icf=all"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_functions_of_one_name_and_trampolines_of_one_target(
    mode: str, layout: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    for name, text in FILES.items():
        (tmp_path / "src" / name).write_text(text)
    out = tmp_path / "out"
    done = instrument(tmp_path / "src", "-o", out, "--mode", mode, "--layout", layout, CC=command[0])
    assert done.returncode == 0, done.stderr
    runtime = runtime_object(*command, "-O2")
    run([*command, "-O2", INCLUDE, out / "x.c", out / "y.c", runtime, "-pthread", "-o", tmp_path / "prog"])
    run([tmp_path / "prog"])


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_an_update_before_the_executable_is_there(mode: str, layout: str, tmp_path: Path) -> None:
    """A library's constructors run before the executable has registered: its key's trampoline is not known yet."""
    tree = tmp_path / "src"
    tree.mkdir()
    (tree / "k.h").write_text("#include <static_call.h>\nint impl(int);\nDECLARE_STATIC_CALL(hook, impl);\n")
    (tree / "lib.c").write_text(
        '#include "k.h"\nstatic int mine(int x) { return x + 100; }\n'
        "__attribute__((constructor)) static void enter(void) { static_call_update(hook, mine); }\n"
    )
    (tree / "main.c").write_text(
        '#include "k.h"\nint impl(int x) { return x + 1; }\nDEFINE_STATIC_CALL(hook, impl);\n'
        "extern void absent(void) __attribute__((weak));\nDEFINE_STATIC_CALL(weak, absent);\n"
        "int main(void) { static_call_cond(weak)(); return static_call(hook)(1) != 101; }\n"
    )
    out = tmp_path / "out"
    done = instrument(tree, "-o", out, "--mode", mode, "--layout", layout)
    assert done.returncode == 0, done.stderr
    lib = tmp_path / "lib.so"
    run(["gcc-12", "-O2", "-fPIC", "-shared", INCLUDE, out / "lib.c", "-o", lib])
    rpath = ("-Wl,--no-as-needed", lib, f"-Wl,-rpath,{tmp_path}")
    run(["gcc-12", "-O2", "-rdynamic", INCLUDE, out / "main.c", *RUNTIME, *rpath, "-o", tmp_path / "prog"])
    run([tmp_path / "prog"])
