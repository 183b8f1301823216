# SPDX-License-Identifier: MIT
"""Where settings come from, whose value wins, and what is said of one that cannot be used."""

from __future__ import annotations

import json
import os
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from instrument import ccparser, ccwords, cli, launcher, options, settings
from instrument.commands import COMMANDS, RUN
from tests.toolchain import INCLUDE, attempt, instrument
from tests.unit.fakes import lay

KEY = "#include <static_call.h>\nint add(int);\nDECLARE_STATIC_CALL(op, add);\n"
CALL = KEY + "int f(void) { return static_call(op)(1); }\n"
WIDE = CALL.replace("add(int)", "add(int, ...)")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in settings.SETTINGS:
        monkeypatch.delenv(settings.variable(name), raising=False)
    return tmp_path


def run(*words: str) -> int:
    return cli.main(list(words))


def test_the_nearest_file_is_read_alone(here: Path) -> None:
    lay(here, {".instrument.toml": 'mode = "direct"\njobs = 3\n', "a/pyproject.toml": "[tool.ruff]\n", "a/b/x.c": ""})
    found = settings.find("a/b")
    assert found and Path(found.path) == here / ".instrument.toml" and found.values == {"mode": "direct", "jobs": 3}
    lay(here, {"a/pyproject.toml": '[tool.instrument]\nlayout = "compact"\nflags = ["-DX"]\n'})
    found = settings.find("a/b")
    assert found and found.values == {"layout": "compact", "flags": ("-DX",)} and found.lines["flags"] == 3
    lay(here, {"a/.instrument.toml": "quiet = true\n"})
    found = settings.find("a/b")
    assert found and found.values == {"quiet": True}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (".instrument.toml", "# one\nlayuot = 1\n", ".instrument.toml:2:1: error: "
         "unknown setting 'layuot'; did you mean layout? "),
        (".instrument.toml", "mode = 'directly'\n", ".instrument.toml:1:1: error: "
         "mode: takes one of inline-asm, trampoline, direct, not 'directly'; did you mean direct? "),
        (".instrument.toml", "jobs = true\n", ".instrument.toml:1:1: error: "
         "jobs: takes a number that is at least 1, not true "),
        (".instrument.toml", "\nflags = '-O2'\n", ".instrument.toml:2:1: error: "
         "flags: takes a list of strings, not '-O2' "),
        (".instrument.toml", "mode = \n", ".instrument.toml:1:8: error: invalid value "),
        (".instrument.toml", "[tool.instrument]\n", ".instrument.toml:1:1: error: "
         "unknown setting 'tool'; in .instrument.toml settings stand without a table "),
        (".instrument.toml", "flags = ['a', 'b\\u0000']\n".replace("'", '"'), ".instrument.toml:1:1: error: "
         "flags: takes a list of strings, not ['a', 'b\\x00'] "),
        (".instrument.toml", '"\\u001b[31m" = 1\n', ".instrument.toml:1:1: error: unknown setting '\\x1b[31m' "),
        (".instrument.toml", 'layout = "bare"\n', "instrument: error: layout bare (.instrument.toml:1) is for --mode "
         "direct: what instrument writes itself has prefixes "),
        ("pyproject.toml", "[tool.other]\nstrikt = 1\n[tool.instrument]\nstrikt = 1\n",
         "pyproject.toml:4:1: error: unknown setting 'strikt'; did you mean strict? "),
        ("pyproject.toml", "[tool]\ninstrument = 1\n", "pyproject.toml:2:1: error: [tool.instrument] is no table "),
        ("pyproject.toml", "[tool]\nx.jobs = 1\n'instrument' . jobs = 0\n", "pyproject.toml:3:1: error: "
         "jobs: takes a number that is at least 1, not 0 "),
        ("pyproject.toml", "[project]\nname = 'x'\n[tool]\ninstrument = {jobs = 0}\n", "pyproject.toml:4:1: error: "
         "jobs: takes a number that is at least 1, not 0 "),
        ("pyproject.toml", "[tool.instrument.log]\nx = 1\n", "pyproject.toml:1:1: error: "
         "log: takes a path, not {'x': 1} "),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used(
    name: str, text: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(here, {name: text, "a.c": "int x;\n"})
    assert run("a.c", "-o", "out") == 2 and not Path("out").exists()
    assert capsys.readouterr().err == f"{said}[IN016]\n"
    assert run("config") == 2
    assert run("a.c", "-o", "out", "--isolated") == 0


def test_what_editors_and_others_put_there(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    Path(".instrument.toml").write_bytes(b'\xef\xbb\xbfmode = "direct"\r\nlog = "~/log"\r\n')
    found = settings.find(".")
    assert found and found.values == {"mode": "direct", "log": "/home/me/log"} and found.lines["log"] == 2
    Path(".instrument.toml").write_bytes(b'mode = "direct"\nlog = "\xff"\n')
    with pytest.raises(settings.SettingError, match="not UTF-8") as told:
        settings.find(".")
    assert (told.value.line, told.value.column) == (2, 8)
    Path(".instrument.toml").unlink()
    os.mkfifo(".instrument.toml")
    with pytest.raises(settings.SettingError, match=r"cannot read \.instrument\.toml: it is no regular file"):
        settings.find(".")


def test_a_table_whose_name_is_misspelt_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay(here, {"pyproject.toml": '[tool.ruff]\n[tool.instrumnt]\nmode = "direct"\n', "sub/a.c": ""})
    said = "pyproject.toml: [tool.instrumnt] is not read; did you mean [tool.instrument]?"
    assert run("config", "sub") == 0 and capsys.readouterr().err == f"instrument: warning: {said} [IN016]\n"
    assert f"configuration       note   {said}\n" in instrument("doctor").stdout
    assert run("config", "--isolated") == 0 and not capsys.readouterr().err


def test_a_working_directory_that_is_gone_is_told(here: Path) -> None:
    lay(here, {"a.c": CALL})
    for words in (("config",), (f"{here}/a.c", "-n"), ("doctor",), ("cc", "--", "gcc", INCLUDE, "-c", f"{here}/a.c")):
        command = [sys.executable, "-m", "instrument", *words]
        program = f"import os; os.mkdir('x'); os.chdir('x'); os.rmdir('../x'); os.execv({command[0]!r}, {command})"
        done = attempt([sys.executable, "-c", program])
        said = "instrument: error: the working directory is not there any more\n"
        assert (done.returncode, done.stderr) == (2, said), words


def test_whose_value_wins(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lay(
        here,
        {
            "src/.instrument.toml": 'mode = "direct"\nstrict = true\njobs = 7\nroot = "."\nlog = "log"\n',
            "src/a.c": "",
        },
    )
    monkeypatch.setenv("INSTRUMENT_STRICT", "0")
    monkeypatch.setenv("INSTRUMENT_JOBS", "5")
    monkeypatch.setenv("INSTRUMENT_CC", "--strict --layout=bare")
    assert run("config", "src", "-j", "3", "--json", "--", "-DX") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"]["mode"] == {"value": "direct", "origin": "src/.instrument.toml:1"}
    assert told["run"]["strict"] == {"value": False, "origin": "INSTRUMENT_STRICT"}
    assert told["run"]["jobs"] == {"value": 3, "origin": "command line"}
    assert told["run"]["root"] == {"value": "src", "origin": "src/.instrument.toml:4"}
    assert told["run"]["flags"] == {"value": ["-DX"], "origin": "command line"}
    assert told["run"]["layout"] == {"value": "aligned", "origin": "default"}
    assert told["cc"]["strict"] == {"value": True, "origin": "INSTRUMENT_CC"}
    assert told["cc"]["layout"] == {"value": "bare", "origin": "INSTRUMENT_CC"}
    assert told["cc"]["log"] == {"value": "src/log", "origin": "src/.instrument.toml:5"}
    monkeypatch.setenv("INSTRUMENT_JOBS", "many")
    with pytest.raises(settings.SettingError, match="INSTRUMENT_JOBS=many: takes a number"):
        settings.settle(("jobs",), {}, None)


def test_every_setting_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config") == 0
    out = capsys.readouterr().out
    assert {*settings.RUN, *settings.LAUNCHER} == settings.SETTINGS.keys()
    assert all(f"\n{name} = " in out for name in settings.SETTINGS)


def test_the_run_does_as_the_file_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = 'output-dir = "out"\nmode = "trampoline"\nexclude = ["src/gen/", "*.tmp.c"]\n'
    toml += 'flags = ["-DWANTED=op"]\nquiet = true\n'
    text = CALL.replace("static_call(op)", "static_call(WANTED)")
    bad = "#include <static_call.h>\nint broken( {\n"
    lay(here, {"top/.instrument.toml": toml, "top/src/a.c": text, "top/src/gen/b.c": bad, "top/src/x.tmp.c": bad,
               "top/src/more/gen/c.c": "int c;\n"})  # fmt: skip
    assert run("top/src", "--depfile", "d") == 0
    assert capsys.readouterr().err == ""
    names = {path.relative_to("top/out").as_posix() for path in Path("top/out").rglob("*.c")}
    assert {name for name in names if not name.startswith("static_call/")} == {"a.c", "more/gen/c.c"}
    assert "trampoline" in Path("top/out/static_call/static_call.h").read_text()
    assert "top/.instrument.toml" in Path("d").read_text()
    assert run("top", "--exclude", "out", "--exclude", "gen", "--exclude", "*.tmp.c", "-o", "top/out/2") == 0
    assert Path("top/out/2/src/a.c").is_file() and not Path("top/out/2/out").exists()
    assert run("top/src", "--exclude", "more") == 1 and "gen/b.c:2:" in capsys.readouterr().err
    assert (
        run("top/src", "--no-quiet", "--exclude", "more", "--exclude", "g*n", "--exclude", "src/x*", "--root", "top")
        == 1
    )
    assert "x.tmp.c" in capsys.readouterr().err


def test_the_launcher_reads_the_file_above_the_source(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(here, {"p/.instrument.toml": 'strict = true\nlog = "log"\n', "p/s/a.c": WIDE, "p/s/plain.c": "int x;\n"})
    compile_ = ("cc", "--", "gcc", INCLUDE, "-c")
    done = instrument(*compile_, "p/s/a.c")
    assert done.returncode == 1 and "[IN022]" in done.stderr
    done = instrument("cc", "--no-strict", "--", "gcc", INCLUDE, "-c", "p/s/a.c")
    assert (done.returncode, done.stderr) == (0, "") and json.loads(Path("p/log").read_text())["sources"] == [
        "p/s/a.c"
    ]
    assert instrument(*compile_, "p/s/a.c", INSTRUMENT_CC="--no-strict").returncode == 0
    assert instrument(*compile_, "p/s/a.c", INSTRUMENT_STRICT="false").returncode == 0
    assert instrument("cc", "--isolated", "--", "gcc", INCLUDE, "-c", "p/s/a.c").returncode == 0
    lay(here, {"p/.instrument.toml": "strickt = true\n"})
    done = instrument(*compile_, "p/s/a.c")
    said = "instrument: error: p/.instrument.toml:1: unknown setting 'strickt'; did you mean strict? [IN016]\n"
    assert (done.returncode, done.stderr) == (2, said)
    assert instrument(*compile_, "p/s/plain.c").returncode == 0


def test_a_variable_that_nobody_knows_is_a_warning(here: Path) -> None:
    lay(here, {"a.c": "int x;\n"})
    done = instrument("a.c", "-o", "out", INSTRUMENT_MOD="direct", INSTRUMENT_CC="--strict")
    said = "instrument: warning: nobody knows the variable INSTRUMENT_MOD; did you mean INSTRUMENT_MODE? [IN016]\n"
    assert done.returncode == 0 and done.stderr.startswith(said)
    assert instrument("config", INSTRUMENT_MOD="direct").stderr == said
    lay(here, {"call.c": CALL})
    compile_ = ("cc", "--", "gcc", INCLUDE, "-c")
    assert instrument(*compile_, "call.c", INSTRUMENT_MOD="direct").stderr == said
    assert instrument(*compile_, "a.c", INSTRUMENT_MOD="direct").stderr == ""
    assert "FOO;" not in instrument("config", INSTRUMENT_FOO="1").stderr
    assert settings.OWN_VARIABLES == (launcher.DEFAULTS, launcher.ACTIVE)
    assert instrument("a.c", "-q", "-o", "out", INSTRUMENT_MOD="direct").stderr == ""


def test_a_directory_above_that_may_not_be_entered_is_no_error(here: Path) -> None:
    lay(here, {"a/b/x.c": "", ".instrument.toml": "jobs = 2\n"})
    found = settings.find(str(here / "a/b/none/at/all"))
    assert found and found.values == {"jobs": 2}


def test_exclude_patterns_are_held_against_names_or_paths(here: Path) -> None:
    assert options.anchored("*.c", "x") == "*.c" and options.anchored("gen/", "x") == "gen"
    assert options.anchored("/abs/*", "x") == "/abs/*"
    (here / "a[b]").mkdir()
    assert fnmatch(f"{here}/a[b]/src/gen", options.anchored("./src/g*", "a[b]"))


def test_a_word_in_the_environment_that_is_no_option_is_told_with_its_place(here: Path) -> None:
    for value, why in (
        ("--mdoe direct", "unknown option: --mdoe; did you mean --mode?"),
        ("mode direct", "'mode' is no option: the compiler is not named here"),
        ("--mode=dirct", "--mode takes one of inline-asm, trampoline, direct, not 'dirct'; did you mean direct?"),
    ):
        for command, code in (("config", " [IN016]"), ("cc", "")):
            done = instrument(command, "--", "true", INSTRUMENT_CC=value)
            said = f"instrument: error: INSTRUMENT_CC: {why}{code}\n"
            assert (done.returncode, done.stderr) == (2, said), (command, value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("x.c -o out --mode dirct",
         "argument --mode: takes one of inline-asm, trampoline, direct, not 'dirct'; did you mean direct?"),
        ("completions zhs", "argument SHELL: takes one of bash, zsh, fish, not 'zhs'; did you mean zsh?"),
        ("x.c --out x", "unknown option: --out; did you mean --output-dir?"),
        ("x.c -strict", "unknown option: -strict; did you mean --strict?"),
        ("x.c -I.", "unknown option: -I.; flags for the compiler go behind --"),
        ("doctor x", "one argument too many: x"),
        ("x.c", "no such file or command: x.c"),
        ("Doktor -o x", "no such file or command: Doktor; did you mean doctor?"),
        ("explain IN999", "no such code: IN999; `instrument explain` lists all"),
        ("explain 22", "no such code: 22; did you mean IN022?"),
    ],
)  # fmt: skip
def test_what_was_meant(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words.split()) == 2
    assert capsys.readouterr().err.endswith(f"error: {said}\n")


def test_the_launchers_help_and_its_own_reading_agree() -> None:
    known = {*ccwords.LAUNCHER_WITH_VALUE, *launcher.SWITCHES}
    assert set(ccparser.parser().flags()) == known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_what_was_meant(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [flag for flag in COMMANDS[name].options().flags() if len(flag) > 6]
    for flag in flags:
        wrong = flag[:4] + flag[5:]
        words = ["x"] if name in ("inspect", "report", "suggest") else ["1"] if name in ("ps", "trace") else []
        assert run(name, *words, wrong) == 2
        assert f"unknown option: {wrong}; did you mean --" in capsys.readouterr().err, wrong
    assert run("--modee=direct") == 2 and "did you mean --mode?" in capsys.readouterr().err
    assert run("exlpain", "IN001") == 2 and "did you mean explain?" in capsys.readouterr().err
    assert RUN.options().prog == "instrument"
