# SPDX-License-Identifier: MIT
"""Programs with every proposal applied mean what they meant: plain, and instrumented. And the command around that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.toolchain import attempt, build, instrument, run

PROGRAMS = Path(__file__).parent / "c"
KEYS = {
    "pointers": {"transform", "alloc", "turn", "scale", "trace", "lazy"},
    "members": {"ops_read", "ops_done", "ops_name", "current_read", "current_name", "chosen_read", "chosen_name"},
    "types": {"copy", "take", "place", "count", "stop", "table_take"},
}
REFUSED = {"pointers": {"leaked"}, "members": {"leaked_read"}, "types": set[str]()}


def copied(program: str, folder: Path) -> Path:
    folder.mkdir()
    for path in PROGRAMS.glob(f"{program}*"):
        shutil.copy(path, folder)
    return folder


def c_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.c"))


@pytest.mark.parametrize("program", KEYS)
def test_an_applied_program_means_the_same(program: str, tmp_path: Path) -> None:
    source = copied(program, tmp_path / "src")
    done = instrument("suggest", source, "--whole-program", "--json", CC="gcc-12")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["candidates"]
    assert {c["key"] for c in told if c["proposed"]} == KEYS[program]
    assert {c["key"] for c in told if not c["proposed"]} == REFUSED[program]
    expected = run([build("gcc-12", c_files(source), tmp_path / "before", "-O2")])
    edited = tmp_path / "edited"
    done = instrument("suggest", source, "--whole-program", "--apply", "-o", edited, CC="gcc-12")
    assert done.returncode == 0, done.stderr
    for compiler in ("gcc-12", "clang-19"):
        assert run([build(compiler, c_files(edited), tmp_path / compiler, "-O2")]) == expected
    for mode in ("inline-asm", "trampoline"):
        out = tmp_path / mode
        done = instrument(edited, "-o", out, "--mode", mode, "--strict", CC="gcc-12")
        # A result in memory, like everything else here, can be called inline.
        assert done.returncode == 0, done.stderr
        assert run([build("gcc-12", c_files(out), tmp_path / f"{mode}.bin", "-O2")]) == expected


def test_the_diff_is_a_patch_and_in_place_does_the_same(tmp_path: Path) -> None:
    one, two = copied("pointers", tmp_path / "one"), copied("pointers", tmp_path / "two")
    done = instrument("suggest", ".", "--whole-program", "--no-check", cwd=one)
    assert done.returncode == 0, done.stderr
    (tmp_path / "all.diff").write_text(done.stdout)
    run(["patch", "-s", "-p0", "-i", tmp_path / "all.diff"], cwd=one)
    assert instrument("suggest", ".", "--whole-program", "--apply", "--in-place", cwd=two).returncode == 0
    assert "static_call(alloc)(size)" in (two / "pointers.c").read_text()
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_what_rests_on_others_is_applied_when_asked_for(tmp_path: Path) -> None:
    source = copied("pointers", tmp_path / "src")
    done = instrument("suggest", source, "--diff", "--no-check")
    assert "DEFINE_STATIC_CALL(turn, swapped);" in done.stdout
    assert "DEFINE_STATIC_CALL(transform" not in done.stdout
    assert "5 of 6 proposals" in done.stderr
    done = instrument("suggest", source, "--diff", "--no-check", "--only", "transform")
    assert "DEFINE_STATIC_CALL(transform, twice);" in done.stdout
    assert "DEFINE_STATIC_CALL(turn" not in done.stdout
    done = instrument("suggest", source, "--no-check", "--only", "transfrom")
    assert (done.returncode, "did you mean transform?" in done.stderr) == (2, True)
    done = instrument("suggest", source, "--no-check", "--only", "leaked")
    assert (done.returncode, "its address is taken" in done.stderr) == (2, True)


def test_the_list_says_why(tmp_path: Path) -> None:
    done = instrument("suggest", ".", "--list", cwd=copied("pointers", tmp_path / "src"), CC="gcc-12")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 function pointers are called by name: 6 could be static calls, 1 not\n")
    assert "pointers.c:20:7: transform: 3 calls, 2 assignments" in done.stdout
    assert "only if no file but those given uses it" in done.stdout
    assert "not proposed:\n   pointers.c:27:14: leaked: 1 call, 0 assignments\n" in done.stdout
    assert "its address is taken" in done.stdout


def test_the_compiler_has_the_last_word(tmp_path: Path) -> None:
    """A type that tree-sitter cannot see through, an edit that does not fit it, and a file that is broken before."""
    (tmp_path / "a.c").write_text(
        "typedef int fn(int);\nstatic int one(int a) { return a; }\n"
        "#define TAKES(x) do { __typeof__(x) *q = &x; (void)q; } while (0)\n"
        "static int (*good)(int) = one;\nstatic int (*bad)(int) = one;\n"
        "int f(void) { TAKES(bad); return good(1) + bad(1); }\nvoid set(fn *x) { good = x; }\n"
        "void set2(fn *x) { good = x; bad = x; }\n"
    )
    done = instrument("suggest", tmp_path / "a.c", "--json", CC="gcc-12")
    assert done.returncode == 0, done.stderr
    told = {c["key"]: c for c in json.loads(done.stdout)["candidates"]}
    assert told["good"]["applied"]
    assert "the compiler rejects its edit" in told["bad"]["refusals"][0]["what"]
    (tmp_path / "a.c").write_text(
        "static int one(int a) { return a; }\nint (*p)(int) = one;\nint f(void) { return p(1) + unknown; }\n"
    )
    done = instrument("suggest", tmp_path / "a.c", "--json", CC="gcc-12")
    (only,) = json.loads(done.stdout)["candidates"]
    assert "not compiled" in only["conditions"][-1]["what"]
    assert not only["applied"]


CALLGRIND = """\
version: 1
cmd: ./x
positions: line
events: Ir

