# SPDX-License-Identifier: MIT
"""The graph of includes, which must know of every include, however it is spelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument.includes import Includes, facts


def graph(links: dict[str, str] | None = None, /, **texts: str) -> Includes:
    contents = {name.replace("__", "/").replace("_", "."): text.encode() for name, text in texts.items()}
    return Includes(contents, links or {}, {name: facts(text) for name, text in contents.items()})


@pytest.mark.parametrize(
    "text",
    [
        '#include "k.h"', "#include <k.h>", "# include_next <x/k.h>", "%:include/**/<k.h>",
        '/* */ # /* */ import "k.h"',
        '#include /* a\nb */ "k.h"', '#inc\\\r\nlude \\ \n"../k.h"', '#include "k\\\n.h"',
    ],
)  # fmt: skip
def test_every_spelling_of_an_include(text: str) -> None:
    assert graph(a_c=text, k_h="").included(["a.c"]) == {"k.h"}


def test_what_is_included_through_links_and_cycles() -> None:
    found = graph({"x/alias.h": "../k.h"}, a_c='#include "alias.h"', k_h='#include "a.c"\n#include "m.h"', m_h="")
    assert found.included(["a.c"]) == {"k.h", "a.c", "m.h"}
    assert list(found.includers("m.h")) == ["m.h", "k.h", "a.c"]


def test_flags_and_computed_includes_may_reach_more() -> None:
    texts = {"a_c": "", "b_c": "", "k_h": ""}
    for word in ("k.h", "-includek.h", "--include=k.h", "inc/k.h"):
        assert graph(**texts).possible(["a.c"], [word]) == {"k.h"}
        assert graph(**texts).possible([], [word]) == set()
    assert graph(**texts).possible(["a.c"], ["-I."]) == set()
    texts["a_c"] = "#include IMPL\n"
    assert graph(**texts).possible(["a.c"], []) == {"k.h"}
    for text in ('#define IMPL "sub/b.c"', "#define IMPL S(b.c)"):
        assert graph(**{**texts, "k_h": text}).possible(["a.c"], []) == {"k.h", "b.c"}


def test_a_file_that_was_not_read_may_include_anything() -> None:
    told = {"a.c": facts(b""), "k.h": facts(b"")}
    assert Includes(["a.c", "big.c", "k.h"], {}, told).possible(["big.c"], []) == {"k.h"}


@pytest.mark.parametrize("text", ['#include"b.c"', "%:include<d/b.c>", '#inc\\\nlude "b.c"', 'HEADER("b.c")'])
def test_sources_that_some_file_names(text: str) -> None:
    assert graph(a_c=text, b_c="", c_c="").sources() == {"b.c"}


def found(links: dict[str, str], folders: list[str], forced: list[str], /, **texts: str) -> set[str] | None:
    reached = graph(links, **texts).found(Path("/root/tree"), ["d/a.c"], folders, forced)
    return None if reached is None else reached.files - {"d/a.c"}


def test_what_a_compiler_finds_is_beside_the_file_or_where_it_is_told_to_look() -> None:
    headers = {"d__k_h": "", "inc__k_h": "", "other__k_h": "", "k_h": "", "inc__sys__n_h": '#include "../k.h"'}
    assert found({}, [], [], d__a_c='#include "k.h"', **headers) == {"d/k.h"}
    assert found({}, ["inc"], [], d__a_c='#include "k.h"', **headers) == {"d/k.h", "inc/k.h"}
    assert found({}, ["inc"], [], d__a_c="#include <sys/n.h>", **headers) == {"inc/sys/n.h", "inc/k.h", "k.h"}
    assert found({}, ["", "inc"], [], d__a_c="#if __has_include ( <k.h> )", **headers) == {"d/k.h", "inc/k.h", "k.h"}
    assert found({}, [], ["k.h"], d__a_c="", **headers) == {"d/k.h"}
    assert found({}, [], [], d__a_c='#include "../other/../inc/k.h"', **headers) == {"inc/k.h"}


def test_what_a_compiler_finds_through_links() -> None:
    headers = {"real__k_h": '#include "n.h"', "real__n_h": "", "d__n_h": "", "d__k_h": ""}
    links = {"alias": "real", "d/one.h": "../real/k.h"}
    assert found(links, ["alias"], [], d__a_c="#include <k.h>", **headers) == {"d/k.h", "real/k.h", "real/n.h"}
    # The compiler looks beside the link, not beside what it leads to.
    assert found(links, [], [], d__a_c='#include "one.h"', **headers) == {"real/k.h", "d/n.h"}
    assert found({"loop": "."}, [], [], d__a_c='#include "../loop/loop/real/n.h"', **headers) == {"real/n.h"}


@pytest.mark.parametrize(
    "text", ["#include IMPL", "#if __has_include(IMPL)", '#include "../../tree/k.h"', '#include "k.h"']
)
def test_where_the_text_does_not_tell_what_a_compiler_finds(text: str) -> None:
    assert found({}, [], [], d__a_c=text, d__k_h="#include IMPL") is None


def test_the_directories_on_the_way_to_a_header_have_to_be_there() -> None:
    texts = {"d__a_c": '#include "../x/../k.h"', "k_h": "", "x__other_h": "", "inc__n_h": ""}
    reached = graph(**texts).found(Path("/root/tree"), ["d/a.c"], ["inc", "no/such"], [])
    assert reached is not None
    assert (reached.files, reached.folders) == ({"d/a.c", "k.h"}, {"d", "x", "inc"})
