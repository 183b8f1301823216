# SPDX-License-Identifier: MIT
"""`instrument cc`: the compiler's own behaviour to the byte, but for the calls."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from instrument import reach, unitheader
from instrument.ccwords import Call
from instrument.diagnostics import InstrumentError
from tests.toolchain import COMPILERS, INCLUDE, ROOT, attempt, run, runtime_object

LAUNCHER = (sys.executable, "-m", "instrument", "cc")
MODES = ("inline-asm", "trampoline", "direct")

HEADER = """\
#ifndef KEYS_H
#define KEYS_H
#include <static_call.h>
int add(int, double);
DECLARE_STATIC_CALL(key, add);
int sum(int, ...);
DECLARE_STATIC_CALL(variadic, sum);
static inline int called(int a) { return static_call(key)(a, 5.0); }
#endif
"""
MAIN = """\
#include "keys.h"
#include <assert.h>
#include <string.h>
int late(int);
static int multiply(int a, double b) { return a * (int)b; }
DEFINE_STATIC_CALL(key, add);
DEFINE_STATIC_CALL(variadic, sum);
int main(void)
{
	assert(called(4) == 9 && late(4) == 9);
	assert(static_call(variadic)(2, 7, 8) == 15);
	assert(static_call_update(key, multiply) == 0);
	assert(called(4) == 20 && late(4) == 20);
	assert(!strcmp(__FILE__, "main.c") && __LINE__ == 14);
	return 0;
}
"""
OTHER = """\
#include <stdarg.h>
#include "keys.h"
int add(int a, double b) { return a + (int)b; }
int late(int a) { return called(a); }
int sum(int n, ...)
{
	va_list list;
	int total = 0;
	va_start(list, n);
	while (n--)
		total += va_arg(list, int);
	va_end(list);
	return total;
}
"""
NONE = '#include <stdio.h>\nint none(int x) { return printf("%d", x); }\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with sources, which is the working directory, and a TMPDIR of its own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("INSTRUMENT_CC", "INSTRUMENT_CC_ACTIVE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, text in (("keys.h", HEADER), ("main.c", MAIN), ("other.c", OTHER), ("none.c", NONE)):
        (folder / name).write_text(text)
    return folder


def launched(*words: object, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A compile through the launcher, which has nothing to say."""
    done = attempt([*LAUNCHER, *options, "--", *map(str, words)])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
    return done


def test_the_two_dashes_may_be_left_out(project: Path) -> None:
    for words in (("gcc-12",), ("--mode", "direct", "gcc-12"), ("--mode=direct", "--strict", "--", "gcc-12")):
        run([*LAUNCHER, *words, "-O2", INCLUDE, "-c", "other.c"])
        assert sites("other.o") == 1


def test_a_file_of_a_copy_that_calls_and_defines_nothing(project: Path) -> None:
    """In mode direct the launcher compiles copies, where a call is spelled otherwise than by the header."""
    caller = "int far(int a)\n{\n\treturn static_call /* here */ (key)\n\t\t(a, 1.0) + 1;\n}\n"
    Path("few.h").write_text("#include <static_call.h>\nint add(int, double);\nDECLARE_STATIC_CALL(key, add);\n")
    Path("caller.c").write_text(f'#include "few.h"\n{caller}')
    run([sys.executable, "-m", "instrument", "caller.c", "few.h", "-o", "../out", "--mode", "direct", "-q"])
    text = Path("../out/caller.c").read_text()
    assert "__SCT__key" in text and "static_call" not in text
    for compiler in COMPILERS:
        launched(compiler, "-O2", "-c", "../out/caller.c", options=("--mode", "direct", "--strict"))
        assert sites("caller.o") == 1
    assert not reach.calls(b"extern int __SCT__key __attribute__((used)); __typeof__(__SCT__key) *p; int (*f)(int);")


def test_a_key_that_is_not_declared_is_told_with_its_line(project: Path) -> None:
    Path("typo.c").write_text(f"{OTHER}int typo(void) {{ return static_call(kye)(1, 2.0); }}\n")
    done = attempt([*LAUNCHER, "--", "gcc-12", INCLUDE, "-c", "typo.c"])
    line, column = OTHER.count("\n") + 1, len("int typo(void) { return ") + 1
    first = f"typo.c:{line}:{column}: error: the key 'kye' is not declared in typo.c [IN002]\n"
    assert (done.returncode, done.stderr) == (1, f"{first}  note: did you mean 'key'?\n")


