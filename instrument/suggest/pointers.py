# SPDX-License-Identifier: MIT
"""Function pointers at file scope: every place where one is named, and whether it can become a static call.

Knows what C makes of such a pointer. Every identifier that means it ends up as a use with its edit, or as a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from instrument.model import Edit, Span
from instrument.suggest import spelling
from instrument.suggest.declared import Variable
from instrument.suggest.entities import definition, entities, key_of, places
from instrument.suggest.finding import Finding
from instrument.suggest.model import Candidate, Role
from instrument.suggest.project import Occurrence, Project, declaration_of
from instrument.suggest.source import function_of, span_of
from instrument.suggest.uses import Deed, seen, seen_in_macro
from instrument.suggest.values import value_of

_ATTRIBUTE = re.compile(rb"__attribute|__declspec|\basm\b|__asm|_Alignas|\[\[")
_THREAD = re.compile(rb"\b(?:__thread|_Thread_local|thread_local)\b")
_MEANS = re.compile(
    rb"\b(?:static|extern|const|volatile|_Atomic|__thread|_Thread_local|_Alignas|__attribute\w*|__declspec)\b"
)
"""What a macro in a declaration may stand for that is no part of the type."""
_STORAGE = frozenset(("static", "extern"))


def candidates(project: Project) -> Iterator[Candidate]:
    """Every function pointer at file scope that is called somewhere."""
    pointers = [v for v in project.variables if v.type and v.type.pointer]
    names = dict.fromkeys(v.name for v in pointers)
    for name in names:
        same = [v for v in project.variables if v.name == name]
        groups = entities([v for v in pointers if v.name == name])
        for variables in groups:
            found = _examined(project, key_of(name, variables, len(groups) > 1), variables, same)
            if any(use.role is Role.CALL for use in found.uses):
                yield found.done()


def _examined(project: Project, key: str, variables: Sequence[Variable], same: Sequence[Variable]) -> Finding:
    first = definition(variables)
    found = Finding(project, key, first.name, first.source.place(first.declarator.name.start_byte))
    _declarations(project, found, variables)
    void = all(v.type and v.type.void for v in variables)
    for one in places(project, found, variables, same):
        _occurrence(project, found, one, void)
    found.linkage(first)
    if "static" in first.storage and not found.refusals and not any(use.role is Role.ASSIGN for use in found.uses):
        null = value_of(first.source, first.declarator.value, project).kind == "null"
        changing = next((n for u in found.uses for n in u.inside if n in project.makers), None)
        always = "it is always NULL" if null else "compilers call what it starts with already"
        found.refuse(f"the macro {changing} may change it" if changing else f"nothing assigns it: {always}")
    return found


# ---- declarations ---------------------------------------------------------------------------------


def _declarations(project: Project, found: Finding, variables: Sequence[Variable]) -> None:
    definitions = [v for v in variables if not v.extern]
    if not definitions:
        found.refuse("no file here defines it")
    if len({v.source.path for v in definitions}) > 1:
        found.refuse("several files define it", definitions[-1].source.place(definitions[-1].node.start_byte))
    valued = any(v.declarator.value is not None for v in definitions)
    if len(definitions) > 1 and any(
        v.declarator.value is None and v.source.conditions(v.node.start_byte) for v in definitions
    ):
        found.refuse("its definition depends on the configuration")
    defined = False
    for v in variables:
        place = v.source.place(v.declarator.name.start_byte)
        if why := _unfit(project, v):
            found.refuse(why, place)
            continue
        defines = not v.extern and (v.declarator.value is not None or (not valued and not defined))
        if not defines:
            text, role = spelling.declare(found.key, v), Role.DECLARE
        else:
            defined, role = True, Role.DEFINE
            initial = value_of(v.source, v.declarator.value, project)
            if initial.why or initial.kind not in ("function", "null"):
                found.refuse(initial.why or "it starts with a value that is no function's name", place)
            text = spelling.define(found.key, v, initial, project)
        start = min([v.node.start_byte, *(word.span.start for word in v.source.hides(_line(v)))])
        span = Span(start, v.node.end_byte)
        found.use(role, place, None, [Edit(span, text.encode("utf-8", "surrogateescape"))])


def _line(v: Variable) -> Span:
    """The declaration, from the start of its line: macros may stand before it."""
    return Span(v.source.data.rfind(b"\n", 0, v.node.start_byte) + 1, v.node.end_byte)


def _unfit(project: Project, v: Variable) -> str | None:
    """Why a declaration cannot become one of a static call."""
    text = v.source.data[v.node.start_byte : v.node.end_byte]
    head = Span(v.node.start_byte, v.declarator.name.start_byte)
    inner = v.declarator.inner
    qualifiers = {v.source.text(c) for c in inner.named_children if c.type == "type_qualifier"} if inner else set()
    if not v.declarator.shape or v.declarator.shape == ("pointer",):
        qualifiers |= v.storage & {"const", "volatile", "_Atomic"}
    if "const" in qualifiers:
        return "it is const: compilers call what it points to already"
    if qualifiers & {"volatile", "_Atomic"}:
        return f"it is {'volatile' if 'volatile' in qualifiers else '_Atomic'}"
    if _THREAD.search(text):
        return "each thread has its own"
    if _ATTRIBUTE.search(text):
        return "it is declared with an attribute"
    for word in v.source.hides(_line(v)):
        if not project.visibility(word.text):
            return f"it is declared with the macro {word.text}"
    for word in v.source.words_in(head):
        if any(_MEANS.search(body) or not body for body in project.macros.get(word.text, ())):
            return f"it is declared with the macro {word.text}"
    base = v.node.child_by_field_name("type")
    if base is not None and base.child_by_field_name("body"):
        return "a type is defined in its declaration"
    if v.node.has_error or not text.endswith(b";") or _unknown(v):
        return "the syntax around it is not understood"
    if v.source.split(v.node):
        return "a directive stands in its declaration"
    if not v.alone:
        return "it is declared together with others"
    if not v.source.path.endswith(".c") and not v.extern:
        return "a header defines it: each file that includes it may have its own"
    if v.storage - _STORAGE - {"const", "volatile"}:
        return f"it is declared {' '.join(sorted(v.storage - _STORAGE))}"
    return None


def _unknown(v: Variable) -> bool:
    """Whether a word stands beside `unsigned` and the like that cannot be a type."""
    base = v.node.child_by_field_name("type")
    return (
        base is not None
        and base.type == "sized_type_specifier"
        and any(child.type == "type_identifier" for child in base.children)
    )


# ---- uses -----------------------------------------------------------------------------------------


def _occurrence(project: Project, found: Finding, one: Occurrence, void: bool) -> None:
    node, source, key = one.node, one.source, found.key
    if node is None and one.word.line is None:
        found.refuse("the syntax around it is not understood", one.place)
        return
    if node is not None and (declares := declaration_of(node)):
        local = function_of(declares) is not None and declares.type != "function_definition"
        found.refuse("a function declares it again" if local else "the name is declared as something else", one.place)
        return
    deed = seen(source, node) if node is not None else seen_in_macro(source, one.word)[0]
    if deed.deed is Deed.ELSEWHERE:
        return
    if deed.deed is Deed.REFUSED or deed.span is None:
        found.refuse(deed.why, one.place)
    elif deed.deed is Deed.CALL:
        guard = spelling.guarded(source, node, found.name, project) if node is not None and void else None
        edits = (
            spelling.conditional(key, guard, deed.span)
            if guard
            else [Edit(deed.span, b"static_call(%b)" % key.encode())]
        )
        found.use(Role.CALL, one.place, node, edits, macro=one.word.macro)
    elif deed.deed is Deed.READ and node is None and project.called(one.word.macro or "", found.name):
        edits = [Edit(deed.span, b"static_call(%b)" % key.encode())]
        found.use(Role.CALL, one.place, None, edits, macro=one.word.macro)
    elif deed.deed is Deed.READ:
        tested = node is not None and void and spelling.tests_guard(source, node, found.name, project)
        edits = [] if tested else [Edit(deed.span, b"static_call_query(%b)" % key.encode())]
        found.use(Role.TEST if tested else Role.READ, one.place, node, edits)
    else:
        assert deed.value is not None
        value = value_of(source, deed.value, project)
        found.judge(value, one.place)
        found.use(Role.ASSIGN, one.place, node, spelling.update(key, deed.span, span_of(deed.value)), value.name)
