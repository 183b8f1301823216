# SPDX-License-Identifier: MIT
"""A function that calls through a member, for a key to start with where the member's first value cannot be named: it
is another file's, or a macro's. It is right whatever the member holds; the first update takes its place.

Knows C's declarators.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrument.suggest.source import Source

if TYPE_CHECKING:
    from tree_sitter import Node

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\\\n", re.DOTALL)


def flat(text: str) -> str:
    """`text` on one line, without comments."""
    return " ".join(_COMMENT.sub(" ", text).split()).replace(" )", ")")


@dataclass(frozen=True, slots=True)
class Prototype:
    """`before` and `after` are what stands on both sides of the function's name; `void` tells that it returns
    nothing."""

    before: str
    after: str
    arguments: tuple[str, ...]
    void: bool

    def forwarder(self, name: str, callee: str) -> str:
        call = f"{callee}({', '.join(self.arguments)});"
        return f"static {self.before}{name}{self.after}\n{{\n\t{'' if self.void else 'return '}{call}\n}}"


def prototype(source: Source, field: Node, whole: Node, inner: Node, void: bool) -> Prototype | None:
    """That of the function that the member `field` points to. `whole` is its declarator, `inner` the pointer in it.
    None if some argument cannot be handed on."""
    held = inner.parent
    function = held.parent if held is not None else None
    if held is None or function is None or function.type != "function_declarator":
        return None
    parameters = function.child_by_field_name("parameters")
    if parameters is None or parameters.start_byte < held.end_byte:
        return None
    named = _named(source, parameters)
    if named is None:
        return None
    data = source.data
    base = data[field.start_byte : held.start_byte].decode("utf-8", "surrogateescape")
    rest = data[parameters.end_byte : whole.end_byte].decode("utf-8", "surrogateescape")
    texts = ", ".join(text for text, _ in named) or "void"
    before = flat(base)
    before += "" if before.endswith("*") else " "
    return Prototype(before, f"({texts}){flat(rest)}", tuple(name for _, name in named), void)


def _named(source: Source, parameters: Node) -> list[tuple[str, str]] | None:
    """The parameters, each with a name, and the names."""
    found: list[tuple[str, str]] = []
    for number, node in enumerate(child for child in parameters.named_children if child.type != "comment"):
        text = flat(source.text(node))
        if text == "void" and not found:
            continue
        if node.type != "parameter_declaration":
            return None
        declarator = node.child_by_field_name("declarator")
        if declarator is None or declarator.type == "abstract_pointer_declarator":
            if any(
                child.type.startswith("abstract") and child.type != "abstract_pointer_declarator"
                for child in _all(node)
            ):
                return None
            found.append((f"{text}{'' if text.endswith('*') else ' '}a{number}", f"a{number}"))
            continue
        names = [child for child in _all(declarator) if child.type == "identifier"]
        if not names:
            return None
        found.append((text, source.text(names[0])))
    return found if found or flat(source.text(parameters)) in ("(void)",) else None


def _all(node: Node) -> list[Node]:
    return [node, *(below for child in node.children for below in _all(child))]
