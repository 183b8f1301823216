# SPDX-License-Identifier: MIT
"""What tree-sitter is asked: the function around a place, unevaluated operands."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from instrument.structure import Structure, structures


def ask(source: str) -> list[Structure]:
    data = source.encode()
    return structures(data, [m.start() for m in re.finditer(rb"HERE", data)])


def only(source: str) -> Structure:
    (structure,) = ask(source)
    return structure


@pytest.mark.parametrize(
    ("source", "function"),
    [
        ("int f(void) { return HERE; }", "f"),
        ("static inline struct s *f(int (*g)(int)) { HERE; }", "f"),
        ("int (*f(void))(int) { HERE; }", "f"),
        ("static always_inline void f(bool b) { HERE; }", "f"),
        ("int f(a) int a; { HERE; }", "f"),
        ("int f(void) { int g(void) { return HERE; } return g(); }", "g"),
        ("int f(void) { if (a) { while (b) HERE; } }", "f"),
        ("#ifdef A\nint f(void) { HERE; }\n#endif", "f"),
        ("int h(void) { } int f(void) { HERE; } int g(void) { }", "f"),
        ("int v = HERE;", None),
        ("int f(void) { } HERE;", None),
        ("#define M() HERE\n", None),
        ("int f(void) {\n#define M() HERE\n}", None),
        ("int \u00e9t\u00e9(void) { HERE; }", "\u00e9t\u00e9"),
    ],
)
def test_the_enclosing_function(source: str, function: str | None) -> None:
    assert only(source).function == function


def test_places_answer_in_the_order_they_were_asked() -> None:
    data = b"int f(void) { AAAA; } int g(void) { BBBB; }"
    places = [data.index(b"BBBB"), data.index(b"AAAA"), 0, len(data)]
    assert [s.function for s in structures(data, places)] == ["g", "f", "f", None]
    assert structures(data, []) == []


@pytest.mark.parametrize(
    ("expression", "unevaluated"),
    [
        ("sizeof(HERE(k)(1))", True),
        ("sizeof HERE(k)(1)", True),
        ("sizeof(HERE(k))(1)", True),
        ("sizeof(x)(HERE(k)(1))", True),
        ("sizeof (int[HERE(k)(1)])", True),
        ("_Alignof(HERE(k)(1))", True),
        ("__alignof__(HERE(k)(1))", True),
        ("(__typeof__(HERE(k)(1)))2", True),
        ("({ typeof(HERE(k)(1)) y = 1; y; })", True),
        ("({ __typeof(HERE(k)) *y = 0; y; })", True),
        ("sizeof(int) * HERE(k)(1)", False),
        ("sizeof(a) + HERE(k)(1)", False),
        ("HERE(k)(sizeof(int))", False),
        ("typeofx(HERE(k)(1))", False),
        ("a[HERE(k)(1)]", False),
    ],
)
def test_unevaluated_operands(expression: str, unevaluated: bool) -> None:
    assert only(f"int f(void) {{ return {expression}; }}").unevaluated is unevaluated


def test_where_tree_sitter_fails_nothing_is_said() -> None:
    assert only('__attribute__((target("avx"))) int f(void) { ) = HERE } } ] sizeof(') == Structure(None, False)


def test_importing_the_module_does_not_import_tree_sitter() -> None:
    script = "import sys, instrument.structure; sys.exit('tree_sitter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
