# SPDX-License-Identifier: MIT
"""The command from outside; the steps in the middle are those of fakes.py, compiler and file system are real."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import instrument
from instrument import cli, paths, pipeline, questions
from tests.unit import fakes
from tests.unit.fakes import MAIN, OPS, PROJECT, lay


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = fakes.runtime(tmp_path / "runtime")
    for name, module in fakes.modules().items():
        monkeypatch.setitem(sys.modules, f"instrument.{name}", module)
    fakes.install(directory, lambda where, name, value: monkeypatch.setattr(where, name, value, raising=False))
    monkeypatch.setattr(pipeline, "scan", sys.modules["instrument.scan"])
    return directory


@pytest.fixture
def project(tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lay(tmp_path / "p r", PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "p r"


def times(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.lstat().st_mtime_ns for path in root.rglob("*")}


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


# ---- an output ------------------------------------------------------------------------------------


def test_a_tree_is_copied_and_its_calls_are_rewritten(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(project)
    assert run(project, "-o", "out") == 0
    assert contents(project) == before
    assert '#include "static_call/static_call.h"' in Path("out/main.c").read_text()
    assert "fake_go(ZERO)" in Path("out/main.c").read_text()
    assert Path("out/ops.c").read_text() == OPS
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err == (
        "instrument: 1 token in 1 file: 1 call\n  calls: 1 rewritten (1 inline-asm)\n  keys: 1 inline-asm\n"
    )


def test_sources_may_stand_behind_options(project: Path) -> None:
    assert run(project / "main.c", "-o", "out", project / "ops.c", "--quiet") == 0
    assert Path("out/main.c").exists() and Path("out/ops.c").exists()
    assert run("-o", "out", project / "ops.c", "--check", project / "main.c") == 0


def test_quiet_is_silent(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "-o", "out", "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_a_second_run_writes_nothing(project: Path) -> None:
    assert run(project, "-o", "out") == 0
    before = times(Path("out"))
    assert run(project, "-o", "out") == 0
    assert times(Path("out")) == before


def test_the_output_as_input_stays_as_it_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "-o", "out", "-q")
    assert run("out", "-o", "again") == 0
    assert contents(Path("again")) == contents(Path("out"))
    assert "already instrumented" in capsys.readouterr().err
    assert run("out", "-o", "again", "--check") == 0
    assert run("out", "--diff") == 0


def test_a_new_file_in_an_instrumented_tree_is_no_output(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "-o", "out", "-q")
    lay(Path("out"), {"sub/notes.txt": "static_call(k)", "plain.c": "int x;\n"})
    assert run("out", "-o", "again", "-q") == 0
    lay(Path("out"), {"sub/new.c": MAIN})
    assert run("out", "-o", "other") == 1
    assert "out/sub/new.c:3:25: error:" in (err := capsys.readouterr().err)
    assert "[IN009]" in err and "instrument the original sources instead" in err
    assert not Path("other").exists()


def test_an_output_inside_a_tree_is_carried_over(project: Path) -> None:
    run(project / "main.c", project / "ops.c", "-o", project / ".static_call", "-q")
    assert run(project, "-o", "out") == 0
    assert contents(Path("out/.static_call")) == contents(project / ".static_call")


def test_a_file_brings_its_headers(project: Path) -> None:
    assert run(project / "main.c", "-o", "out") == 0
    assert {name for name in contents(Path("out")) if "/" not in name} == {"main.c", "ops.h"}


def test_headers_lead_to_the_generated_one_from_any_depth(project: Path) -> None:
    lay(project, {"a/b/c.c": MAIN.replace("ops.h", "../../ops.h")})
    (project / "l.c").symlink_to("a/b/c.c")
    (project / "a/d").mkdir()
    (project / "a/d/l.c").symlink_to("../b/c.c")
    assert run(project, "-o", "out") == 0
    assert '#include "../../static_call/static_call.h"' in Path("out/a/b/c.c").read_text()
    assert '#include "static_call/static_call.h"' in Path("out/l.c").read_text()
    assert Path("out/a/d/l.c").is_symlink()


def test_prose_is_not_a_source(project: Path) -> None:
    text = 'Write `static_call(key)(x)` after #include "static_call.h".\n'
    lay(project, {"README.md": text})
    (project / "main.o").write_bytes(b"\0static_call(x)")
    assert run(project, "-o", "out", "--strict") == 0
    assert Path("out/README.md").read_text() == text


def test_the_trees_own_static_call_directory_is_not_overwritten(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(project, {"static_call/static_call.h": "mine"})
    assert run(project, "-o", "out") == 2
    assert "[IN008]" in capsys.readouterr().err
    assert not Path("out").exists()


def test_the_fragment_builds_the_tree(project: Path) -> None:
    assert run(project, "-o", "out") == 0
    lay(Path("m"), {"Makefile": "include ../out/static_call/static_call.mk\nx: ; @echo $(STATIC_CALL_SRCS)\n"})
    done = subprocess.run(["make", "-s", "-C", "m", "x"], capture_output=True, text=True, check=True)
    assert Path("m", done.stdout.strip()).resolve() == Path("out/main.c").resolve()


def test_a_second_mode_changes_the_header(project: Path) -> None:
    for mode in ("inline-asm", "trampoline"):
        assert run(project, "-o", "out", "--mode", mode, "--layout", "compact") == 0
        assert f"{mode} compact" in Path("out/static_call/static_call.h").read_text()


# ---- asking only ----------------------------------------------------------------------------------


def test_diff_shows_and_writes_nothing(project: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (project / "main.c").write_bytes(b"// \xe9\r one\r\n" + MAIN.encode().removesuffix(b"\n"))
    assert run(project, "--diff", "-o", "out") == 1
    out = capsysbinary.readouterr().out
    assert out.startswith(b"--- p r/main.c\t\n+++ p r/main.c\t\n")
    assert b" // \xe9\r one\r\n" in out
    assert b"+int main(void) { return fake_go(ZERO); }\n\\ No newline at end of file\n" in out
    assert not Path("out").exists()
    applied = subprocess.run(["patch", "-s", "--binary", "-p0"], input=out, check=False)
    assert applied.returncode == 0
    assert run(project / "ops.c", "--diff") == 0


def test_check_tells_whether_the_output_is_up_to_date(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "--check", "-o", "out") == 1
    assert "would write main.c" in capsys.readouterr().err
    assert not Path("out").exists()
    run(project, "-o", "out")
    assert run(project, "--check", "-o", "out") == 0
    (project / "ops.h").touch()
    assert run(project, "--check", "-o", "out") == 0
    (project / "ops.h").write_text("")
    assert run(project, "--check", "-o", "out") == 1


def test_check_without_an_output_tells_whether_anything_would_change(project: Path) -> None:
    assert run(project, "--check") == 1
    assert run(project / "ops.c", "--check") == 0


def test_a_dry_run_tells_and_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "-n", "-o", "out") == 0
    assert "would write main.c" in capsys.readouterr().err
    assert not Path("out").exists()
    assert run(project, "--dry-run") == 0
    assert "would rewrite main.c" in capsys.readouterr().err


def test_strict_names_the_call_and_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay(project, {"main.c": MAIN.replace("(go)", "(slow)")})
    assert run(project, "-o", "out", "-q") == 0
    assert run(project, "-o", "strict", "-q", "--strict") == 1
    assert not Path("strict").exists()
    err = capsys.readouterr().err
    assert "p r/main.c:3:25: error: static_call(slow) is left on the trampoline form" in err
    assert "[IN022]\n  int main(void)" in err
    assert run(project, "-o", "strict", "--strict", "--mode", "trampoline") == 0


def test_json_is_data(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "--json") == 0
    streams = capsys.readouterr()
    value = json.loads(streams.out)
    assert (value["schema_version"], value["mode"], value["version"]) == (1, "inline-asm", instrument.__version__)
    assert [token["path"] for token in value["tokens"]] == ["main.c"]
    assert streams.err == ""


# ---- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no input"),
        (["p r"], "no output"),
        (["p r", "-o", "out", "--mod", "x"], "did you mean --mode?"),
        (["p r", "-o", "out", "--strct"], "did you mean --strict?"),
        (["p r", "-o", "out", "--mode", "fast"], "fast"),
        (["p r", "-o", "out", "-j", "0"], "0 is not a number of compilers, which is at least 1"),
        (["p r", "--json", "--diff"], "ask for one of them"),
        (["p r", "--cflags"], "--cflags goes alone"),
        (["p r", "--include-dir"], "--include-dir goes alone"),
        (["none", "-o", "out"], "[IN011]"),
        (["p r", "-o", "p r/out"], "[IN009]"),
        (["p r", "-o", "p r/main.c/out"], "[IN00"),
        (["p r/main.c", "-o", "/proc/out"], "cannot write /proc/out"),
        (["p r", "-o", "out", "-p", "none"], "[IN012]"),
        (["explain", "IN999"], "no such code"),
    ],
)
def test_a_wrong_call_is_2_and_says_why(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert run(*words) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert told in streams.err
    assert not Path("out").exists()


def test_a_missing_compiler_is_2(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert run(project / "main.c", "-o", "out") == 2
    assert "no-such-compiler" in capsys.readouterr().err


BAD = MAIN.replace("(go)", "(bad)")


def test_an_error_of_the_input_shows_its_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay(project, {"main.c": BAD})
    assert run(project, "-o", "out") == 1
    streams = capsys.readouterr()
    assert streams.out == ""
    head, tail = "p r/main.c:3:1: error: bad is not declared [IN002]\n  int main(void)", "^\n"
    assert streams.err.startswith(head) and tail in streams.err
    assert streams.err.endswith("instrument: error: left out of the output: main.c\n")
    assert "no static calls" not in streams.err


def test_a_failed_file_is_left_out_and_the_others_are_done(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay(project, {"bad.c": BAD, "other.c": MAIN})
    (project / "link.c").symlink_to("bad.c")
    assert run(project, "-o", "out") == 1
    assert {name for name in contents(Path("out")) if not name.startswith("static_call/")} == {
        "main.c", "ops.c", "ops.h", "other.c",
    }  # fmt: skip
    assert not Path("out/link.c").is_symlink() and not Path("out/static_call/stamp").exists()
    assert "2 tokens in 2 files" in capsys.readouterr().err
    (project / "bad.c").unlink()
    (project / "link.c").unlink()
    assert run(project, "-o", "fresh") == 0
    for name in ("main.c", "other.c", "ops.c"):
        assert Path("out", name).read_bytes() == Path("fresh", name).read_bytes()


def test_a_mended_tree_is_as_if_it_had_never_failed(project: Path) -> None:
    assert run(project, "-o", "fresh", "-q") == 0
    assert run(project, "-o", "out", "-q") == 0
    lay(project, {"main.c": BAD, "ops.c": OPS + "/* new */\n"})
    assert run(project, "-o", "out", "-q") == 1
    assert not Path("out/main.c").exists() and "new" in Path("out/ops.c").read_text()
    lay(project, {"main.c": MAIN, "ops.c": OPS})
    assert run(project, "-o", "out", "-q") == 0
    out, fresh = (contents(Path(name)) for name in ("out", "fresh"))
    assert {k: v for k, v in out.items() if k != "static_call/static_call.d"} == {
        k: v for k, v in fresh.items() if k != "static_call/static_call.d"
    }


def test_an_old_copy_of_a_failed_file_goes_even_if_somebody_changed_it(project: Path) -> None:
    run(project, "-o", "out", "-q")
    Path("out/main.c").write_text("mine\n")
    lay(project, {"main.c": BAD})
    assert run(project, "-o", "out", "-q") == 1
    assert not Path("out/main.c").exists()


def test_no_output_is_begun_if_every_c_file_fails(project: Path) -> None:
    lay(project, {"main.c": BAD})
    assert run(project / "main.c", "-o", "out") == 1
    assert not Path("out").exists()
    lay(project, {"main.c": MAIN})
    assert run(project / "main.c", "-o", "out") == 0
    lay(project, {"main.c": BAD})
    assert run(project / "main.c", "-o", "out") == 1
    assert not Path("out/main.c").exists() and Path("out/ops.h").exists()


def test_a_build_of_the_tree_stops_at_a_failed_file(project: Path) -> None:
    lay(project, {"bad.c": BAD})
    assert run(project, "-o", "out", "-q") == 1
    text = "include ../out/static_call/static_call.mk\nx: $(STATIC_CALL_SRCS)\n"
    lay(Path("m"), {"Makefile": text})
    done = subprocess.run(["make", "-C", "m", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "bad.c" in done.stderr


def test_questions_about_a_tree_with_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "-o", "out", "-q")
    before = times(Path("out"))
    lay(project, {"bad.c": BAD, "more.c": MAIN})
    capsys.readouterr()
    assert run(project, "-o", "out", "--check") == 1
    err = capsys.readouterr().err
    assert "[IN002]" in err and "would write more.c" in err and "would write bad.c" not in err
    assert run(project, "-o", "out", "--dry-run") == 1
    assert "would remove static_call/stamp" in capsys.readouterr().err
    assert run(project, "--diff") == 1
    streams = capsys.readouterr()
    assert "+++ p r/more.c" in streams.out and "bad.c" not in streams.out
    assert "p r/bad.c:3:1: error:" in streams.err
    assert run(project, "--json", "-q") == 1
    streams = capsys.readouterr()
    value = json.loads(streams.out)
    assert value["failed"] == ["bad.c"] and "bad.c" not in value["rewritten"]
    assert {token["path"] for token in value["tokens"]} == {"main.c", "more.c"}
    finding = {"code": "IN002", "message": "bad is not declared", "path": "bad.c", "line": 3, "column": 1}
    assert value["findings"] == [finding | {"notes": [], "fix": None}]
    assert times(Path("out")) == before
    # A tree that is up to date but for the error is not fine.
    assert run(project, "-o", "out", "-q") == 1
    assert run(project, "-o", "out", "--check") == 1


def test_a_named_file_without_calls_that_cannot_be_preprocessed_fails(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(project, {"ops.c": "#error told so\n" + OPS})
    assert run(project / "main.c", project / "ops.c", "-o", "out") == 1
    assert "p r/ops.c:1:2: error:" in capsys.readouterr().err
    assert Path("out/main.c").exists() and not Path("out/ops.c").exists()


def test_a_bug_of_ours_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay(project, {"main.c": MAIN.replace("(go)", "(crash)")})
    assert run(project, "-o", "out") == 2
    err = capsys.readouterr().err
    assert err == "instrument: error: internal error: RuntimeError: a bug of ours; -v shows where\n"
    assert run(project, "-o", "out", "-v") == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_130(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(options: object, found: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", interrupt)
    assert run(project, "-o", "out") == 130


def test_a_reader_that_leaves_is_no_finding(project: Path, runtime: Path) -> None:
    lay(project, {f"many{n}.c": MAIN for n in range(300)})
    child = subprocess.Popen([*fakes.command(runtime), project, "--diff", "-q"], stdout=-1, stderr=-1)
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    assert child.wait() == 128 + signal.SIGPIPE
    child.stderr.close()


def test_a_full_stdout_is_an_error(project: Path, runtime: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*fakes.command(runtime), project, "--json"], stdout=full, stderr=-1, check=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["--version", "p?r --json", "explain"])
def test_a_closed_or_full_stdout_is_2(project: Path, runtime: Path, words: str) -> None:
    command = " ".join(f"'{word}'" for word in fakes.command(runtime)) + f" {words}"
    for shell in (f"{command} >&-", f"{command} >/dev/full"):
        done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cleans_up(project: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    cleaned: list[int] = []
    signal.signal(number, signal.SIG_DFL)  # under nohup it is ignored, and stays so

    def run_until_stopped(options: object, found: object) -> None:
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append(number)

    monkeypatch.setattr(pipeline, "run", run_until_stopped)
    assert run(project, "-o", "out") == 128 + number
    assert cleaned == [number] and signal.getsignal(number) == signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_whole_files(project: Path, runtime: Path, number: int) -> None:
    lay(project, {f"m{n}.c": MAIN + f"/* {n:1000} */\n" for n in range(200)})
    before = contents(project)
    whole = {MAIN.replace("static_call(go)", "fake_go").replace("static_call.h", "static_call/static_call.h")}
    for delay in (0.2, 0.25, 0.3, 0.35, 0.4):
        child = subprocess.Popen([*fakes.command(runtime), project, "-o", "out"], stderr=subprocess.DEVNULL)
        time.sleep(delay)
        child.send_signal(number)
        assert child.wait() in (0, -number, 130)
        for path in Path("out").glob("m[0-9]*.c"):
            assert path.read_text().partition("/*")[0] in whole
            assert path.read_text().endswith("*/\n")
    assert contents(project) == before
    assert run(project, "-o", "out", "-q") == 0
    assert not list(Path("out").rglob("*instrument-tmp"))


# ---- small questions ------------------------------------------------------------------------------


def test_paths_for_build_files(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cflags", "--libs") == 0
    assert capsys.readouterr().out == f"-I{runtime}/include {runtime}/static_call_runtime.c -pthread\n"
    assert run("--makefile") == 0
    assert Path(capsys.readouterr().out.strip()).is_file()
    assert run("--version") == 0
    assert capsys.readouterr().out == f"instrument {instrument.__version__}\n"


@pytest.mark.parametrize(
    ("word", "file"),
    [("--cmakedir", "StaticCallConfig.cmake"), ("--pkgconfigdir", "staticcall.pc"), ("--bazeldir", "BUILD.bazel")],
)
def test_paths_for_build_systems(capsys: pytest.CaptureFixture[str], word: str, file: str) -> None:
    assert run(word) == 0
    assert Path(capsys.readouterr().out.removesuffix("\n"), file).is_file()


@pytest.mark.parametrize("file", ["cmake/StaticCallConfigVersion.cmake", "pkgconfig/staticcall.pc", "MODULE.bazel"])
def test_build_systems_are_told_the_same_version(file: str) -> None:
    found = re.search(r'(?im)^[^_]*\b(?:package_)?version\b[ =:]*"?(\d[\d.]*)', (paths.C_RUNTIME / file).read_text())
    assert found and found[1] == instrument.__version__


@pytest.mark.parametrize("word", questions.QUESTIONS)
def test_small_questions_import_next_to_nothing(word: str) -> None:
    program = (
        "import sys; from instrument.cli import main; assert main(sys.argv[1:]) == 0\n"
        "heavy = {'argparse', 'dataclasses', 'json', 'jinja2', 'tree_sitter', 'subprocess', 'instrument.model'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, word], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "in022") == 0
    assert capsys.readouterr().out.startswith("IN022: the function is variadic (a reason for a lower form)\n\nA vari")
    assert run("explain") == 0
    assert len(capsys.readouterr().out.splitlines()) > 20


def test_a_tree_without_calls_imports_no_heavy_step(tmp_path: Path) -> None:
    lay(tmp_path / "in", {f"{n}.c": "int x;\n" for n in range(20)})
    program = (
        "import sys; from instrument.cli import main; assert main(sys.argv[1:]) == 0\n"
        "heavy = {'tree_sitter', 'elftools', 'pycparser', 'instrument.resolve', 'instrument.plan'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-q"]
    assert subprocess.run(words, capture_output=True, text=True, check=False).stderr == ""


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'elftools'", name="elftools")

    monkeypatch.setattr(cli, "_command", absent)
    assert run("inspect", "program") == 2
    assert capsys.readouterr().err.endswith("has no module 'elftools'; `instrument doctor` tells what to install\n")