fl=(1) pointers.c
fn=(1) main
40 10
cfn=(2) half
calls=900 16
+{scale} 500
cfn=(3) twice
calls=2 12
* 70
"""
PERF = "x 1 2.0: 1 cycles:\n\t  4011 half+0x1 (/x)\n\t  4012 main+0x9 (/x)\n\n"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (CALLGRIND, "902 calls"),
        (PERF * 3, "3 samples"),
        ("# Samples\n    61.50%  x  x  [.] main\n     1.00%  x  x  [.] take\n", "62.5 %"),
    ],
)
def test_a_profile_ranks(text: str, unit: str, tmp_path: Path) -> None:
    source = copied("pointers", tmp_path / "src")
    lines = (source / "pointers.c").read_text().splitlines()
    scale = next(number for number, line in enumerate(lines, 1) if "scale(8, 2)" in line)
    (tmp_path / "profile").write_text(text.replace("{scale}", str(scale - 40)))
    done = instrument("suggest", ".", "--list", "--no-check", "--profile", tmp_path / "profile", cwd=source)
    assert done.returncode == 0, done.stderr
    first = next(line for line in done.stdout.splitlines() if line.startswith("1. "))
    assert f"{unit} there" in first
    if "calls=" in text:
        assert ": scale: " in first


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.c"], "no such file"),
        ([], "the following arguments are required: SRC"),
        (["src", "--apply"], "--apply needs either -o OUT or --in-place"),
        (["src", "--in-place"], "-o and --in-place go with --apply"),
        (["src", "--diff", "--json"], "ask for one of them"),
        (["src", "--apply", "-o", "full"], "full is not empty"),
        (["src", "--profile", "src/pointers.c"], "cannot use the profile"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, tmp_path: Path) -> None:
    copied("pointers", tmp_path / "src")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    done = instrument("suggest", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_compiler_that_is_not_there(tmp_path: Path) -> None:
    done = attempt(["true"])
    assert done.returncode == 0
    done = instrument("suggest", copied("members", tmp_path / "src"), CC="no-such-compiler")
    assert done.returncode == 2
    assert "cannot run the compiler no-such-compiler" in done.stderr
