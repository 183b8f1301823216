# SPDX-License-Identifier: MIT
"""Colours and bars: on a terminal only, and only if they are wanted."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from io import StringIO
from itertools import count
from pathlib import Path
from typing import TextIO

import pytest

from instrument import terminal
from instrument.diagnostics import Finding
from instrument.model import Place

FINDING = Finding("IN002", "no key: note: it is", Place("a.c", 3, 2), notes=("one",), fix="another")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(terminal._State, "quiet", False)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_colours_change_no_letter() -> None:
    text = FINDING.render(" x: error: y")
    painted = terminal.painted(text)
    assert plain(painted) == text
    assert painted.split("\n")[0].startswith("\x1b[1ma.c:3:2:\x1b[0m \x1b[1;31merror:\x1b[0m no key: note: it is")
    assert painted.split("\n")[1] == text.split("\n")[1] and painted.count("\x1b[0m") == 5


def test_colours_are_for_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.coloured(Terminal()) and not terminal.coloured(StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.coloured(Terminal()) and terminal.moves(Terminal())
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.coloured(Terminal()) and not terminal.moves(Terminal())
    monkeypatch.setenv("TERM", "")
    assert not terminal.moves(Terminal())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert terminal.coloured(StringIO()) and not terminal.moves(StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.coloured(StringIO())


def test_a_bar_is_no_wider_than_the_terminal() -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    with os.fdopen(slave, "w") as stream:
        bar(stream, 3)
        drawn = os.read(master, 4096).decode()
    os.close(master)
    assert drawn.startswith("\rinstrument: files [####") and max(map(len, drawn.split("\r"))) == 29


def bar(stream: TextIO, seconds: float) -> str:
    """What is drawn for four items that come `seconds` apart."""
    clock = count(0.0, seconds / 2)
    assert list(terminal.tracked("abcd", 4, "files", lambda: next(clock), stream)) == list("abcd")
    return stream.getvalue() if isinstance(stream, StringIO) else ""


def test_a_bar_is_drawn_for_what_takes_longer_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bar(Terminal(), 0.1) == "" and bar(StringIO(), 5) == ""
    drawn = bar(Terminal(), 3)
    assert "\rinstrument: files [######..................] 1/4" in drawn and f"[{24 * '#'}] 4/4" in drawn
    assert drawn.endswith("\r") and not drawn.split("\r")[-2].strip()
    terminal.hush()
    assert bar(Terminal(), 3) == ""


def test_a_bar_is_taken_away_if_the_work_fails() -> None:
    stream, clock = Terminal(), count(0.0, 2.0)
    with pytest.raises(ZeroDivisionError):
        list(terminal.tracked((1 // n for n in (2, 1, 0)), 3, "files", lambda: next(clock), stream))
    assert "2/3" in stream.getvalue() and stream.getvalue().endswith(" \r")


@pytest.mark.parametrize(("env", "colours"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_the_command_on_a_terminal(env: dict[str, str], colours: bool, tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("#include <static_call.h>\nint f(void) { return static_call(no)(); }\n")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "instrument", "a.c", "-o", "out"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **env}, stderr=slave, stdout=slave, check=False)
    os.close(slave)
    said = os.read(master, 1 << 16).decode()
    os.close(master)
    assert done.returncode == 1 and ("\x1b[" in said) == colours and "a.c:2:22: error: " in plain(said)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\tb\u3000c\u00a0d\u200de \udcff", "a\tb\u3000c\u00a0d\u200de \udcff"),
        ("\x1b[2J\x07\x00\r\x7f\x9b", "<U+001B>[2J<U+0007><U+0000><U+000D><U+007F><U+009B>"),
        ("\u202a\u202e\u2066\u2069\u200f\u2028", "<U+202A><U+202E><U+2066><U+2069><U+200F><U+2028>"),
    ],
)
def test_what_steers_a_terminal_is_spelled_out(text: str, seen: str) -> None:
    assert terminal.visible(text) == seen
    place = Place(f"{text}.c", 1, len(text) + 1)
    lines = Finding("IN002", f"no {text}", place).render(f"{text}(x)").split("\n")
    assert lines[:2] == [f"{seen}.c:1:{len(text) + 1}: error: no {seen} [IN002]", f"  {seen}(x)"]
    assert lines[2] == "  " + "".join("\t" if c == "\t" else " " for c in seen) + "^"
