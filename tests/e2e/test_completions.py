# SPDX-License-Identifier: MIT
"""Completions, by the shells themselves, and the manual pages, by mandoc."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from instrument import completions, manual
from instrument.commands import COMMANDS
from tests.toolchain import attempt, run

CASES = {
    "instrument insp": {"inspect"},
    "instrument cc --mo": {"--mode"},
    "instrument cc --mode ": {"inline-asm", "trampoline", "direct"},
    "instrument src --lay": {"--layout"},
    "instrument src --layout c": {"compact"},
    "instrument inspect --pat": {"--patched-only"},
    "instrument inspect --sort fi": {"file"},
    "instrument explain IN00": {f"IN00{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9)},
    "instrument completions z": {"zsh"},
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completions")
    for shell in ("bash", "zsh", "fish"):
        (folder / shell).write_text(run([sys.executable, "-m", "instrument", "completions", shell]))
    return folder


@pytest.mark.parametrize("line", CASES)
def test_bash_completes(line: str, scripts: Path, tmp_path: Path) -> None:
    words = line.split(" ")
    program = (
        f"source {scripts / 'bash'}; COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; "
        '_instrument; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert set(run(["bash", "-c", program], cwd=tmp_path).split()) == CASES[line]


@pytest.mark.parametrize("line", CASES)
def test_fish_completes(line: str, scripts: Path, tmp_path: Path) -> None:
    told = run(
        ["fish", "-N", "-c", f"source {scripts / 'fish'}; complete -C '{line}'"], cwd=tmp_path, HOME=str(tmp_path)
    )
    assert {word.partition("\t")[0] for word in told.splitlines()} == CASES[line]


def test_zsh_takes_the_script(scripts: Path, tmp_path: Path) -> None:
    program = f"autoload -U compinit; compinit -D -u; source {scripts / 'zsh'}; "
    program += "print $_comps[instrument]; which _instrument_cc"
    said = run(["zsh", "-fc", program], cwd=tmp_path, HOME=str(tmp_path))
    assert (
        said.startswith("_instrument\n")
        and "--mode=[how calls are made]:value:(inline-asm trampoline direct)" in said
    )
    assert attempt(["zsh", "-n", scripts / "zsh"]).stderr == ""


def test_bash_takes_a_value_behind_an_equals_sign_and_names_with_blanks(scripts: Path, tmp_path: Path) -> None:
    """As it calls us itself: with --mode=d as three words."""
    for folder in ("my dir", "your dir"):
        (tmp_path / folder).mkdir()
    for words, wanted in (
        ("--mode = d", {"direct"}),
        ("cc --layout =", {"aligned", "compact", "bare"}),
        ("-o my", {"my dir"}),
        ("--output-dir = y", {"your dir"}),
        ("cc -- aarch64-linux-gnu-gcc-1", {"aarch64-linux-gnu-gcc-12"}),
    ):
        program = f"source {scripts / 'bash'}; COMP_WORDS=(instrument {words}); COMP_CWORD={len(words.split())}; "
        program += '_instrument; printf "%s\\n" "${COMPREPLY[@]}"'
        assert set(run(["bash", "-c", program], cwd=tmp_path).splitlines()) == wanted


def test_behind_the_dashes_the_words_are_the_compilers(scripts: Path) -> None:
    program = f"source {scripts / 'bash'}; COMP_WORDS=(instrument cc -- gcc -); COMP_CWORD=4; "
    program += "_instrument; echo ${#COMPREPLY[@]}"
    assert run(["bash", "-c", program]) == "0\n"


def test_every_option_is_completed(scripts: Path) -> None:
    for command in completions.described():
        for option in command.options:
            for flag in option.flags:
                for shell in ("bash", "zsh", "fish"):
                    spelt = f"-l {flag[2:]}" if shell == "fish" and flag.startswith("--") else flag.lstrip("-")
                    assert spelt in (scripts / shell).read_text(), (command.name, flag, shell)


def test_there_is_a_page_for_each_command_and_mandoc_finds_no_fault(tmp_path: Path) -> None:
    run([sys.executable, "-m", "instrument.manual", tmp_path])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(["instrument.1", *(f"instrument-{name}.1" for name in COMMANDS)])
    # A missing date is meant.
    done = attempt(["mandoc", "-T", "lint", "-W", "warning", *sorted(tmp_path.iterdir())])
    faults = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert not faults
    text = re.sub(".\b", "", run(["mandoc", "-T", "utf8", tmp_path / "instrument-cc.1"]))
    assert "\nEXIT STATUS\n" in text and "--mode {inline-asm,trampoline,direct}" in text
    for variable in ("INSTRUMENT_STRICT", "INSTRUMENT_CC", "TMPDIR", "NO_COLOR"):
        assert re.search(rf"^ {{5,}}{variable}\b", text, re.MULTILINE), variable
    assert manual.pages() == {path.name: path.read_text() for path in tmp_path.iterdir()}


def test_help_completions_and_manual_pages_need_no_package(tmp_path: Path) -> None:
    """As in a package's build, where Python is all there is."""
    program = (
        "import sys\n"
        "for name in ('elftools', 'tree_sitter', 'tree_sitter_c', 'pycparser', 'jinja2', 'capstone'):\n"
        "    sys.modules[name] = None\n"
        "from instrument import cli, commands, manual\n"
        "manual.main(sys.argv[1])\n"
        "sys.exit(cli.main(['completions', 'zsh']) or any(cli.main([n, '--help']) for n in commands.COMMANDS))\n"
    )
    run([sys.executable, "-c", program, tmp_path])
    assert len(list(tmp_path.glob("*.1"))) == 1 + len(COMMANDS)
