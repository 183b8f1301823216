# SPDX-License-Identifier: MIT
"""Calls through a register that holds a trampoline's address for a whole function."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from instrument.assembly import Why, prepare
from instrument.hoisted import lowered
from tests.toolchain import INCLUDE

BEGIN = "\t.text\n\t.type\tf, @function\nf:\n\tpushq\t%rbx\n"
LOAD = "\tmovq\t__SCT__k@GOTPCREL(%rip), %rbx\n"
END = "\tpopq\t%rbx\n\tret\n\t.size\tf, .-f\n"

SOURCE = """\
#include <static_call.h>
int f(int);
DECLARE_STATIC_CALL(k, f);
DECLARE_STATIC_CALL(l, f);
int two(int x) { return static_call(k)(x + 1) + static_call(k)(3); }
int loop(int n) { int s = 0; for (int i = 0; i < n; i++) s += static_call(k)(i) * static_call(l)(s); return s; }
"""


@pytest.mark.parametrize(
    ("cc", "flags"),
    [
        ("clang-14", "-O2 -fno-plt"),
        ("clang-19", "-Os -fno-plt -fPIC -masm=intel"),
        ("gcc-12", "-O2 -g -fno-plt -mindirect-branch=thunk"),
    ],
)
def test_compilers_that_load_the_address_once(cc: str, flags: str, tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(SOURCE)
    command = [cc, *flags.split(), "-DSTATIC_CALL_DIRECT", INCLUDE, "-S", "-o", "-", str(tmp_path / "a.c")]
    text = subprocess.run(command, check=True, capture_output=True).stdout
    done = prepare(text, "aligned")
    assert [site.key for site in done.sites] == ["k", "k", "k", "l"]
    assert not done.left
    assert b"@GOTPCREL(%rip), %rb" not in done.text
    assert lowered(text).count(b"\n") == text.count(b"\n")


@pytest.mark.parametrize(
    "call", ["call\t*%rbx", "callq\t*%rbx # y", "notrack call\t*%rbx", "call\t__x86_indirect_thunk_rbx"]
)
def test_each_call_is_one_of_the_trampoline(call: str) -> None:
    text = BEGIN + LOAD + f"\t{call}\n\tcall\tg\n\t{call}\n" + END
    assert len(prepare(text.encode(), "bare").sites) == 2


@pytest.mark.parametrize(
    "between",
    [
        "\tmovl\t$1, %ebx\n",
        "\tmovb\t$1, %bl\n",
        "\tmovq\t%rbx, %rdi\n",
        "\tmovq\t__SCT__other@GOTPCREL(%rip), %rbx\n",
        "\tmovq\tother@GOTPCREL(%rip), %rbx\n",
        "\tje\t__x86_indirect_thunk_rbx\n",
        "#APP\n\tcpuid\n#NO_APP\n",
        "\tret\n\t.section\t.text.unlikely\nf.cold:\n\tmovl\t$1, %ebx\n",
    ],
)
def test_where_something_else_may_be_called(between: str) -> None:
    text = (BEGIN + LOAD + "\tcall\t*%rbx\n" + between + "\tcall\t*%rbx\n" + END).encode()
    assert lowered(text) == text
    done = prepare(text, "aligned")
    assert not done.sites
    assert {left.why for left in done.left} == {Why.ADDRESS}


def test_other_functions_are_left_alone() -> None:
    text = (LOAD + "\tcall\t*%rbx\n" + BEGIN + "\tcall\t*%rbx\n" + END + LOAD).encode()
    assert lowered(text) == text
