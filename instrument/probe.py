# SPDX-License-Identifier: MIT
"""One translation unit, asked: which calls are live with which keys, and what type each key has.

Knows the steps of asking (docs/design.md section 2), and how to read the preprocessor's text. Must not know other
units, or what is done with the answer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from instrument import ccflags, compiler, inlining, keytypes, markers, surroundings
from instrument.compiler import Rejected
from instrument.diagnostics import Finding
from instrument.folded import Folded, fold, replaced
from instrument.keytypes import DECLARED, NAME, decoded
from instrument.lexer import Group
from instrument.markers import Mark
from instrument.model import Api, Edit, Key, Place, Span, Unit
from instrument.preprocessed import declarations, groups
from instrument.shadow import SITE, Shadow
from instrument.value import dataclass, field, replace

# Each begins with a literal, which `re` looks for ten times as fast as for anything else.
_SITE = re.compile(SITE.encode() + rb"(\d+)\b")
_KEY = re.compile(rb"__SC[KT]__(?<![\w$]__SC[KT]__)(?<!struct static_call_key __SC[KT]__)(" + NAME + rb")")
_LOADED = re.compile(rb"__static_call_load(?:_cond)?\(&__SCK__(" + NAME + rb")")
"""A call that no token shows: by another name for static_call, or by one that is pasted."""
_BARE = re.compile(rb"^[ \t]*(?:DECLARE|DEFINE)_STATIC_CALL(?:_NULL|_RET0)?[ \t]*\(", re.MULTILINE)
_IS_2018 = b"__scm_2018"
_NAMED = re.compile(rb"__SC[KT]__(?<![\w$]__SC[KT]__)" + NAME)
_IDENTIFIER = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """`uses` is by site number; `nameless` are uses whose first argument is no identifier, with its text.

    `failure` is set where the compiler rejects the unit, and then nothing else is. `strangers` are the calls of
    a unit that never reads static_call.h: what they call is none of ours, unless it is `bare`: a declaration of a key
    is left in its preprocessed text, where a macro should have taken it. `hidden` are the keys that are called by no
    token of the API; `barred` tells why no call of the unit can be an asm, `exposed` which calls cannot for the
    functions that they may be part of, and `exposed_keys` which hidden ones. `outside` are the
    files that were read and do not lie in the tree. `undeclared` are the keys that a
    function's body names and nothing declares.
    """

    unit: Unit
    reached: frozenset[str] = frozenset()
    uses: Mapping[int, frozenset[str]] = field(default_factory=dict)
    nameless: Mapping[int, str] = field(default_factory=dict)
    stringized: frozenset[int] = frozenset()
    hidden: frozenset[str] = frozenset()
    barred: str | None = None
    exposed: frozenset[int] = frozenset()
    exposed_keys: frozenset[str] = frozenset()
    avx512: bool = False
    whole: frozenset[int] = frozenset()
    strangers: frozenset[int] = frozenset()
    bare: bool = False
    undeclared: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    defined: frozenset[str] = frozenset()
    keys: Mapping[str, Key] = field(default_factory=dict)
    outside: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    failure: Finding | None = None

    @property
    def sound(self) -> bool:
        """Whether the compiler takes the unit, all its calls are ours, and every key that it uses is declared."""
        if self.failure or self.nameless or self.undeclared or self.strangers:
            return False
        return all(keys <= self.declared for keys in self.uses.values())


def ask(unit: Unit, tree: Shadow, include_dir: Path, number: int, copied: bool = True) -> Answer:
    """Everything that the compiler says of `unit`; `number` tells its scratch file from the others'.

    `copied` tells that a copy of the tree will be compiled, which must then be whole.
    """
    unit = replace(unit, command=ccflags.quiet(unit.command, unit.cwd))
    scratch = tree.scratch / f"{number}.o"
    try:
        text = compiler.preprocess(unit, tree, include_dir)
        marks = markers.marks(text)
        if not marks:
            raise Rejected(f"'{unit.command[0]} -E' has put out no preprocessed text with line markers")
        own = fold(unit, tree, text, marks)
        sites = groups(own.text, _SITE) if SITE.encode() in own.text else []
        first = markers.entry(unit, include_dir, marks)
        if first is None:
            strangers = frozenset(_number(group) for group in sites)
            bare = _BARE.search(own.text) is not None
            outside = _outside(unit, tree, marks)
            return Answer(unit, _reached(unit, tree, marks), strangers=strangers, bare=bare, outside=outside)
        answer = replace(_read(unit, tree, text, marks, own, sites), outside=_outside(unit, tree, marks))
        found = declarations(own.text) if answer.declared or _KEY.search(own.text) else []
        bodies = [declaration.body for declaration in found if declaration.body]
        toplevel = replaced(own.text, [Edit(body, b";") for body in bodies])
        loaded = {m.start(): decoded(m[1]) for m in _LOADED.finditer(own.text)}
        called = {group.name.start: _number(group) for group in sites}
        exposed = inlining.exposed(own.text, found, [*loaded, *called])
        answer = replace(
            answer,
            barred=surroundings.obstacle(own.text, toplevel),
            exposed=frozenset(number for at, number in called.items() if at in exposed),
            exposed_keys=frozenset(key for at, key in loaded.items() if at in exposed),
            avx512=surroundings.AVX512 in text,
            hidden=frozenset(loaded.values()),
            whole=_whole(text, tree, sites),
            undeclared=_undeclared(own.text, toplevel, bodies) - answer.declared,
            findings=tuple(markers.foreign(unit, tree, include_dir, text, marks)) if copied else (),
        )
        hidden = markers.unseen(unit, tree, first) if copied else None
        if hidden and not answer.findings and (answer.declared or sites):
            answer = replace(answer, findings=(hidden,))
        # An undeclared key is a finding of its own; the compiler would only say the same again.
        if answer.sound and answer.declared:
            calls = list(_callees(sites, tree, answer.whole))
            typed = keytypes.read(unit, own, bodies, calls, answer.declared, scratch, whole_text=copied)
            return replace(answer, keys=typed.keys, defined=typed.defined)
        if answer.sound and not sites:
            # Nothing is to be learned, but whether it is C.
            compiler.compile_text(unit, own.unfold(own.text), ("-fsyntax-only",), scratch)
        return answer
    except keytypes.WrongMachineError:
        return replace(answer, findings=(*answer.findings, _wrong_machine(unit, tree)))
    except Rejected as e:
        from instrument import rejection

        return Answer(unit, failure=rejection.finding(unit, tree, include_dir, str(e)))


# ---- what went wrong --------------------------------------------------------------------------------


def _wrong_machine(unit: Unit, tree: Shadow) -> Finding:
    place = Place(tree.source(unit), 1, 1)
    return Finding("IN005", "the compiler makes code for another machine than 64-bit x86-64", place)


# ---- reading the preprocessor's text --------------------------------------------------------------


def _read(
    unit: Unit, tree: Shadow, text: bytes, marks: Sequence[Mark], own: Folded, sites: Sequence[Group]
) -> Answer:
    uses: dict[int, set[str]] = {}
    nameless: dict[int, str] = {}
    for group in sites:
        if group.parens is None:
            continue
        number, key = _number(group), group.first
        if _IDENTIFIER.fullmatch(key):
            uses.setdefault(number, set()).add(key)
        else:
            nameless[number] = key
    tokens = {group.name.start for group in sites}
    return Answer(
        unit,
        _reached(unit, tree, marks),
        {number: frozenset(keys) for number, keys in uses.items()},
        nameless,
        frozenset(int(m[1]) for m in _SITE.finditer(own.text) if m.start() not in tokens),
        declared=frozenset(decoded(m[1]) for m in DECLARED.finditer(text)),
    )


def _callees(sites: Sequence[Group], tree: Shadow, whole: frozenset[int]) -> Iterator[Edit]:
    """Each call with the key's own function in its place, so that the text means what it did."""
    for group in sites:
        if group.parens is None:
            continue
        # A pointer, as the header has it: __typeof__ of it declares no function.
        callee = b"(&__SCT__" + group.first.encode("utf-8", "surrogateescape") + b")"
        if tree.sites[_number(group)].token.api is Api.COND:
            callee = b"(void)" + callee
        if group.rest is not None:
            yield Edit(Span(group.name.start, group.rest.start), callee + b"(")
        else:
            call = b"()" if _number(group) in whole else b""
            yield Edit(Span(group.name.start, group.parens.end), callee + call)


