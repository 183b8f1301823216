# SPDX-License-Identifier: MIT
"""Which files are taken in, and by which commands the compiler sees them. The compiler is the real one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from instrument import compiledb, inputs
from instrument.compiledb import Command, Commands
from instrument.diagnostics import InstrumentError
from instrument.includes import Includes, facts
from instrument.model import Place


def tree(root: Path, **files: str) -> Path:
    """Files by their names, with '__' for '/' and '_' before the suffix for '.'."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def failure(*args: object, **kwargs: object) -> InstrumentError:
    with pytest.raises(InstrumentError) as caught:
        inputs.gather(*args, **kwargs)  # type: ignore[arg-type]
    return caught.value


# ---- the walk -------------------------------------------------------------------------------------


def test_a_directory_is_its_own_root_and_version_control_is_left_out(tmp_path: Path) -> None:
    tree(tmp_path / "a b", main_c="", sub__x_h="", Makefile="")
    for name in (".git", "sub/.hg", ".svn"):
        (tmp_path / "a b" / name).mkdir()
        (tmp_path / "a b" / name / "config").write_text("static_call(k)()")
    found = inputs.gather([tmp_path / "a b"])
    assert found.root == tmp_path / "a b"
    assert found.files == ("Makefile", "main.c", "sub/x.h")
    assert found.named == ()


def test_a_file_has_its_directory_and_several_what_they_share(tmp_path: Path) -> None:
    tree(tmp_path, p__a__x_c="", p__b__y_c="", p__z_c="")
    assert inputs.gather([tmp_path / "p/a/x.c"]).root == tmp_path / "p/a"
    both = inputs.gather([tmp_path / "p/b/y.c", tmp_path / "p/a/x.c"])
    assert (both.root, both.files) == (tmp_path / "p", ("a/x.c", "b/y.c"))
    mixed = inputs.gather([tmp_path / "p/a", tmp_path / "p/z.c"])
    assert (mixed.root, mixed.files, mixed.named) == (tmp_path / "p", ("a/x.c", "z.c"), ("z.c",))


def test_a_given_root_decides_and_must_hold_the_input(tmp_path: Path) -> None:
    tree(tmp_path, p__src__x_c="")
    assert inputs.gather([tmp_path / "p/src/x.c"], root=tmp_path / "p").files == ("src/x.c",)
    error = failure([tmp_path / "p/src/x.c"], root=tmp_path / "p/other")
    assert (error.status, error.findings[0].code) == (2, "IN011")


def test_what_is_no_file_does_not_hang_the_walk(tmp_path: Path) -> None:
    tree(tmp_path, x_c="")
    os.mkfifo(tmp_path / "pipe.c")
    assert inputs.gather([tmp_path]).files == ("x.c",)
    with pytest.raises(InstrumentError):
        inputs.read(tmp_path)


