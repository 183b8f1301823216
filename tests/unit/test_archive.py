# SPDX-License-Identifier: MIT
"""Static libraries, made by ar and by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument.archive import DamagedError, is_archive, members
from tests.toolchain import run

LONG = "a_name_that_is_too_long_for_its_header.o"


def filled(folder: Path, *flags: str) -> bytes:
    for name in ("short.o", LONG):
        (folder / name).write_bytes(name.encode() * 3)
    run(["ar", *flags, "lib.a", "short.o", LONG], cwd=folder)
    return (folder / "lib.a").read_bytes()


@pytest.mark.parametrize("flags", [("rcs",), ("rcsT",)], ids=["plain", "thin"])
def test_members_by_name(flags: tuple[str, ...], tmp_path: Path) -> None:
    data = filled(tmp_path, *flags)
    assert is_archive(data)
    found = dict(members(str(tmp_path / "lib.a"), data))
    assert found == {name: name.encode() * 3 for name in ("short.o", LONG)}


def test_names_as_bsd_writes_them() -> None:
    name = b"long name.o\0"
    header = b"%-16s%-12s%-6s%-6s%-8s%-10d`\n" % (b"#1/12", b"0", b"0", b"0", b"644", len(name) + 3)
    assert list(members("x", b"!<arch>\n" + header + name + b"abc")) == [("long name.o", b"abc")]


def test_what_is_damaged(tmp_path: Path) -> None:
    data = filled(tmp_path, "rcs")
    with pytest.raises(DamagedError, match="truncated"):
        list(members("x", data[:-1]))
    with pytest.raises(DamagedError, match="header"):
        list(members("x", data[:100] + b"x" * 200))
    (tmp_path / "lib.a").unlink()
    data = filled(tmp_path, "rcsT")
    (tmp_path / "short.o").unlink()
    with pytest.raises(DamagedError, match=r"member .*short\.o cannot be read: No such file"):
        list(members(str(tmp_path / "lib.a"), data))
    with pytest.raises(DamagedError, match="cannot be read: embedded null byte"):
        list(members(str(tmp_path / "lib.a"), data.replace(b"short.o", b"sho\0t.o")))