def test_a_header_that_the_working_directory_has(project: Path) -> None:
    """-I. leads to it, and nothing else."""
    Path("below").mkdir()
    Path("below/main.c").write_text(OTHER.replace('"keys.h"', "<keys.h>"))
    launched("gcc-12", "-O2", "-I.", INCLUDE, "-c", "below/main.c", options=("--strict",))
    assert sites("main.o") == 1


def test_how_often_the_compiler_is_started(project: Path) -> None:
    """Preprocessed text, types, the types held against the compiler, where its assembler is; and the compile."""
    counting = project / "counting"
    counting.write_text(f'#!/bin/sh\necho "$*" >>{project}/runs\nexec gcc-12 "$@"\n')
    counting.chmod(0o755)
    launched(counting, "-O2", INCLUDE, "-c", "other.c", options=("--strict",))
    assert sites("other.o") == 1
    assert len(Path("runs").read_text().splitlines()) == 5


def sites(binary: Path | str) -> int:
    """How many call sites a binary records."""
    sections = run(["readelf", "-SW", binary])
    sizes = [line.split("]", 1)[1].split() for line in sections.splitlines() if " __static_call_sites " in line]
    return sum(int(fields[4], 16) for fields in sizes) // 16


# ---- what it is for -------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("mode", MODES)
def test_one_command_makes_the_program(mode: str, compiler: str, project: Path) -> None:
    flags = ("-O2", "-Wall", "-Wextra", "-Werror", INCLUDE)
    launched(
        compiler,
        *flags,
        "main.c",
        "other.c",
        runtime_object(compiler, "-O2"),
        "-pthread",
        "-o",
        "prog",
        options=("--mode", mode),
    )
    run(["./prog"])
    # key is called in main() twice, by an inline function, and in late(); the variadic key once.
    assert sites("prog") == {"inline-asm": 3, "trampoline": 0, "direct": 4}[mode]


@pytest.mark.parametrize(
    "flags", ["-O0", "-O3 -fPIC", "-Os -fno-plt", "-O2 -masm=intel", "-O2 -fcf-protection=full -g"]
)
@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
@pytest.mark.parametrize("layout", ["aligned", "compact", "bare"])
def test_direct_calls(layout: str, compiler: str, flags: str, project: Path) -> None:
    for name in ("main", "other"):
        options = ("--mode", "direct", "--layout", layout, "--strict")
        launched(compiler, *flags.split(), INCLUDE, "-c", f"{name}.c", options=options)
    run([compiler, "main.o", "other.o", runtime_object(compiler, "-O2"), "-pthread", "-o", "prog"])
    run(["./prog"])
    assert sites("prog") >= 3


def test_link_time_optimisation(project: Path) -> None:
    options = ("--mode", "direct")
    flags = ("gcc-12", "-O2", "-flto", INCLUDE)
    launched(*flags, "-c", "main.c", "other.c", options=options)
    launched(*flags, "main.o", "other.o", runtime_object("gcc-12", "-O2"), "-pthread", "-o", "prog", options=options)
    run(["./prog"])
    assert sites("prog") >= 4


def test_link_time_optimisation_by_clang_stays_on_trampolines(project: Path) -> None:
    flags = ("clang-14", "-O2", "-flto", "-fuse-ld=lld", INCLUDE, "main.c", "other.c")
    words = (*flags, runtime_object("clang-14", "-O2"), "-pthread", "-o", "prog")
    launched(*words, options=("--mode", "direct"))
    run(["./prog"])
    assert sites("prog") == 0
    done = attempt([*LAUNCHER, "--mode", "direct", "--strict", "--", *map(str, words)])
    assert done.returncode == 1 and "[IN042]" in done.stderr and done.stderr.count("\n") == 1


def test_a_lower_form_is_told_and_strict_fails(project: Path) -> None:
    words = ("gcc-12", "-O2", INCLUDE, "-c", "main.c")
    done = attempt([*LAUNCHER, "-v", "--", *words])
    assert done.returncode == 0 and "key inline-asm" in done.stderr and "[IN022]" in done.stderr
    Path("main.o").unlink()
    done = attempt([*LAUNCHER, "--strict", "--", *words])
    assert done.returncode == 1 and "error: calls of 'variadic'" in done.stderr and not Path("main.o").exists()


