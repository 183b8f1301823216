# SPDX-License-Identifier: MIT
"""All files together: what they declare, and where a file's identifiers mean what is declared at file scope.

Knows C's scopes. Must not know what is done with a variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from instrument.lexer import Word
from instrument.model import Place, Span
from instrument.structure import function_name
from instrument.suggest import declared
from instrument.suggest.declared import Types, Variable
from instrument.suggest.model import Spot
from instrument.suggest.source import Source, ancestors, function_of, loops_around

if TYPE_CHECKING:
    from tree_sitter import Node

_DEFINE = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)(\(?)((?:\\\r?\n|[^\n])*)", re.MULTILINE)
_SPECIFIER = re.compile(
    rb"(?:\s|\\|/\*.*?\*/|//.*|extern\b(?!\s*\")|static\b|__global\b|__hidden\b|inline\b|__inline(?:__)?\b|__extension__\b|_Noreturn\b|(?:__)?restrict(?:__)?\b"
    rb"|__attribute__\s*\(\(.*\)\)|__declspec\s*\(\w+\))*",
    re.DOTALL,
)
_VISIBLE = re.compile(
    rb"(?:\s|/\*.*?\*/|__attribute__\s*\(\(\s*(?:__)?visibility(?:__)?\s*\(\"default\"\)\s*\)\)|__declspec\s*\(dll\w+\))*"
)
_INCLUDED = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*[\"<](?:[^\">\n]*/)?([^/\">\n]+)[\">]", re.MULTILINE)
_ASM = re.compile(rb"asm|alias")
_QUOTES = re.compile(rb"#\s*\w|##")
_WORD = re.compile(rb"[A-Za-z_]\w*")
_ATTRIBUTED = re.compile(rb"__attribute|__declspec|\[\[|_Noreturn|\bnoreturn\b|\b(?:__)?asm")
_LINKS = (
    "pointer_declarator",
    "function_declarator",
    "array_declarator",
    "parenthesized_declarator",
    "attributed_declarator",
    "init_declarator",
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An identifier that means what the file sees at file scope. `node` is None in a directive, and where the syntax
    is not known."""

    source: Source
    word: Word
    node: Node | None

    @property
    def place(self) -> Place:
        return self.source.place(self.word.span.start)


