# SPDX-License-Identifier: MIT
"""Programs with every proposal applied mean what they meant: plain, and instrumented. And the command around that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from instrument.diagnostics import InstrumentError
from instrument.suggest import tree
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
    chosen = [word for key in sorted(KEYS[program]) for word in ("--only", key)]
    done = instrument("suggest", source, *chosen, "--apply", "-o", edited, CC="gcc-12")
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
    done = instrument("suggest", source, "--diff")
    assert "DEFINE_STATIC_CALL(alloc, *(alloc_fn)malloc);" in done.stdout
    assert "DEFINE_STATIC_CALL(turn" not in done.stdout
    assert "1 of 6 proposals" in done.stderr
    done = instrument("suggest", source, "--diff", "--whole-program")
    assert "DEFINE_STATIC_CALL(turn, swapped);" in done.stdout
    assert "DEFINE_STATIC_CALL(transform" not in done.stdout
    assert "5 of 6 proposals" in done.stderr
    done = instrument("suggest", source, "--list", "--no-check")
    assert "only if no macro means it in other words, for no preprocessor was asked" in done.stdout
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
    (tmp_path / "one.c").write_text("struct s { void (*m)(void); };\nvoid f(struct s *s) { s->m(); }\n")
    done = instrument("suggest", "one.c", "--list", "--no-check", cwd=tmp_path)
    why = "members of an object that a pointer leads to, of which there may be many"
    assert f"no candidates, though called:\n   {why}:\n      one.c:2:23: ->m: 1 call\n" in done.stdout


def test_the_compiler_has_the_last_word(tmp_path: Path) -> None:
    """A type that tree-sitter cannot see through, an edit that does not fit it, and a file that is broken before."""
    (tmp_path / "a.c").write_text(
        "typedef int fn(int);\nstatic int one(int a) { return a; }\n"
        "static int (*good)(int) = one;\nstatic int (*bad)(int) = one;\n"
        "int f(void) { return good(1); }\nint g(int __SCK__bad) { return bad(__SCK__bad); }\n"
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
    assert "in a.c, which does not compile with these flags as it is: " in only["conditions"][-1]["what"]
    assert not only["applied"]


def test_what_no_compiler_has_seen_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        "static int one(int a) { return a; }\nint (*p)(int) = one;\n#define USED(x) p(x)\n#define UNUSED(x) p(x)\n"
        "int f(void) { return p(1) + USED(2); }\nvoid set(void) { p = 0; }\n#ifdef OTHER\n"
        "int g(void) { return p(3); }\n"
        "#endif\n"
    )
    (tmp_path / "other.c").write_text("#include <windows.h>\nextern int (*p)(int);\nint h(void) { return p(4); }\n")
    done = instrument("suggest", tmp_path, "--json", "--whole-program", CC="gcc-12")
    (only,) = json.loads(done.stdout)["candidates"]
    whats = [c["what"] for c in only["conditions"]]
    assert any("in other.c, which does not compile" in what and "windows.h" in what for what in whats)
    assert [c["line"] for c in only["conditions"] if "these flags leave it out" in c["what"]] == [4, 8]
    assert only["applied"]
    done = instrument("suggest", tmp_path, "--json", CC="gcc-12")
    assert not json.loads(done.stdout)["candidates"][0]["applied"]
    (tmp_path / "compile_commands.json").write_text(
        json.dumps([{"directory": str(tmp_path), "file": "other.c", "command": "gcc-12 -c other.c"}])
    )
    done = instrument("suggest", tmp_path, "--list", "--whole-program", "-p", tmp_path)
    assert "a.c:3:17: the edit there is right: no command is known that compiles its file, so it" in done.stdout
    assert "0 of 1 proposals" in done.stderr
    # Where the pointer's own file does not compile, nothing is known of the edit: the program is not the reason.
    (tmp_path / "a.c").write_text((tmp_path / "a.c").read_text() + "int i(void) { return unknown; }\n")
    done = instrument("suggest", tmp_path, "--list", "--whole-program", CC="gcc-12")
    assert "0 of 1 proposals; --only KEY takes the others" in done.stderr
    done = instrument("suggest", tmp_path, "--diff", "--only", "p", CC="gcc-12")
    assert "+DEFINE_STATIC_CALL(p, one);" in done.stdout


def test_edits_in_place_are_made_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: f"{name}\n".encode() for name in ("a.c", "b.c", "c.c")}
    after = {name: data.upper() for name, data in before.items()}
    for name, data in before.items():
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (tmp_path / "elsewhere" / name).write_bytes(data)
        (tmp_path / name).symlink_to(f"elsewhere/{name}")
        (tmp_path / name).chmod(0o640)
    kept, renamed = Path.replace, []

    def failing(self: Path, target: Path) -> Path:
        renamed.append(target)
        if len(renamed) == 3:
            raise OSError(30, "Read-only file system")
        return kept(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(InstrumentError, match="Read-only file system; no file is changed"):
        tree.edit(tmp_path, before, after)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    tree.edit(tmp_path, before, after)
    assert {name: (tmp_path / name).read_bytes() for name in before} == after
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in before} == {0o640}
    assert all((tmp_path / name).is_symlink() for name in before)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 3
    with pytest.raises(InstrumentError, match="has changed since it was read"):
        tree.edit(tmp_path, before, before)


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
        ("x 9 1.5:  250 cpu-clock:ppp:  4011 main+0x1 (/x)\n" * 2, "2 samples"),
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
    assert f" (profile: {unit})" in first
    if "calls=" in text:
        assert ": scale: " in first


def test_a_call_in_a_macro_counts_where_the_macro_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        "#define HOT(x) hot(x)\n#define OUTER(x) HOT(x)\nstatic int one(int a) { return a; }\n"
        "static int (*cold)(int) = one;\nstatic int (*hot)(int) = one;\nvoid set(void) { hot = 0; cold = 0; }\n"
        "int f(int n)\n{\n\tint sum = cold(n);\n\n\twhile (n--)\n\t\tsum += OUTER(n);\n\treturn sum;\n}\n"
    )
    profile = "events: Ir\npositions: line\nfl=a.c\nfn=f\n9 1\ncfn=one\ncalls=1 3\n9 1\ncfn=one\ncalls=70 3\n12 1\n"
    (tmp_path / "profile").write_text(profile)
    for more, counted in ([], ""), (["--profile", "profile"], " (profile: 70 calls)"):
        done = instrument("suggest", "a.c", "--list", "--no-check", *more, cwd=tmp_path)
        assert f"1. a.c:5:14: hot: 1 call{counted}, 1 assignment\n" in done.stdout
    (tmp_path / "profile").write_text(profile.replace("a.c", "b.c"))
    done = instrument("suggest", "a.c", "--list", "--no-check", "--profile", "profile", cwd=tmp_path)
    assert "warning: the profile has none of these calls" in done.stderr


def test_a_header_with_pointers_that_is_no_input_is_told(tmp_path: Path) -> None:
    for folder in ("src", "include", "lib"):
        (tmp_path / folder).mkdir()
    (tmp_path / "include/all.h").write_text('#include "op.h"\n#include <stdio.h>\n#include <plain.h>\n')
    (tmp_path / "include/op.h").write_text("extern int (*op)(int);\n")
    (tmp_path / "lib/plain.h").write_text("int plain(int x);\n")
    (tmp_path / "src/a.c").write_text('#include "all.h"\nint f(int x) { return op(plain(x)); }\n')
    (tmp_path / "src/b.c").write_text('#include "all.h"\nint (*op)(int);\nvoid set(int x) { op = x ? plain : 0; }\n')
    flags = ["--list", "--", "-Iinclude", "-I", "lib"]
    told = instrument("suggest", "src", *flags, cwd=tmp_path).stderr
    what = "include/op.h: included, but no input, so pointers that are declared there are missed"
    assert f"instrument: warning: {what}; add include to the inputs\n" in told
    for inputs in (["src", "include"], ["."]):
        done = instrument("suggest", *inputs, *flags, cwd=tmp_path)
        assert "warning" not in done.stderr and ": op: 1 call, 1 assignment" in done.stdout


def test_what_is_left_out_is_not_read(tmp_path: Path) -> None:
    copied("pointers", tmp_path / "src")
    copied("members", tmp_path / "src" / "more")
    done = instrument("suggest", "src", "--json", "--no-check", "--exclude", "more", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert {c["key"] for c in told["candidates"]} == KEYS["pointers"] | REFUSED["pointers"]
    assert all((Path(told["root"]) / c["path"]).exists() for c in told["candidates"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.c"], "no such file"),
        ([], "the following arguments are required: SRC"),
        (["src", "--apply"], "--apply needs either -o OUT or --in-place"),
        (["src", "--in-place"], "-o and --in-place go with --apply"),
        (["src", "--diff", "--json"], "ask for one of them"),
        (["src", "--apply", "-o", "full"], "full is not empty"),
        (["src", "--apply", "-o", "full/x"], "full/x is not a directory"),
        (["src", "--profile", "src/pointers.c"], "cannot use the profile"),
        (
            ["src", "--profile", "full/perf.data"],
            "it is perf's own: give its text, by `perf script -i full/perf.data",
        ),
        (["src", "--top", "0"], "0 is not a number of proposals"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, tmp_path: Path) -> None:
    copied("pointers", tmp_path / "src")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "full" / "perf.data").write_bytes(b"PERFILE2\0")
    done = instrument("suggest", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_compiler_that_is_not_there(tmp_path: Path) -> None:
    done = attempt(["true"])
    assert done.returncode == 0
    done = instrument("suggest", copied("members", tmp_path / "src"), CC="no-such-compiler")
    assert done.returncode == 2
    assert "cannot run the compiler no-such-compiler" in done.stderr