def test_links_inside_stay_links_and_files_outside_are_followed(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", d__x_c="x")
    tree(tmp_path / "out", y_c="y", dir__z_c="z")
    (root / "rel.c").symlink_to("d/x.c")
    (root / "abs.c").symlink_to(root / "d/x.c")
    (root / "dir").symlink_to("d")
    (root / "loop").symlink_to(".")
    (root / "away.c").symlink_to("../out/y.c")
    (root / "awaydir").symlink_to(tmp_path / "out/dir")
    (root / "dead").symlink_to("nowhere")
    found = inputs.gather([root])
    assert found.files == ("away.c", "d/x.c")
    assert found.links == {"abs.c": "d/x.c", "dir": "d", "loop": ".", "rel.c": "d/x.c"}
    assert found.skipped == ("awaydir", "dead")


@pytest.mark.parametrize("out", ["in/out", "in", "in/deep/er", ".", "link/out"])
def test_output_and_input_do_not_overlap(tmp_path: Path, out: str) -> None:
    root = tree(tmp_path / "in", x_c="")
    (tmp_path / "link").symlink_to("in")
    error = failure([root], tmp_path / out)
    assert (error.status, error.findings[0].code) == (2, "IN009")


def test_the_output_of_file_inputs_may_lie_beside_but_not_around_them(tmp_path: Path) -> None:
    tree(tmp_path, p__x_c="")
    assert inputs.gather([tmp_path / "p/x.c"], tmp_path / "p/.out").files == ("x.c",)
    assert failure([tmp_path / "p/x.c"], tmp_path / "p").findings[0].code == "IN009"


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    error = failure([tmp_path / "none.c"])
    assert (error.status, error.findings[0].code) == (2, "IN011")
    assert "none.c" in error.findings[0].message


# ---- headers of files named one by one ------------------------------------------------------------


def headers(root: Path, *names: str, flags: tuple[str, ...] = ()) -> tuple[str, ...]:
    commands = Commands(Command(("cc", *flags), root))
    found = inputs.gather([root / name for name in names], root=root)
    return inputs.with_headers(found, commands, root / "runtime", root / "out", jobs=2).files


def test_headers_below_the_root_come_along(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "a b#$",
        x_c='#include "one.h"\n#include <two.h>\n#include <stdio.h>\n#include "made.h"\n#include <static_call.h>\n',
        one_h='#include "../outside.h"\n#include "su b/three.h"\n',
        inc__two_h="",
        out__four_h="",
        runtime__static_call_h="",
    )
    tree(tmp_path, outside_h="")
    (root / "su b").mkdir()
    (root / "su b/three.h").write_text('#include "../out/four.h"\n')
    assert headers(root, "x.c", flags=("-Iinc",)) == ("inc/two.h", "one.h", "su b/three.h", "x.c")


def test_a_file_that_cannot_be_preprocessed_is_rejected_by_itself(tmp_path: Path) -> None:
    tree(tmp_path, x_c="\n#error told so\n", y_c='#include "y.h"\n', y_h="")
    found = inputs.gather([tmp_path / "x.c", tmp_path / "y.c"])
    found = inputs.with_headers(found, Commands(Command(("cc",), tmp_path)), tmp_path / "include")
    assert found.files == ("x.c", "y.c", "y.h")
    (finding,) = found.rejected.values()
    assert (finding.code, finding.place) == ("IN001", Place("x.c", 2, 2))
    assert "told so" in finding.detail


def test_a_missing_compiler_is_named(tmp_path: Path) -> None:
    tree(tmp_path, x_c="")
    found = inputs.gather([tmp_path / "x.c"])
    with pytest.raises(InstrumentError) as caught:
        inputs.with_headers(found, Commands(Command(("no-such-cc",), tmp_path)), tmp_path)
    assert (caught.value.status, caught.value.findings[0].code) == (2, "IN010")


def test_rules_as_compilers_write_them() -> None:
    rule = "x: a\\ b.c \\\n c\\#d.h $$e.h \\\n  back\\slash.h co\\:lon\n"
    assert inputs.prerequisites(rule) == ["a b.c", "c#d.h", "$e.h", "back\\slash.h", "co:lon"]


# ---- units ----------------------------------------------------------------------------------------


def unit_names(root: Path, mentioning: list[str], **texts: str) -> list[str]:
    tree(root, **texts)
    found = inputs.gather([root])
    graph = Includes(found.files, found.links, {name: facts((root / name).read_bytes()) for name in found.files})
    made = inputs.units(found, mentioning, graph, Commands(Command(("cc",), root)))
    return [unit.source.relative_to(root).as_posix() for unit in made]


def test_a_header_that_a_unit_includes_needs_no_other(tmp_path: Path) -> None:
    texts = {"a_c": '#include "deep.h"', "deep_h": '#include "k.h"', "k_h": "", "b_c": '#include "k.h"'}
    assert unit_names(tmp_path, ["a.c", "k.h"], **texts) == ["a.c"]


def test_a_header_alone_is_seen_through_three_includers_at_most(tmp_path: Path) -> None:
    texts = {f"u{n}_c": "# include <x/k.h>\n" for n in range(5)} | {"x__k_h": "", "z_c": "// k.h\n"}
    assert unit_names(tmp_path, ["x/k.h"], **texts) == ["u0.c", "u1.c", "u2.c"]


def test_a_header_is_seen_through_other_headers(tmp_path: Path) -> None:
    texts = {"a_c": '#include "mid.h"\n', "mid_h": '#include "k.h"\n', "k_h": '#include "mid.h"\n'}
    assert unit_names(tmp_path, ["k.h"], **texts) == ["a.c"]


def test_a_file_compiled_in_two_ways_is_two_units(tmp_path: Path) -> None:
    tree(tmp_path, a_c="")
    ways = (Command(("cc", "-DA"), tmp_path), Command(("cc", "-DB"), tmp_path))
    commands = Commands(Command(("cc",), tmp_path), {tmp_path / "a.c": ways})
    made = inputs.units(inputs.gather([tmp_path]), ["a.c"], Includes((), {}, {}), commands)
    assert [unit.command for unit in made] == [("cc", "-DA"), ("cc", "-DB")]


def test_who_includes_a_source_is_asked_as_well(tmp_path: Path) -> None:
    texts = {
        "all_c": '#include "one.c"\n#include "s/two.c"',
        "one_c": "",
        "s__two_c": "",
        "far_c": '#include "all.c"',
    }
    assert unit_names(tmp_path, ["one.c", "s/two.c"], **texts) == ["all.c", "far.c", "one.c", "s/two.c"]


def test_what_no_command_compiles_is_no_unit_and_leaves_its_headers_open(tmp_path: Path) -> None:
    tree(tmp_path, a_c='#include "k.h"', b_c='#include "k.h"\n#include "m.h"', c_c='#include "b.c"', k_h="", m_h="")
    commands = Commands(None, {tmp_path / name: (Command(("cc",), tmp_path),) for name in ("a.c", "c.c")})
    found = inputs.gather([tmp_path])
    graph = Includes(found.files, {}, {name: facts((tmp_path / name).read_bytes()) for name in found.files})
    asked = inputs.units(found, ["b.c", "k.h"], graph, commands)
    assert [unit.source.name for unit in asked] == ["c.c"]
    assert inputs.incomplete(found, asked, graph, commands) == {"k.h", "m.h"}
    assert inputs.includable(found, asked, graph).files == {"b.c", "c.c", "k.h", "m.h"}


# ---- commands -------------------------------------------------------------------------------------


def database(directory: Path, *entries: object) -> Path:
    (directory / "compile_commands.json").write_text(json.dumps(entries))
    return directory


def test_arguments_win_over_command_and_outputs_are_dropped(tmp_path: Path) -> None:
    arguments = ["ccache", "compiler_check=content", "distcc", "gcc", "-O2", "-c", "-o", "x.o", "-MD", "-MF", "x.d"]
    arguments += ["-MTx.o", "-Wp,-MMD,.x.d", "-I", "-c", "-I", "src/x.c", "-Iinc", "-D", "-o", "src/x.c", "-g"]
    entry = {"directory": str(tmp_path), "file": "src/x.c", "arguments": arguments, "command": "false"}
    commands = compiledb.load(database(tmp_path, entry), ["-DEXTRA"])
    words = ("gcc", "-O2", "-I", "-c", "-I", "src/x.c", "-Iinc", "-D", "-o", "-g", "-DEXTRA")
    assert commands.of(tmp_path / "src/x.c") == (Command(words, tmp_path),)


def test_command_strings_are_shell_words_relative_to_their_directory(tmp_path: Path) -> None:
    (tmp_path / "b d").mkdir()
    entry = {"directory": "b d", "file": "../x.c", "command": "cc '-DA=\"a b\"' -c ../x.c"}
    commands = compiledb.load(database(tmp_path, entry, entry), [])
    assert commands.of(tmp_path / "x.c") == (Command(("cc", '-DA="a b"'), tmp_path / "b d"),)


def test_what_the_database_leaves_out_is_compiled_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "sccache my-cc -m64")
    assert compiledb.load(database(tmp_path), ["-DX"]).of(tmp_path / "y.c") == ()
    commands = compiledb.load(None, ["-DX"])
    assert commands.of(tmp_path / "y.c") == (Command(("my-cc", "-m64", "-DX"), Path.cwd()),)
    monkeypatch.setenv("CC", "")
    assert compiledb.load(None, []).of(tmp_path / "y.c")[0].words == ("cc",)
    monkeypatch.setenv("CC", "gcc '")
    with pytest.raises(InstrumentError) as caught:
        compiledb.load(None, [])
    assert (caught.value.status, caught.value.findings[0].code) == (2, "IN010")


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", "[1]", '[{"directory": "/", "file": "x"}]', '[{"directory": "/", "command": "cc"}]',
     '[{"directory": "/", "file": "x", "arguments": []}]', '[{"directory": "/", "file": "x", "arguments": [1]}]',
     '[{"directory": "/", "file": "x", "command": "cc \'"}]', '[{"directory": 1, "file": "x", "command": "cc"}]',
     '[{"directory": "/", "file": "x", "command": null}]', '[{"directory": "/", "file": "x", "command": ["cc"]}]',
     '[{"file": "x", "command": "cc"}]', "\udcff"],
)  # fmt: skip
def test_a_broken_database_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "compile_commands.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InstrumentError) as caught:
        compiledb.load(tmp_path, [])
    assert (caught.value.status, caught.value.findings[0].code) == (2, "IN012")


def test_a_missing_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError) as caught:
        compiledb.load(tmp_path / "none", [])
    assert (caught.value.status, caught.value.findings[0].code) == (2, "IN012")