class Project:
    """`contents` are the C files and headers; `others` what else is in the tree and is text that could name
    things."""

    def __init__(self, contents: Mapping[str, bytes], others: Mapping[str, bytes]) -> None:
        self.macros: dict[str, set[bytes]] = {}
        self._bodies: dict[str, set[bytes]] = {}
        for data in contents.values():
            for m in _DEFINE.finditer(data):
                body = b"()" if m[2] else m[3].strip()
                self.macros.setdefault(m[1].decode(), set()).add(body)
                self._bodies.setdefault(m[1].decode(), set()).add(m[3])
        hidden = {name for name, bodies in self.macros.items() if all(_SPECIFIER.fullmatch(body) for body in bodies)}
        makers = {name for name, bodies in self.macros.items() if bodies == {b"()"}}
        self.makers = frozenset(makers)
        self.sources = {path: Source(path, data, hidden, makers) for path, data in sorted(contents.items())}
        self.others = others

    @cached_property
    def quoting(self) -> frozenset[str]:
        """The macros that may make a string, or a part of a name, of an argument, by themselves or by
        another."""
        found = {name for name, bodies in self._bodies.items() if any(_QUOTES.search(body) for body in bodies)}
        words = {name: set(_WORD.findall(b" ".join(bodies))) for name, bodies in self._bodies.items()}
        while more := {name for name in words.keys() - found if words[name] & {n.encode() for n in found}}:
            found |= more
        return frozenset(found)

    @cached_property
    def types(self) -> Types:
        return declared.types(list(self.sources.values()))

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(v for source in self.sources.values() for v in declared.variables(source, self.types))

    @cached_property
    def functions(self) -> dict[str, list[tuple[Source, Node]]]:
        """The declarations and definitions of functions, by name."""
        found: dict[str, list[tuple[Source, Node]]] = {}
        for source in self.sources.values():
            for node in source.externals():
                for each in node.children_by_field_name("declarator"):
                    known = declared.declarator(each) if node.type in ("declaration", "function_definition") else None
                    shape = known.shape if known else ()
                    while shape[:1] == ("pointer",) and node.type == "function_definition":
                        shape = shape[1:]
                    if known and shape[:1] == ("function",):
                        found.setdefault(source.text(known.name), []).append((source, node))
        return found

    def plain(self, function: str) -> bool:
        """Whether the type of a function is its prototype and no more. In gcc attributes such as nonnull and noreturn
        belong to it, and compilers would take what a key starts with to tell so of all its targets. What nothing
        here declares is some library's."""
        heads = list(self._heads(function))
        return bool(heads) and not any(
            re.search(rb"\(\s*\)[\s;]*\Z", head) or _ATTRIBUTED.search(head) or _ATTRIBUTED.search(macros)
            for head, macros in heads
        )

    def _heads(self, function: str) -> Iterator[tuple[bytes, bytes]]:
        """Each declaration's text without a body, and what the macros in it stand for."""
        for source, node in self.functions.get(function, ()):
            body = node.child_by_field_name("body")
            span = Span(node.start_byte, body.start_byte if body else node.end_byte)
            macros = (
                body
                for word in source.hides(Span(max(0, span.start - 80), span.end))
                for body in self.macros[word.text]
            )
            yield source.data[span.start : span.end], b" ".join(macros)

    def visibility(self, macro: str) -> bool:
        """Whether a macro says no more than that other objects may see what is declared, as they may every key."""
        return all(_VISIBLE.fullmatch(body) for body in self.macros[macro])

    def called(self, alias: str, name: str) -> bool:
        """Whether `alias` is a macro for `name` alone, and called wherever it is used."""
        if self.macros.get(alias) != {name.encode()}:
            return False
        uses = [
            re.compile(rb"\s*\(").match(source.data, word.span.end)
            for source in self.sources.values()
            for word in source.named.get(alias, ())
            if word.directive not in ("ifdef", "ifndef", "undef") and word.macro != alias
        ]
        return bool(uses) and None not in uses

    def spots(self, macro: str, above: tuple[str, ...] = ()) -> Iterator[Spot]:
        """Where functions use a macro, be it by other macros."""
        for source in self.sources.values():
            for word in source.named.get(macro, ()):
                if word.directive is None:
                    node = source.leaf(word)
                    function = function_of(node) if node is not None else None
                    if node is not None and function is not None:
                        place = source.place(word.span.start)
                        yield Spot(place, function_name(function), loops_around(node))
                elif word.directive == "define" and word.macro and word.macro not in (macro, *above):
                    yield from self.spots(word.macro, (macro, *above))

    def in_asm(self, name: str) -> list[str]:
        """The files in which the text of an asm or an alias seems to have the name in it."""
        text = re.compile(rb"\b(?:__)?(?:asm|alias)(?:__)?\b[^;]*\"[^\"\n]*\b" + re.escape(name.encode()) + rb"\b")
        return [
            path for path, source in self.sources.items() if _ASM.search(source.data) and text.search(source.data)
        ]

    def looked_up(self, name: str) -> list[str]:
        """The files that ask the dynamic linker for the name."""
        text = re.compile(rb"\bdlv?sym\s*\([^;]*\"" + re.escape(name.encode()) + rb"\"")
        return [path for path, source in self.sources.items() if b"sym" in source.data and text.search(source.data)]

    def including(self, path: str) -> list[str]:
        """The files whose text includes the .c file `path`."""
        return self._including.get(path.rpartition("/")[2].encode(), [])

    @cached_property
    def _including(self) -> dict[bytes, list[str]]:
        found: dict[bytes, list[str]] = {}
        for name, source in self.sources.items():
            for base in set(_INCLUDED.findall(source.data)):
                found.setdefault(base, []).append(name)
        return found

    def naming(self, name: str) -> list[str]:
        """The files that are no C and have the name in them."""
        word = re.compile(rb"\b" + re.escape(name.encode()) + rb"\b")
        return [path for path, data in self.others.items() if word.search(data)]

    def occurrences(self, source: Source, name: str) -> Iterator[Occurrence]:
        """Where `name` is neither a member, a tag or a label, nor something that a block declares."""
        leaves = [(word, None if word.directive else source.leaf(word)) for word in source.named.get(name, ())]
        found = [(word, None if node is None or self._doubtful(source, node) else node) for word, node in leaves]
        scopes = [scope for _, node in found if node is not None and (scope := local_scope(node))]
        for word, node in found:
            if node is not None and (_apart(node) or local_scope(node)):
                continue
            if any(scope.start <= word.span.start < scope.end for scope in scopes):
                continue
            yield Occurrence(source, word, node)

    def _doubtful(self, source: Source, node: Node) -> bool:
        """Whether what reads as a declaration may be a statement behind a macro: `for_each(i) name = f;`."""
        declares = declaration_of(node)
        base = declares.child_by_field_name("type") if declares is not None else None
        return base is not None and (base.type == "macro_type_specifier" or source.text(base) in self.macros)


