# SPDX-License-Identifier: MIT
"""The README and the pages of the copy and of troubles, followed: their commands work, their symptoms are those."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from instrument.commands import COMMANDS
from tests.toolchain import ROOT, attempt

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
README = (ROOT / "README.md").read_text()
HEADER = "#include <static_call.h>\nint plain(int x);\nDECLARE_STATIC_CALL(op, plain);\n"
OP = '#include "op.h"\nint plain(int x) { return x; }\nDEFINE_STATIC_CALL(op, plain);\n'
MAIN = '#include "op.h"\nint main(void)\n{\n\treturn static_call_update(op, plain) || static_call(op)(0);\n}\n'


def shell(script: str, folder: Path) -> tuple[int, str]:
    done = attempt(["sh", "-c", script], folder, PATH=PATH, MAKEFLAGS="", CC="cc")
    return done.returncode, done.stderr + done.stdout


def commands(text: str, first: str) -> str:
    """The indented block that begins so."""
    (block,) = re.findall(rf"^    {re.escape(first)}.*\n(?:    .*\n)*", text, re.MULTILINE)
    return "set -e\n" + re.sub(r"^ {4}", "", block, flags=re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in (("include/op.h", HEADER), ("src/op.c", OP), ("src/main.c", MAIN)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("first", ["instrument hook.c", "instrument cc -- gcc -O2"])
def test_the_example(tmp_path: Path, first: str) -> None:
    (source,) = re.findall(r"^```c\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "hook.c").write_text(source)
    status, said = shell(commands(README, first) + "./hook\n", tmp_path)
    assert (status, said.splitlines()[-2:]) == (0, ["hello, world", "goodbye, world"]), said
    assert "*hello, world* and *goodbye, world*" in README
    assert "call sites, 0 calls left" in shell("instrument inspect hook", tmp_path)[1]


def test_link_time_optimisation(tmp_path: Path) -> None:
    (source,) = re.findall(r"^```c\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "hook.c").write_text(source)
    page = (ROOT / "docs" / "build-systems.md").read_text()
    assert shell(commands(page, "instrument cc --mode direct -- gcc -O2 -flto"), tmp_path)[0] == 0
    counted = "gcc -flto hook.o $(instrument --libs) -o by-gcc && instrument inspect hook by-gcc"
    said = shell(counted, tmp_path)[1]
    assert "hook: program, 1 key, 2 call sites, 0 calls left" in said
    assert "by-gcc: program, 1 key, 0 call sites, 2 calls left" in said


@pytest.mark.parametrize("page", ["README.md", "docs/copy.md"])
def test_a_copy(project: Path, page: str) -> None:
    script = re.sub(r" +# .*", "", commands((ROOT / page).read_text(), "instrument src include"))
    assert shell(script + "./program\n", project)[0] == 0
    assert ": program, 1 key, 1 call site," in shell("instrument inspect program", project)[1]


def test_every_command_is_in_the_readme() -> None:
    named = set(re.findall(r"`(?:instrument )?([a-z]+) [A-Zaos][^`]*`", README)) | set(
        re.findall(r"`instrument ([a-z]+)`", README)
    )
    assert set(COMMANDS) - {"cc"} <= named


# What troubleshooting.md says of links: what is wrong, how it comes about.
WRONG = {
    "__static_call_rt_register": "cc -Iout/include $C out/src/*.c -o p",
    "__SCK__op": "cc -Iout/include $C out/src/main.c $L -o p",
    "__SCT__op": "cc -Iout/include $C -c out/src/main.c && cc -Iinclude $C -c src/op.c && cc main.o op.o $L -o p",
    "__SCW__op": "cc -Iinclude $C out/src/*.c $L -o p",
}


@pytest.mark.parametrize("symbol", WRONG)
def test_what_does_not_link(project: Path, symbol: str) -> None:
    prepared = "C=$(instrument --cflags) L=$(instrument --libs)\ninstrument src include -o out -q -- -Iinclude\n"
    status, said = shell(prepared + WRONG[symbol], project)
    undefined = set(re.findall(r"undefined reference to `(\w+)'", said))
    assert status and symbol in undefined
    assert symbol != "__SCT__op" or undefined == {"__SCT__op"}
    assert f"`{symbol.replace('__op', '__key')}`" in (ROOT / "docs" / "troubleshooting.md").read_text()


def test_without_the_tool_nothing_is_patched(project: Path) -> None:
    """As troubleshooting.md says of taking it out again: the same sources, the header alone, no runtime."""
    assert shell("cc -O2 -Iinclude $(instrument --cflags) src/*.c -o p && ./p", project) == (0, "")
    assert "no static calls" in shell("instrument inspect p", project)[1]


def test_every_variable_is_in_the_reference() -> None:
    tool = "".join(path.read_text() for path in (ROOT / "instrument").rglob("*.py"))
    names = {*re.findall(r'environ(?:\.get)?[\[(]"([A-Z_]+)"', tool)} | {"INSTRUMENT_CC"}
    names |= {*re.findall(r'"(STATIC_CALL_[A-Z]+)"', (ROOT / "c_runtime" / "src" / "policy.c").read_text())}
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert len(names) >= 9
    assert not [name for name in names if not re.search(rf"`{name}[`=]", page)]
