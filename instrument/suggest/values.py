# SPDX-License-Identifier: MIT
"""What a function pointer is set to: a function, nothing, or something that the text alone does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrument.suggest.project import Project
from instrument.suggest.scopes import own
from instrument.suggest.source import WRAPPERS, Source, bare, function_of
from instrument.suggest.uses import NULL

if TYPE_CHECKING:
    from tree_sitter import Node

_LOOKUPS = ("dlsym", "dlvsym", "GetProcAddress")


@dataclass(frozen=True, slots=True)
class Value:
    """`kind` is "function", whose name is `name`, "null" or "other"; `why` tells why no static call can have it,
    `note` what remains to be known. `cast` tells that a function has another type than what it is set to."""

    kind: str
    name: str = ""
    why: str = ""
    note: str = ""
    cast: bool = False


def value_of(source: Source, node: Node | None, project: Project) -> Value:
    """The value of an expression; None is the lack of an initialiser."""
    if node is None or NULL.fullmatch(source.text(node)):
        return Value("null")
    node = bare(node)
    text = source.text(node)
    if node.type == "pointer_expression" and text.startswith("&"):
        argument = node.child_by_field_name("argument")
        if argument is not None and argument.type == "identifier":
            node, text = argument, source.text(argument)
    if node.type == "identifier":
        return _named(source, node, text, project)
    if node.type == "cast_expression":
        return _cast(source, node.child_by_field_name("value"), text, project)
    if node.type in ("number_literal", "char_literal", "unary_expression"):
        return Value("other", text, "it is set to a number")
    if node.type == "call_expression":
        called = node.child_by_field_name("function")
        lookup = called is not None and source.text(called) in _LOOKUPS
        how = "is looked up at run time" if lookup else "a call returns"
        return Value("other", text, note=f"set to what {how}: `{text}`")
    return Value("other", text, note=f"set to `{' '.join(text.split())}`, which must be a function or NULL")


def _named(source: Source, node: Node, text: str, project: Project) -> Value:
    if own(source, node):
        return Value("other", text, note=f"set to `{text}`, which must be a function or NULL")
    if text in project.functions and text not in project.macros:
        return Value("function", text)
    if text in project.macros:
        return Value("macro", text, note=f"set to the macro {text}, which must be a function or NULL")
    if function_of(node) is None:
        return Value("function", text)  # nothing else is constant at file scope
    return Value("other", text, note=f"set to `{text}`, which must be a function or NULL")


def _cast(source: Source, inner: Node | None, text: str, project: Project) -> Value:
    while inner is not None and inner.type in WRAPPERS:
        inner = inner.child_by_field_name("value") or (inner.named_children[0] if inner.named_children else None)
    if inner is not None and NULL.fullmatch(source.text(inner)):
        return Value("null")
    if inner is None or inner.type in ("number_literal", "unary_expression", "char_literal"):
        return Value("other", text, "it is set to a number")
    if inner.type == "identifier" and source.text(inner) not in project.objects:
        named = _named(source, inner, source.text(inner), project)
        if named.kind == "function":
            return Value("function", named.name, cast=True)
    return Value("other", text, note=f"set to `{source.text(inner)}` by a cast")


def nullable(source: Source, node: Node, project: Project) -> bool:
    """Whether a value may be NULL: it is none if it is a function, whichever."""
    node = bare(node)
    if node.type == "conditional_expression":
        arms = [node.child_by_field_name(name) for name in ("consequence", "alternative")]
        return any(arm is None or nullable(source, arm, project) for arm in arms)
    value = value_of(source, node, project)
    return value.kind != "function" or project.weak(value.name)
