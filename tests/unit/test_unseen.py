# SPDX-License-Identifier: MIT
"""instrument.unseen: what the text says of records that debug information does not."""

from __future__ import annotations

import pytest

from instrument.model import Base, Content, Encoding, Field, Function, Qualified, Record, Typedef, Void
from instrument.unseen import TRANSPARENT, Text, told

DOUBLE = Base("double", 8, Encoding.FLOAT)


def unseen(kind: str, tag: str | None, text: str, *typedefs: str, line: int = 1) -> str | None:
    """What `text` hides of a record that is passed by value under the names `typedefs`, the innermost first."""
    content = Content((Field(DOUBLE, 0, 64),), lines=(line,))
    t: Record | Typedef | Qualified = Record(kind, tag, 8, content)
    for name in typedefs:
        t = Typedef(name, Qualified("const", t))
    found = told(Function(Void(), (t,), False), Text(text.encode())).params[0]
    while isinstance(found, Typedef | Qualified):
        found = found.target  # type: ignore[assignment]
    assert isinstance(found, Record) and found.content
    return found.content.unseen


TRANSPARENT_UNIONS = [
    (None, ("arg",), "typedef union { int *i; double *d; } arg ATTRIBUTE;"),
    (None, ("arg", "alias"), "typedef union { int *i; double *d; } arg ATTRIBUTE; typedef arg alias;"),
    ("u", (), "union u { int *i; } ATTRIBUTE;"),
    ("u", (), "union ATTRIBUTE u { int *i; };"),
    ("u", ("arg",), "union u { int *i; }; typedef union u arg ATTRIBUTE;"),
    ("u", (), "void f(void) { union v { int i; } ATTRIBUTE; }"),
]


@pytest.mark.parametrize(("tag", "typedefs", "text"), TRANSPARENT_UNIONS)
def test_transparent_unions(tag: str | None, typedefs: tuple[str, ...], text: str) -> None:
    text = text.replace("ATTRIBUTE", f"__attribute__(({TRANSPARENT.decode()}))")
    found = unseen("union", tag, text, *typedefs)
    assert found and "transparent union" in found
    assert unseen("struct", tag, text, *typedefs) is None


def test_other_unions_are_what_they_seem() -> None:
    text = f"typedef union {{ int *i; }} arg __attribute__(({TRANSPARENT.decode()})); union u {{ double d; }};"
    assert unseen("union", "u", text) is None
    assert unseen("union", None, text, "other") is None


def test_unnamed_bit_fields_by_their_line() -> None:
    text = '# 7 "a.h"\nstruct s { double d; int : 0; };\nstruct t { double d; };\n'
    found = unseen("struct", "s", text, line=7)
    assert found and "unnamed bit-field" in found
    assert unseen("struct", "t", text, line=8) is None