def _whole(text: bytes, tree: Shadow, sites: Sequence[Group]) -> frozenset[int]:
    """The sites whose one argument makes them a call: static_call() with -DSTATIC_CALL_2018."""
    if _IS_2018 not in text:
        return frozenset()
    return frozenset(number for number in map(_number, sites) if tree.sites[number].token.api is Api.CALL)


def _number(group: Group) -> int:
    return int(group.text[len(SITE) :])


def _reached(unit: Unit, tree: Shadow, marks: Sequence[Mark]) -> frozenset[str]:
    names = {tree.name(file, unit.cwd) for file in {m.file for m in marks}}
    return frozenset(name for name in names if name and (tree.top / name).is_file())


def _outside(unit: Unit, tree: Shadow, marks: Sequence[Mark]) -> frozenset[str]:
    """The files that do not lie in the tree, by their own paths."""
    paths = {os.path.normpath(unit.cwd / mark.file) for mark in marks if tree.inside(mark.file, unit.cwd) is None}
    return frozenset(own for path in paths if os.path.isfile(own := tree.original(path)))  # noqa: PTH113


def _undeclared(text: bytes, outside: bytes, bodies: Sequence[Span]) -> frozenset[str]:
    """The keys that are named in functions' bodies only, which the compiler is not shown."""
    inside = {decoded(m[1]) for body in bodies for m in _KEY.finditer(text, body.start, body.end)}
    return frozenset(inside - {decoded(m[0][len("__SCK__") :]) for m in _NAMED.finditer(outside)})