@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
@pytest.mark.parametrize(
    "text",
    [
        "/* static_call */ int f(int x) { return x; }\n",
        "#define H <stddef.h>\n#include H\nint f(int x) { return x; }\n",
        '#include "declared.h"\nint f(int x) { return x; }\n',
    ],
    ids=["in a comment", "perhaps in a header", "declared"],
)
def test_what_could_have_calls_and_has_none(text: str, compiler: str, project: Path) -> None:
    Path("declared.h").write_text("#include <static_call.h>\nint add(int, double);\nDECLARE_STATIC_CALL(key, add);\n")
    Path("f.c").write_text(text)
    run([compiler, "-g3", "-O1", INCLUDE, "-c", "f.c"])
    plain = Path("f.o").read_bytes()
    for mode in MODES:
        launched(compiler, "-g3", "-O1", INCLUDE, "-c", "f.c", options=("--mode", mode))
        assert Path("f.o").read_bytes() == plain


def test_strict_fails_where_only_the_question_does(project: Path) -> None:
    """A compiler that takes the sources but not our question: the calls are whole, on their trampolines."""
    picky = project / "picky"
    picky.write_text('#!/bin/sh\ncase "$*" in *STATIC_CALL_PROBE*) exit 1 ;; esac\nexec gcc-12 "$@"\n')
    picky.chmod(0o755)
    words = (str(picky), "-O2", INCLUDE, "-c", "other.c")
    done = attempt([*LAUNCHER, "--strict", "--", *words])
    assert done.returncode == 1 and "[IN001]" in done.stderr and not Path("other.o").exists()
    launched(*words)
    assert sites("other.o") == 0
    Path("other.c").write_text("int wrong(\n#include <static_call.h>\n")
    done = attempt([*LAUNCHER, "--strict", "--", *words])
    assert done.returncode == 1 and "other.c:" in done.stderr and "[IN001]" not in done.stderr


def test_strict_in_mode_direct(project: Path) -> None:
    Path("value.c").write_text('#include "keys.h"\nint (*value(void))(int, double) { return static_call(key); }\n')
    words = ("gcc-12", "-O2", INCLUDE, "-c", "value.c")
    done = attempt([*LAUNCHER, "--mode", "direct", "--strict", "--", *words])
    assert done.returncode == 1 and "key" in done.stderr and not Path("value.o").exists()
    launched(*words, options=("--mode", "direct"))


@pytest.mark.parametrize("mode", MODES)
def test_the_header_as_a_system_s_and_the_source_elsewhere(mode: str, project: Path) -> None:
    Path("build").mkdir()
    include = f"-isystem{INCLUDE[2:]}"
    command = [*LAUNCHER, "--mode", mode, "--", "gcc-12", "-O2", include, "-c", "../other.c", "-o", "other.o"]
    run(command, cwd=Path("build"))
    assert sites("build/other.o") == (0 if mode == "trampoline" else 1)


# ---- what it must not disturb ---------------------------------------------------------------------

FLAGS = (
    "-O2 -g",
    "-O0 -g3 -MD",
    "-O2 -fPIC -MMD -MP -MT a -MQ b$",
    "-flto -g -frandom-seed=1",
    "-gsplit-dwarf",
    "--coverage -frandom-seed=1",
    "-save-temps",
    "-pipe",
)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
def test_what_has_no_static_calls_is_the_compiler_s_own(compiler: str, flags: str, project: Path) -> None:
    words = (compiler, *flags.split(), "-c", "none.c", "-o", "none.o")
    run(words)
    plain = {path.name: path.read_bytes() for path in project.iterdir() if path.suffix not in (".c", ".h")}
    for name in plain:
        Path(name).unlink()
    for mode in MODES:
        launched(*words, options=("--mode", mode))
        assert {name: Path(name).read_bytes() for name in plain} == plain


def prerequisites(name: str) -> set[str]:
    """Every file that a dependency file names behind its targets, or in a rule of its own."""
    rules = Path(name).read_text().replace("\\\n", " ").splitlines()
    return {word for rule in rules for word in (rule.partition(": ")[2].split() or [rule.rstrip(":")]) if word}


