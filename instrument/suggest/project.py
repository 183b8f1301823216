# SPDX-License-Identifier: MIT
"""All files together: what they declare, and where a file's identifiers mean what is declared at file scope.

Knows C's scopes. Must not know what is done with a variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from instrument.lexer import Word
from instrument.model import Place, Span
from instrument.structure import function_name
from instrument.suggest import declared
from instrument.suggest.census import Census
from instrument.suggest.declared import Types, Variable
from instrument.suggest.model import Spot
from instrument.suggest.scopes import declaration_of, outermost
from instrument.suggest.source import Source, View, enclosed, function_of, loops_around

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
_VOLATILE = re.compile(rb"\btypedef\b[^;{}]*\bvolatile\b[^;{}]*?(\w+)\s*;")
_WORD = re.compile(rb"[A-Za-z_]\w*")
_ATTRIBUTED = re.compile(rb"__attribute|__declspec|\[\[|_Noreturn|\bnoreturn\b|\b(?:__)?asm")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An identifier that means what the file sees at file scope. `view` is the syntax around it, None where that is
    not known; `made` is each thing that the preprocessor makes of it, nothing where it sees none of it."""

    source: Source
    word: Word
    view: View | None
    made: tuple[View | None, ...] = ()

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
        self.census = Census()

    @cached_property
    def types(self) -> Types:
        return declared.types(list(self.sources.values()))

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(v for source in self.sources.values() for v in declared.variables(source, self.types))

    @property
    def names(self) -> frozenset[str]:
        """Those of the variables that the preprocessor is asked about: a macro of the same name would hide them."""
        return frozenset(v.name for v in self.variables) - self.macros.keys()

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

    def weak(self, function: str) -> bool:
        """Whether a function may be missing from the program."""
        return any(b"weak" in head or b"weak" in macros for head, macros in self._heads(function))

    def volatile(self, name: str, declaration: bytes | None = None) -> bool:
        """Whether `declaration`, or else some file's at file scope, declares a volatile variable of that name."""
        text = re.compile(rb"\b(?:%b)\b[^;{}()]*\b%b\b" % (b"|".join(self._volatile), re.escape(name.encode())))
        if declaration is not None:
            return text.search(declaration) is not None
        return any(text.search(each.data) for each in self.sources.values() if name in each.named)

    @cached_property
    def _volatile(self) -> list[bytes]:
        """What makes a declaration one of something volatile: the word, or a type with it."""
        types = (name for each in self.sources.values() for name in _VOLATILE.findall(each.data))
        return [b"volatile", b"__volatile__", b"__volatile", *sorted(set(types))]

    @cached_property
    def objects(self) -> frozenset[str]:
        """The names of what is no function that files declare at file scope."""
        found: set[str] = set()
        for source in self.sources.values():
            for node in source.externals():
                for each in node.children_by_field_name("declarator") if node.type == "declaration" else ():
                    known = declared.declarator(each)
                    if known is not None and known.shape[:1] != ("function",):
                        found.add(source.text(known.name))
        return frozenset(found)

    def visibility(self, macro: str) -> bool:
        """Whether a macro says no more than that other objects may see what is declared, as they may every key."""
        return all(_VISIBLE.fullmatch(body) for body in self.macros[macro])

    def pasting(self, path: str, line: int) -> str | None:
        """The macro on a line of a file that makes names by ##, perhaps by another macro."""
        source = self.sources.get(path)
        words = [w for w in source.words if source.place(w.span.start).line == line] if source is not None else []
        return next((w.text for w in words if w.text in self.macros and self._pastes(w.text)), None)

    def _pastes(self, macro: str, above: tuple[str, ...] = ()) -> bool:
        bodies = self._bodies.get(macro, ())
        inner = {word.decode() for body in bodies for word in _WORD.findall(body)} & self.macros.keys()
        return any(b"##" in body for body in bodies) or any(
            self._pastes(name, (*above, macro)) for name in inner - {macro, *above}
        )

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
        """Where `name` means what the file sees at file scope: by what the preprocessor makes of it, and by the text
        where it makes nothing."""
        words = [word for word in source.named.get(name, ()) if not source.parameter(word)]
        views = {word: source.view(word) for word in words}
        nodes = [(word, self._certain(source, views[word])) for word in words if word.directive is None]
        outer = dict(outermost(nodes))
        for word in words:
            place, view = source.place(word.span.start), views[word]
            if place in self.census.seen:
                if made := self.census.made.get(place):
                    yield Occurrence(source, word, view, tuple(made))
            elif word in outer:
                yield Occurrence(source, word, view if outer[word] is not None else None)
            elif word.directive is not None and (view is None or outermost([(word, view.node)])):
                yield Occurrence(source, word, view)

    def _certain(self, source: Source, view: View | None) -> Node | None:
        return None if view is None or self._doubtful(source, view.node) else view.node

    def _doubtful(self, source: Source, node: Node) -> bool:
        """Whether what reads as a declaration may be a statement behind a macro: `for_each(i) name = f;`."""
        declares = declaration_of(node)
        base = declares.child_by_field_name("type") if declares is not None else None
        return base is not None and (base.type == "macro_type_specifier" or source.text(base) in self.macros)


def constant(project: Project, name: str) -> bool:
    """Whether all that is done with an object is to set pointers to const to its address."""
    readers = {v.name for v in project.variables if v.declarator.shape == ("pointer",) and "const" in v.storage}
    places = [one for source in project.sources.values() for one in project.occurrences(source, name)]
    views = [view for one in places for view in one.made or (one.view,)]
    return name not in project.census.strangers and all(view is not None and _aims(view, readers) for view in views)


def _aims(view: View, readers: Set[str]) -> bool:
    """Whether an object is declared there, or a pointer of `readers` is set to its address."""
    address = view.node.parent
    _, setting = enclosed(address) if address is not None else (None, None)
    if declaration_of(view.node) is not None:
        return True
    text = view.source.text(address).replace(" ", "") if address is not None else ""
    if setting is None or text != f"&{view.source.text(view.node)}":
        return False
    if setting.type not in ("assignment_expression", "init_declarator"):
        return False
    target = setting.child_by_field_name("left" if setting.type == "assignment_expression" else "declarator")
    names = re.findall(r"\w+", view.source.text(target)) if target is not None else [""]
    return names[-1] in readers
