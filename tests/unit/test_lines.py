# SPDX-License-Identifier: MIT
"""Line tables, held against addr2line's reading of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from instrument import image, lines
from tests.toolchain import run

CODE = """\
#include "twice.h"
#define LOTS(n) int f##n(int x) { \\
	for (int i = 0; i < x; i++) \\
		x += twice(i) / (n + 1); \\
	return x; }
LOTS(1) LOTS(2)

int f3(int x)
{
	if (x > 4)
		return twice(x);

	return f1(x) + f2(x);
}
int main(int argc, char **argv) { return f3(argc) + !argv; }
"""
# Behind a jump whose length gas does not know yet it sets the address anew, in the middle of a sequence.
JUMPS = """
int puts(const char *);
int g1(const char *x) { if (*x > 3) return puts(x); return x[1]; }

int g2(const char *x)
{
	return x[2];
}
"""
BUILDS = [
    ("gcc-12", "-gdwarf-2"),
    ("gcc-12", "-gdwarf-3"),
    ("gcc-12", "-gdwarf-4", "-ffunction-sections"),
    ("gcc-12", "-gdwarf-5"),
    ("gcc-12", "-gdwarf-5", "-O2"),
    ("clang-16", "-gdwarf-4"),
    ("clang-16", "-gdwarf-5", "-ffunction-sections"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "twice.h").write_text("static inline int twice(int x)\n{\n\treturn 2 * x;\n}\n")
    (tmp_path / "code.c").write_text(CODE + JUMPS)
    return tmp_path


@pytest.mark.parametrize("build", BUILDS, ids="-".join)
def test_as_addr2line_reads_them(build: tuple[str, ...], folder: Path) -> None:
    run([build[0], "-O1", *build[1:], "-Isub", "code.c", "-o", "prog"])
    found = image.load("prog", (folder / "prog").read_bytes())
    text = next(section for section in found.sections if section.name == ".text")
    wanted = random.Random(1).sample(range(text.start, text.end), 150)
    told = run(["addr2line", "-e", "prog", *map(hex, wanted)]).splitlines()
    known = lines.places(lines.of(found.debug), wanted)
    agreed = 0
    for address, line in zip(wanted, told, strict=True):
        file, _, number = line.partition(" ")[0].rpartition(":")
        if number in ("?", "0"):
            assert address not in known
        else:
            mine = known[address]
            assert (Path(mine[0]).name, mine[1]) == (Path(file).name, int(number)), hex(address)
            assert (folder / mine[0]).samefile(file)
            agreed += 1
    assert agreed > 40


def test_an_object_knows_the_same_lines(folder: Path) -> None:
    run(["gcc-12", "-g", "-O1", "-ffunction-sections", "-Isub", "-c", "code.c"])
    found = image.load("code.o", (folder / "code.o").read_bytes())
    for name, line in (("f1", 6), ("f3", 9), ("main", 15)):
        section = next(section for section in found.sections if section.name == f".text.{name}")
        assert lines.places(lines.of(found.debug), [section.start]) == {section.start: ("code.c", line)}
        assert found.place(section.start) == name and found.place(section.start + 1) == f"{name}+0x1"


def test_damage_knows_nothing(folder: Path) -> None:
    run(["gcc-12", "-g", "-O1", "-Isub", "code.c", "-o", "prog"])
    found = image.load("prog", (folder / "prog").read_bytes())
    tables = lines.of(found.debug)
    text = next(section for section in found.sections if section.name == ".text")
    wanted = range(text.start, text.end)
    chance = random.Random(2)
    assert lines.places(tables, wanted)
    for _ in range(60):
        line = bytearray(tables.line)
        for _ in range(8):
            line[chance.randrange(len(line))] = chance.randrange(256)
        cut = bytes(line[: chance.randrange(len(line))])
        lines.places(lines.Sections(cut, tables.line_str[: chance.randrange(200)], tables.str), wanted)
    assert lines.places(lines.Sections(b""), wanted) == {}