@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("-MD", "out/main.d"),
        ("-MMD -MP", "out/main.d"),
        ("-MD -MF deps", "deps"),
        ("-MD -MFdeps -MT target -MQ x", "deps"),
        ("-Wp,-MD,deps", "deps"),
        ("-MMD -MF deps$x", "deps$x"),
    ],
)
def test_dependencies_are_the_sources(name: str, flags: str, mode: str, compiler: str, project: Path) -> None:
    Path("out").mkdir()
    launched(compiler, *flags.split(), INCLUDE, "-c", "main.c", "-o", "out/main.o", options=("--mode", mode))
    found = prerequisites(name)
    # Not the header that the tool has made for this compile, which another machine does not have.
    assert {"main.c", "keys.h"} <= found and not [word for word in found if str(project.parent / "tmp") in word]
    assert all(Path(word).exists() for word in found)


@pytest.mark.parametrize("mode", MODES)
def test_other_ends_of_a_compile(mode: str, project: Path) -> None:
    options = ("--mode", mode)
    for how in ("-E", "-S"):
        launched("gcc-12", "-O2", INCLUDE, how, "main.c", "-o", "main.out", options=options)
        done = attempt([*LAUNCHER, *options, "--", "gcc-12", "-O2", INCLUDE, how, "main.c", "-o", "-"])
        assert done.returncode == 0 and "__SCT__key" in Path("main.out").read_text()
        assert done.stdout == Path("main.out").read_text()
    listed = attempt([*LAUNCHER, *options, "--", "gcc-12", INCLUDE, "-MM", "main.c"])
    assert listed.stdout.startswith("main.o: main.c keys.h ") and str(project.parent / "tmp") not in listed.stdout
    launched("gcc-12", INCLUDE, "-fsyntax-only", "main.c", options=options)


@pytest.mark.parametrize("mode", MODES)
def test_input_of_every_kind(mode: str, project: Path) -> None:
    odd = Path("odd: name$ (1)")
    odd.mkdir()
    (odd / "main.c").write_text(MAIN)
    (odd / "keys.h").write_text(HEADER)
    options = ("--mode", mode)
    launched("gcc-12", INCLUDE, "-c", f"{odd}/main.c", "-o", f"{odd}/main.o", "-MD", options=options)
    assert (odd / "main.o").exists() and (odd / "main.d").exists()
    Path("words").write_text(f"-O2 {INCLUDE} -c 'other.c'\n-o response.o")
    launched("gcc-12", "@words", options=options)
    Path("text").write_text(MAIN)
    launched("gcc-12", INCLUDE, "-x", "c", "-c", "text", "-o", "text.o", options=options)
    given = subprocess.run(
        [*LAUNCHER, *options, "--", "gcc-12", INCLUDE, "-xc", "-c", "-", "-o", "stdin.o"],
        input=MAIN,
        text=True,
        check=True,
    )
    assert given.returncode == 0
    for name in (f"{odd}/main.o", "text.o", "stdin.o"):
        assert "__SCT__key" in run(["nm", name]), name
    launched("gcc-12", INCLUDE, "-E", "other.c", "-o", "other.i", options=options)
    launched("gcc-12", "-c", "other.i", options=options)
    run(["gcc-12", "text.o", "other.o", runtime_object("gcc-12", "-O2"), "-pthread", "-o", "prog"])
    assert "main" in run(["nm", "prog"])


