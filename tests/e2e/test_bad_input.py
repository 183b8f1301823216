# SPDX-License-Identifier: MIT
"""Bad input gets an error with line, caret and code; the rest is done, no file is half written, no source touched."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toolchain import COMPILERS, build, instrument, run

GOOD = (
    "#include <static_call.h>\nstatic int f(int x) { return x; }\nDEFINE_STATIC_CALL(key, f);\n"
    "int main(void) { return static_call(key)(0); }\n"
)
LONG = "#include <static_call.h>\nlong g(long x) { return x; }\n"
USES = "int use(void) { return static_call(key)(0); }\n"


def other(text: str) -> str:
    """`text` with names that no other file of the tree has."""
    return text.replace("main(", "use(").replace("key", "bee")


# The files to add, the file that fails, the error's place below src, its code, the text that the caret is under.
CASES = {
    "unparsable": ({"b.c": other(GOOD) + "int broken( {\n"}, "b.c:5:13", "IN001", "{"),
    "unparsable, without a call": ({"b.c": "#include <static_call.h>\nint f(void) { return 1 +; }\n"}, "b.c:2:25",
                                   "IN001", ";"),
    "unparsable, in a function without a call": (
        {"b.c": other(GOOD) + "int broken(int a) { return a +; }\n"}, "b.c:5:31", "IN001", ";"),
    "static_call.h is not included": (
        {"b.c": other(GOOD).replace("#include <static_call.h>", "")}, "b.c:3:1", "IN015", "DEFINE_STATIC_CALL"),
    "missing include": ({"b.c": '# include "nowhere.h"\n' + other(GOOD)}, "b.c:1:11", "IN001", '"nowhere.h"'),
    "missing include of a header": (
        {"h.h": '\n#include "nowhere.h"\n', "b.c": '#include "h.h"\n' + other(GOOD)},
        "h.h:2:10", "IN001", '"nowhere.h"',
    ),
    "type that is nowhere": (
        {"b.c": other(GOOD) + "\tDECLARE_STATIC_CALL(k, nosuch); /* " + 20 * "a long line " + "*/\n"},
        "b.c:5:25", "IN001", "nosuch",
    ),
    "misspelt type in a macro of a header": (
        {"h.h": "#include <static_call.h>\ntypedef int fine(int);\n#define OWN(n, t) DECLARE_STATIC_CALL(n, t)\n"
                "OWN(k, fien);\n",
         "b.c": '#include "h.h"\n' + other(GOOD)},
        "h.h:4:8", "IN001", "fien",
    ),
    "undeclared key": ({"b.c": other(GOOD).replace("static_call(bee)", "static_call(bea)")}, "b.c:4:24", "IN002",
                       "static_call"),
    "two types in one file": ({"b.c": LONG + "int f(int);\nDECLARE_STATIC_CALL(k, f);\nDEFINE_STATIC_CALL(k, g);\n"},
                              "b.c:5:1", "IN001", "DEFINE_STATIC_CALL"),
    "two types, one in a header": (
        {"h.h": "#include <static_call.h>\nint f(int);\nDECLARE_STATIC_CALL(k, f);\n",
         "b.c": '#include "h.h"\n' + LONG + "DEFINE_STATIC_CALL(k, g);\n"},
        "b.c:4:1", "IN001", "DEFINE_STATIC_CALL",
    ),
    "another machine": ({"b.c": "#include <static_call.h>\n#error 64 bits only\n"}, "b.c:2:2", "IN001", "error"),
}  # fmt: skip


def state(tree: Path) -> dict[str, str]:
    """Every file but the depfile, which names the output's own place, and the seal, which is only there if all that
    the output depends on was two seconds old."""
    files = (path for path in tree.rglob("*") if path.is_file() and path.suffix != ".d" and path.name != "seal.json")
    return {path.relative_to(tree).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.c").write_text(GOOD)
    (tmp_path / "src" / "other.c").write_text("int other;\n")
    return tmp_path / "src"


def below_caret(stderr: str) -> str:
    """The source line from the first caret on."""
    lines = stderr.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip() == "^")
    return lines[at - 1][lines[at].index("^") :]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("case", CASES)
def test_one_bad_file(case: str, compiler: str, tree: Path, tmp_path: Path) -> None:
    """It is told with line and caret and left out; the others are as they would be without it."""
    files, where, code, marked = CASES[case]
    assert instrument("src", "-o", "alone", cwd=tmp_path, CC=compiler).returncode == 0
    (tree / "b.c").write_text(other(GOOD))
    assert instrument("src", "-o", "out", cwd=tmp_path, CC=compiler).returncode == 0
    mended = state(tmp_path / "out")
    for name, text in files.items():
        (tree / name).write_text(text)
    before = state(tree)
    done = instrument("src", "-o", "out", cwd=tmp_path, CC=compiler)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith(f"src/{where}: error: ") and f"[{code}]" in done.stderr.splitlines()[0], done.stderr
    assert below_caret(done.stderr).startswith(marked), done.stderr
    assert "left out of the output: b.c\n" in done.stderr
    out = state(tmp_path / "out")
    assert "b.c" not in out and state(tree) == before
    alone = state(tmp_path / "alone")
    assert {name: out[name] for name in ("a.c", "other.c")} == {name: alone[name] for name in ("a.c", "other.c")}
    run([build(compiler, [tmp_path / "out" / "a.c"], tmp_path / "prog")])

    (tree / "h.h").unlink(missing_ok=True)
    (tree / "b.c").write_text(other(GOOD))
    assert instrument("src", "-o", "out", cwd=tmp_path, CC=compiler).returncode == 0
    assert state(tmp_path / "out") == mended


def test_all_that_is_bad_is_told_at_once(tree: Path, tmp_path: Path) -> None:
    (tree / "b.c").write_text("#include <static_call.h>\nint broken( {\n")
    (tree / "c.c").write_text("#include <static_call.h>\nvoid c(void) { static_call(none)(); }\n")
    (tree / "d.c").write_text(LONG + "DEFINE_STATIC_CALL(two, g);\n")
    (tree / "e.c").write_text("#include <static_call.h>\nint f(int);\n\tDECLARE_STATIC_CALL(two, f);\n")
    done = instrument("src", "-o", "out", cwd=tmp_path)
    assert done.returncode == 1
    told = [line.partition(": error: ")[0] for line in done.stderr.splitlines() if ": error: " in line]
    assert [where for where in told if where.startswith("src/")] == ["src/b.c:2:13", "src/c.c:2:16", "src/e.c:3:2"]
    assert "error: the key 'two' is 'int (int)' in e.c, but 'long (long)' in d.c [IN013]" in done.stderr
    assert "src/d.c:3:1: note: defined as 'long (long)' here [IN013]\n  DEFINE_STATIC_CALL" in done.stderr
    assert {name for name in state(tmp_path / "out") if "/" not in name} == {"a.c", "other.c"}


def test_a_header_that_a_failed_file_includes_keeps_its_text(tree: Path, tmp_path: Path) -> None:
    """What the calls in it mean there is not known; what includes it still compiles to the same calls."""
    head = "#include <static_call.h>\nint f(int);\nDECLARE_STATIC_CALL(key, f);\nstatic inline "
    (tree / "h.h").write_text(head + USES)
    main = "int f(int x) { return x; }\nDEFINE_STATIC_CALL(key, f);\nint main(void) { return use(); }\n"
    (tree / "a.c").write_text('#include "h.h"\n' + main)
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    fresh = state(tmp_path / "out")
    assert "__SCW__key" in (tmp_path / "out" / "h.h").read_text()
    (tree / "b.c").write_text('#include <static_call.h>\n#include "h.h"\nint broken( {\n')
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 1
    assert "static_call(key)(0)" in (tmp_path / "out" / "h.h").read_text()
    run([build("gcc-12", [tmp_path / "out" / "a.c"], tmp_path / "prog")])
    (tree / "b.c").unlink()
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    assert state(tmp_path / "out") == fresh


def test_files_named_one_by_one_fail_one_by_one(tree: Path, tmp_path: Path) -> None:
    """As the Makefile hook names them."""
    (tree / "b.c").write_text("#include <static_call.h>\n#error told so\n")
    (tree / "part.c").write_text("#ifndef key\n#error only as a part\n#endif\n")
    (tree / "a.c").write_text("#define key key\n" + GOOD + '#include "part.c"\n')
    names = [f"src/{name}.c" for name in ("a", "b", "other", "part")]
    done = instrument(*names, "-o", "out", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("src/b.c:2:2: error: ")
    assert "left out of the output: b.c\n" in done.stderr
    assert {name for name in state(tmp_path / "out") if "/" not in name} == {"a.c", "other.c", "part.c"}


def test_an_error_of_the_setting_leaves_an_earlier_output_alone(tree: Path, tmp_path: Path) -> None:
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    before = state(tmp_path / "out")
    (tree / "a.c").write_text(GOOD + "int broken( {\n")
    assert instrument("src", "-o", "out", cwd=tmp_path, CC="no-such-compiler").returncode == 2
    assert state(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("src", "-o", "src/out"), "IN009"),
        (("src", "-o", "src"), "IN009"),
        (("src", "-o", "."), "IN009"),
        (("src", "-o", "a-file/out"), "IN008"),
        (("src", "-o", "/proc/out"), "IN008"),
        (("nothing", "-o", "out"), "IN011"),
        (("src", "-o", "taken"), "IN008"),
    ],
)
def test_errors_of_the_setting(arguments: tuple[str, ...], code: str, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious.txt").write_text("mine")
    before = state(tmp_path)
    done = instrument(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and f"[{code}]" in done.stderr, done.stderr
    assert state(tmp_path) == before


def test_missing_compiler(tree: Path, tmp_path: Path) -> None:
    done = instrument("src", "-o", "out", cwd=tmp_path, CC="no-such-compiler")
    assert done.returncode == 2 and "[IN010]" in done.stderr and not (tmp_path / "out").exists()


def test_killed_at_any_moment_it_leaves_whole_files(tree: Path, tmp_path: Path) -> None:
    # Files that are copied as they are: much to write, and little to ask the compiler.
    for n in range(120):
        (tree / f"more{n}.h").write_text(f"int more{n};\n" * 100)
    assert instrument("src", "-o", "whole", cwd=tmp_path).returncode == 0
    whole, before = state(tmp_path / "whole"), state(tree)
    started = time.monotonic()
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    length = time.monotonic() - started
    for step in range(9):
        command = [sys.executable, "-m", "instrument", "src", "-o", f"out{step}"]
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
        # Most of a run is spent before the first byte is written: aim at its last part.
        time.sleep(length * (0.6 + 0.05 * step))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        out = tmp_path / f"out{step}"
        left = {name: digest for name, digest in state(out).items() if name in whole}
        assert all(whole[name] == digest for name, digest in left.items() if not name.endswith("manifest.json"))
        assert instrument("src", "-o", f"out{step}", cwd=tmp_path).returncode == 0
        assert state(out) == whole
    assert state(tree) == before


def test_second_run_changes_nothing_and_the_output_is_a_fixed_point(tree: Path, tmp_path: Path) -> None:
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.name != "stamp"}
    assert instrument("src", "-o", "out", cwd=tmp_path).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert instrument("src", "-o", "out", "--check", cwd=tmp_path).returncode == 0
    assert instrument("out", "-o", "again", cwd=tmp_path).returncode == 0
    ours = {name: digest for name, digest in state(tmp_path / "again").items() if name.endswith((".c", ".h"))}
    assert ours == {name: digest for name, digest in state(tmp_path / "out").items() if name.endswith((".c", ".h"))}
    run([build("gcc-12", [tmp_path / "again" / "a.c"], tmp_path / "prog")])


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_wrong_argument_is_told_at_the_users_line(compiler: str, tree: Path, tmp_path: Path) -> None:
    (tree / "a.c").write_text(GOOD.replace("(key)(0)", "(\n\tkey\n)(0,\n\t1)"))
    done = instrument("src", "-o", "out", cwd=tmp_path, CC=compiler)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(("src/a.c:4:", "src/a.c:6:", "src/a.c:7:")) and "too many arguments" in done.stderr


def test_nothing_heavy_is_imported_for_a_tree_without_calls(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for n in range(50):
        (tmp_path / "src" / f"f{n}.c").write_text(f"int f{n};\n")
    program = (
        "import sys; from instrument.cli import main; code = main(['src', '-o', 'out']); "
        "print(*sorted({m.split('.')[0] for m in sys.modules})); sys.exit(code)"
    )
    loaded = set(run([sys.executable, "-c", program], cwd=tmp_path).split())
    assert loaded.isdisjoint({"tree_sitter", "tree_sitter_c", "pycparser", "elftools"})
    loaded = set(run([sys.executable, "-c", program.replace("['src', '-o', 'out']", "['--cflags']")]).split())
    assert loaded.isdisjoint({"tree_sitter", "pycparser", "elftools", "jinja2", "argparse", "json"})


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_function_that_is_never_closed(compiler: str, tree: Path, tmp_path: Path) -> None:
    """gcc and clang tell different columns; what was asked of the compiler behind the file's end is no part of it."""
    (tree / "b.c").write_text(other(GOOD).rstrip("\n}") + "\n")
    done = instrument("src", "-o", "out", cwd=tmp_path, CC=compiler)
    assert done.returncode == 1 and done.stderr.startswith("src/b.c:4:") and "[IN001]" in done.stderr
    assert "__sc" not in done.stderr.splitlines()[0] and not (tmp_path / "out" / "b.c").exists()