def constant(project: Project, name: str) -> bool:
    """Whether all that is done with an object is to set pointers to const to its address."""
    readers = {v.name for v in project.variables if v.declarator.shape == ("pointer",) and "const" in v.storage}
    for source in project.sources.values():
        for one in project.occurrences(source, name):
            if one.node is None:
                return False
            address = one.node.parent
            setting = address.parent if address is not None else None
            if declaration_of(one.node) is not None:
                continue
            if address is None or setting is None or source.text(address).replace(" ", "") != f"&{name}":
                return False
            target = setting.child_by_field_name("left" if setting.type == "assignment_expression" else "declarator")
            names = re.findall(r"\w+", source.text(target)) if target is not None else [""]
            if setting.type not in ("assignment_expression", "init_declarator") or names[-1] not in readers:
                return False
    return True


def declaration_of(node: Node) -> Node | None:
    """What declares by the name `node`: a declaration, a parameter, a function's definition, an enumerator, a list of
    parameters of 1978; None if the name is used there."""
    below, above = node, node.parent
    if above is not None and above.type in ("enumerator", "parameter_list"):
        return above
    while above is not None and above.type in _LINKS:
        named = above.child_by_field_name("declarator")
        if named is not None and named != below:
            return None
        below, above = above, above.parent
    if above is None or above.type not in (
        "declaration",
        "parameter_declaration",
        "function_definition",
        "type_definition",
    ):
        return None
    return above if below in above.children_by_field_name("declarator") else None


def local_scope(node: Node) -> Span | None:
    """Where the name `node` hides what the file declares, if it declares something in a block or as a parameter."""
    declares = declaration_of(node)
    if declares is None or declares.type == "function_definition":
        return None
    function = function_of(declares)
    if declares.type in ("parameter_declaration", "parameter_list"):
        body = function.child_by_field_name("body") if function else None
        if function is not None and body is not None and declares.end_byte <= body.start_byte:
            return Span(function.start_byte, function.end_byte)
        return Span(declares.start_byte, declares.end_byte)
    if function is None or any(
        child.type == "storage_class_specifier" and child.text == b"extern" for child in declares.children
    ):
        return None
    block = next(
        a for a in ancestors(declares) if a.type in ("compound_statement", "for_statement", "function_definition")
    )
    return Span(declares.start_byte if block.type != "function_definition" else block.start_byte, block.end_byte)


def _apart(node: Node) -> bool:
    """Members, labels and tags have names of their own."""
    if node.type in ("field_identifier", "statement_identifier"):
        return True
    above = node.parent
    return (
        node.type == "type_identifier"
        and above is not None
        and above.type in ("struct_specifier", "union_specifier", "enum_specifier")
        and above.child_by_field_name("name") == node
    )