@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
@pytest.mark.parametrize("mode", MODES)
def test_objects_do_not_tell_where_they_were_built(
    mode: str, compiler: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = []
    for place in ("one", "two"):
        folder = project / place
        folder.mkdir()
        for name in ("main.c", "keys.h"):
            (folder / name).write_text((project / name).read_text())
        (folder / "tmp").mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
        mapped = f"-ffile-prefix-map={folder}=."
        launched(compiler, "-O2", "-g", mapped, INCLUDE, "-c", "main.c", options=("--mode", mode))
        objects.append(Path("main.o").read_bytes())
    assert objects[0] == objects[1]


@pytest.mark.parametrize("mode", MODES)
def test_debug_information_and_coverage_name_the_sources(mode: str, project: Path) -> None:
    launched("gcc-12", "-O0", "-g", "--coverage", INCLUDE, "-c", "other.c", options=("--mode", mode))
    named = run(["readelf", "--debug-dump=info", "other.o"])
    assert "other.c" in named and str(project.parent / "tmp") not in named
    listed = attempt(["gcov-12", "-n", "other.gcno"])
    assert "File 'other.c'" in listed.stdout
    lines = run(["readelf", "--debug-dump=decodedline", "other.o"])
    assert "keys.h" in lines and "other.c" in lines


@pytest.mark.parametrize("mode", MODES)
def test_the_compiler_s_own_messages_and_status(mode: str, project: Path) -> None:
    Path("wrong.c").write_text(MAIN.replace("called(4) == 20", "called(4) == nowhere"))
    plain = attempt(["gcc-12", INCLUDE, "-c", "wrong.c"])
    done = attempt([*LAUNCHER, "--mode", mode, "--", "gcc-12", INCLUDE, "-c", "wrong.c"])
    assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    done = attempt([*LAUNCHER, "--", "no-such-compiler", "-c", "main.c"])
    assert done.returncode != 0 and done.stderr.count("\n") == 1 and "[IN010]" in done.stderr
    assert attempt([*LAUNCHER, "--", "gcc-12", "--version"]).stdout == attempt(["gcc-12", "--version"]).stdout


def test_precompiled_headers(project: Path) -> None:
    for compiler in ("gcc-12", "clang-19"):
        for mode in MODES:
            options = ("--mode", mode)
            suffix = "gch" if compiler == "gcc-12" else "pch"
            launched(compiler, "-O2", INCLUDE, "-x", "c-header", "keys.h", "-o", f"keys.h.{suffix}", options=options)
            for name in ("main.c", "other.c"):
                launched(compiler, "-O2", INCLUDE, "-include", "keys.h", "-c", name, options=options)
            run([compiler, "main.o", "other.o", runtime_object(compiler, "-O2"), "-pthread", "-o", "prog"])
            run(["./prog"])
            Path(f"keys.h.{suffix}").unlink()


# ---- how it is called -----------------------------------------------------------------------------


def test_a_link_is_the_compiler(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = project / "links"
    links.mkdir()
    command = Path(sys.executable).parent / "instrument"
    (links / "gcc").symlink_to(command)
    monkeypatch.setenv("PATH", f"{links}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("INSTRUMENT_CC", "--mode direct")
    assert attempt(["gcc", INCLUDE, "-O2", "-c", "main.c"]).returncode == 0
    assert sites("main.o") > 0
    # A launcher in a launcher: the inner one is the compiler.
    assert attempt([*LAUNCHER, "--mode", "direct", "--", "gcc", INCLUDE, "-O2", "-c", "main.c"]).returncode == 0
    assert sites("main.o") > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--mod", "direct", "--", "gcc"], "did you mean --mode?"),
        (["--mode", "inline", "--", "gcc"], "one of inline-asm, trampoline, direct"),
        (["--layout", "bare", "--", "gcc"], "--mode direct"),
        (["--mode", "direct"], "no compiler"),
        (["--", "/usr/bin/make", "all"], "make is no compiler"),
        (["-O2", "gcc"], "the compiler and its flags go behind --"),
    ],
)
def test_wrong_calls_are_2(words: list[str], told: str, project: Path) -> None:
    done = attempt([*LAUNCHER, *words])
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1


def test_a_failure_of_ours_is_one_line_or_a_fallback(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.parent / "tmp" / f"instrument-{os.geteuid()}").write_text("in the way")
    words = ("gcc-12", "-O2", INCLUDE, "-c", "main.c", "other.c")
    done = attempt([*LAUNCHER, "--", *words])
    assert done.returncode == 2 and done.stderr.startswith("instrument: error: cannot write"), done.stderr
    assert not Path("main.o").exists()
    done = attempt([*LAUNCHER, "--fallback", "--log", "log", "--", *words])
    assert done.returncode == 0 and done.stderr.startswith("instrument: warning: ") and done.stderr.count("\n") == 1
    assert [json.loads(line)["outcome"] for line in Path("log").read_text().splitlines()] == ["fallback"]
    run(["gcc-12", "main.o", "other.o", runtime_object("gcc-12", "-O2"), "-pthread", "-o", "prog"])
    run(["./prog"])


def test_an_asm_in_a_function_in_the_other_syntax(project: Path) -> None:
    Path("asm.c").write_text(f'{HEADER}int f(int x) {{ asm("nop"); return static_call(key)(x, 2.0) + 1; }}\n')
    launched("clang-19", "-O2", "-masm=intel", INCLUDE, "-c", "asm.c", options=("--mode", "direct", "--strict"))
    assert sites("asm.o") == 1


@pytest.mark.parametrize("mode", ["inline-asm", "direct"])
def test_an_output_by_its_long_name(mode: str, project: Path) -> None:
    launched("gcc-12", INCLUDE, "-MD", "-c", "main.c", "--output=long.o", options=("--mode", mode))
    assert sites("long.o") >= 1
    assert "instrument-" not in Path("long.d").read_text()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variable", ["DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES"])
def test_dependencies_that_the_environment_asks_for(
    variable: str, mode: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("none.c").write_text("#include <static_call.h>\nint none;\n")
    monkeypatch.setenv(variable, "plain.d")
    run(["gcc-12", INCLUDE, "-c", "none.c"])
    for name in ("none", "main"):
        monkeypatch.setenv(variable, f"{name}.d")
        launched("gcc-12", INCLUDE, "-c", f"{name}.c", options=("--mode", mode))
    assert Path("none.d").read_bytes() == Path("plain.d").read_bytes()
    assert Path("main.d").read_text().count("main.o:") == 1


@pytest.mark.parametrize("options", [(), ("--fallback",)])
def test_a_log_that_cannot_be_written(options: tuple[str, ...], project: Path) -> None:
    for log, why in (("/dev/full", "No space left on device"), ("none/log", "No such file or directory")):
        done = attempt([*LAUNCHER, *options, "--log", log, "--", "gcc-12", INCLUDE, "-c", "main.c"])
        assert (done.returncode, done.stderr) == (2, f"instrument: error: cannot write {log}: {why} [IN008]\n")


def test_a_dependency_file_that_cannot_be_rewritten(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(temporary: str, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    Path("a.o").write_text("an object")
    Path("a.d").write_text("a.o: a.c \\\n /tmp/keys.h\n")
    with pytest.raises(InstrumentError) as failed:
        unitheader.forget(Call(["gcc", "-MD", "-c", "a.c"]), "/tmp/keys.h")
    assert failed.value.status == 2 and "cannot write a.d" in failed.value.findings[0].message
    assert [path.name for path in Path().glob("a.*")] == ["a.d"] and not list(Path().glob(".*"))


def test_a_killed_compile_leaves_nothing_half_written(project: Path) -> None:
    body = "".join(f"int f{n}(int x) {{ return called(x) * {n} + x / {n + 1}; }}\n" for n in range(300))
    Path("large.c").write_text('#include "keys.h"\n' + body)
    for mode in ("inline-asm", "direct"):
        command = [*LAUNCHER, "--mode", mode, "--", "gcc-12", "-O1", INCLUDE, "-MD", "-c", "large.c", "-o", "large.o"]
        started = time.monotonic()
        run(command)
        length = time.monotonic() - started
        whole = Path("large.o").read_bytes()
        for step in range(5):
            Path("large.o").unlink(missing_ok=True)
            process = subprocess.Popen(command, start_new_session=True)
            time.sleep(length * (0.7 + 0.08 * step))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert not Path("large.o").exists() or Path("large.o").read_bytes() == whole
            if Path("large.d").exists() and Path("large.o").exists():
                assert all(Path(word).exists() for word in prerequisites("large.d"))


def test_a_signal_to_the_launcher_reaches_the_compiler(project: Path) -> None:
    Path("compiler").write_text(
        '#!/bin/sh\ncase " $* " in *" -P "*) exec gcc-12 "$@";; esac\n'
        "trap 'echo stopped; exit 7' TERM\necho begun\nwhile :; do sleep 0.05; done\n"
    )
    Path("compiler").chmod(0o755)
    process = subprocess.Popen(
        [*LAUNCHER, "--mode", "direct", "--", "./compiler", "-E", "main.c", INCLUDE],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 7 and process.stdout.read() == "stopped\n"
