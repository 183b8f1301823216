# SPDX-License-Identifier: MIT
"""The graph of includes, which must know of every include, however it is spelled."""

from __future__ import annotations

import pytest

from instrument.includes import Includes


def graph(links: dict[str, str] | None = None, /, **texts: str) -> Includes:
    contents = {name.replace("__", "/").replace("_", "."): text.encode() for name, text in texts.items()}
    return Includes(contents, links or {}, contents)


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
    assert Includes(["a.c", "big.c", "k.h"], {}, {"a.c": b"", "k.h": b""}).possible(["big.c"], []) == {"k.h"}


@pytest.mark.parametrize("text", ['#include"b.c"', "%:include<d/b.c>", '#inc\\\nlude "b.c"', 'HEADER("b.c")'])
def test_sources_that_some_file_names(text: str) -> None:
    assert graph(a_c=text, b_c="", c_c="").sources() == {"b.c"}
