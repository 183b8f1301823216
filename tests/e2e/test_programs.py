# SPDX-License-Identifier: MIT
"""Whole programs, every form by both compilers at three levels: instrumented, built without a warning, run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain import (
    COMPILERS,
    FORMS,
    INCLUDE,
    LEVELS,
    PROGRAMS,
    SOURCES,
    build,
    instrument,
    instrumented,
    run,
    runtime_object,
)

PROGRAM_NAMES = ("basic", "frames", "keys", "refused", "values", "many", "inside", "trap")


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("mode", "layout"), FORMS)
@pytest.mark.parametrize("program", PROGRAM_NAMES)
def test_instrumented(program: str, mode: str, layout: str, compiler: str, tmp_path: Path) -> None:
    sources = instrumented(program, tmp_path / "out", mode, layout, compiler)
    for level in LEVELS:
        run([build(compiler, sources, tmp_path / f"prog{level}", level)])


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("program", PROGRAM_NAMES)
def test_the_same_sources_without_the_tool(program: str, compiler: str, tmp_path: Path) -> None:
    sources = [PROGRAMS / name for name in SOURCES[program] if name.endswith(".c")]
    run([build(compiler, sources, tmp_path / "prog", "-O2")])


@pytest.mark.parametrize(
    "flags", [("-fPIE", "-pie"), ("-fno-pic", "-no-pie"), ("-static",), ("-fno-plt",), ("-O3", "-g")]
)
@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_object_models(mode: str, layout: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    sources = instrumented("basic", tmp_path / "out", mode, layout)
    run([build("gcc-12", sources, tmp_path / "prog", "-O2", *flags)])


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_sanitizers_find_nothing(mode: str, layout: str, sanitizer: str, tmp_path: Path) -> None:
    """The program and the runtime in it, which writes text and answers signals, under gcc's sanitizers."""
    sources = instrumented("torn", tmp_path / "out", mode, layout)
    flags = ("-O1", "-g", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=undefined")
    torn = build("gcc-12", sources, tmp_path / "torn", *flags)
    for transition in (("a", "b"), ("a", "null"), ("far", "ret0")):
        run([torn, *transition, "150", "4"], STATIC_CALL_PROTOCOL="int3-push", TSAN_OPTIONS="exitcode=66")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_sections_are_collected_with_their_functions(compiler: str, tmp_path: Path) -> None:
    """The site table is bound to the functions: a dropped function takes its sites along, a kept one keeps them.

    GNU ld keeps whatever a __start_ symbol names, unless it is told -z start-stop-gc (lld's default).
    """
    source = tmp_path / "prog.c"
    source.write_text(
        "#include <static_call.h>\n"
        "static int one(void) { return 1; }\nstatic int two(void) { return 2; }\n"
        "DEFINE_STATIC_CALL(key, one);\n"
        "int dropped(void) { return static_call(key)() + static_call(key)(); }\n"
        "int main(void) { return static_call_update(key, two) || static_call(key)() != 2; }\n"
    )
    done = instrument(source, "-o", tmp_path / "out", "--mode", "inline-asm", CC=compiler)
    assert done.returncode == 0, done.stderr
    flags = ("-O2", "-ffunction-sections", "-fdata-sections")
    sizes = []
    for name, link in (("all", "-Wl,--no-gc-sections"), ("gc", "-Wl,--gc-sections,-z,start-stop-gc")):
        prog = build(compiler, [tmp_path / "out" / "prog.c"], tmp_path / name, *flags, link)
        run([prog])
        table = next(line for line in run(["readelf", "-SW", prog]).splitlines() if "__static_call_sites" in line)
        sizes.append(int(table.split("]")[1].split()[4], 16))
    assert sizes == [48, 16]


@pytest.mark.parametrize(("mode", "layout"), FORMS)
def test_a_shared_object_shares_its_key(mode: str, layout: str, tmp_path: Path) -> None:
    """The key and a call in a library, another call and the update in the executable, and the other way round."""
    tree = tmp_path / "src"
    tree.mkdir()
    (tree / "lib.h").write_text(
        "#include <static_call.h>\nint lib_call(int);\nint lib_update(int);\nint lib_target(int);\n"
        "DECLARE_STATIC_CALL(shared, lib_target);\n"
    )
    (tree / "lib.c").write_text(
        '#include "lib.h"\nint lib_target(int x) { return x + 1; }\nstatic int other(int x) { return x + 2; }\n'
        "DEFINE_STATIC_CALL(shared, lib_target);\nEXPORT_STATIC_CALL(shared);\n"
        "int lib_call(int x) { return static_call(shared)(x); }\n"
        "int lib_update(int which) { return static_call_update(shared, which ? other : lib_target); }\n"
    )
    (tree / "main.c").write_text(
        '#include "lib.h"\nstatic int mine(int x) { return x + 3; }\n'
        "int main(void)\n{\n"
        "\tif (lib_call(1) != 2 || static_call(shared)(1) != 2) return 1;\n"
        "\tif (static_call_update(shared, mine) || lib_call(1) != 4 || static_call(shared)(1) != 4) return 2;\n"
        "\tif (lib_update(1) || lib_call(1) != 3 || static_call(shared)(1) != 3) return 3;\n"
        "\tif (lib_update(0) || lib_call(1) != 2 || static_call(shared)(1) != 2) return 4;\n"
        "\treturn 0;\n}\n"
    )
    out = tmp_path / "out"
    done = instrument(tree, "-o", out, "--mode", mode, "--layout", layout)
    assert done.returncode == 0, done.stderr
    runtime = (runtime_object("gcc-12", "-O2", "-fPIC"), "-pthread")
    for pie in ("-pie", "-no-pie"):
        run(["gcc-12", "-O2", "-fPIC", "-shared", INCLUDE, out / "lib.c", *runtime, "-o", tmp_path / "lib.so"])
        link = (tmp_path / "lib.so", f"-Wl,-rpath,{tmp_path}")
        run(["gcc-12", "-O2", pie, INCLUDE, out / "main.c", *link, *runtime, "-o", tmp_path / "main"])
        run([tmp_path / "main"])
