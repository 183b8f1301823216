# SPDX-License-Identifier: MIT
"""Function pointers at file scope: every place where one is named, and whether it can become a static call.

Knows what C makes of such a pointer. Every identifier that means it ends up as a use with its edit, or as a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from instrument.model import Edit, Span
from instrument.suggest import spelling
from instrument.suggest.accesses import Access, accesses
from instrument.suggest.declared import Variable
from instrument.suggest.entities import THREAD, constness, definition, entities, key_of, line_of, places
from instrument.suggest.finding import Finding
from instrument.suggest.model import Candidate, Role
from instrument.suggest.project import Project
from instrument.suggest.settle import Pointer, settle
from instrument.suggest.uses import Deed
from instrument.suggest.values import Value, value_of

_ATTRIBUTE = re.compile(rb"__attribute|__declspec|\basm\b|__asm|_Alignas|\[\[")
_MEANS = re.compile(
    rb"\b(?:static|extern|const|volatile|_Atomic|__thread|_Thread_local|_Alignas|__attribute\w*|__declspec)\b"
)
"""What a macro in a declaration may stand for that is no part of the type."""
_CONST = "it is const"
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
    types = [v.type for v in variables if v.type]
    initial = _starts(project, variables)
    pointer = Pointer(initial, all(t.void for t in types), all(t.zero for t in types))
    for one in places(project, found, variables, same):
        pointer.accesses += accesses(project, one)
    zero = settle(found, pointer)
    calls = [access for access in pointer.accesses if access.deed is Deed.CALL]
    _declarations(project, found, variables, calls, zero)
    found.linkage(first)
    if "static" in first.storage and not found.refusals and not any(use.role is Role.ASSIGN for use in found.uses):
        always = "it is always NULL" if initial.kind == "null" else "compilers call what it starts with already"
        found.refuse(f"nothing assigns it: {always}")
    return found


# ---- declarations ---------------------------------------------------------------------------------


def _starts(project: Project, variables: Sequence[Variable]) -> Value:
    """What it starts with: NULL if it does so in some configuration."""
    valued = [v for v in variables if v.declarator.value is not None]
    values = [value_of(v.source, v.declarator.value, project) for v in valued]
    return next((value for value in values if value.kind != "function"), values[0] if values else Value("null"))


def _declarations(
    project: Project, found: Finding, variables: Sequence[Variable], calls: Sequence[Access], zero: bool
) -> None:
    definitions = [v for v in variables if not v.extern]
    if not definitions:
        found.refuse("no file here defines it")
    if len({v.source.path for v in definitions}) > 1:
        found.refuse("several files define it", definitions[-1].source.place(definitions[-1].node.start_byte))
    valued = any(v.declarator.value is not None for v in definitions)
    if len(definitions) > 1 and any(
        v.declarator.value is None and v.source.arm(v.node.start_byte) for v in definitions
    ):
        found.refuse("its definition depends on the configuration")
    defined = False
    for v in variables:
        place = v.source.place(v.declarator.name.start_byte)
        if why := _unfit(project, v):
            found.refuse(constness(definitions, calls) if why is _CONST else why, place)
            continue
        defines = not v.extern and (v.declarator.value is not None or (not valued and not defined))
        if not defines:
            text, role = spelling.declare(found.key, v), Role.DECLARE
        else:
            defined, role = True, Role.DEFINE
            initial = value_of(v.source, v.declarator.value, project)
            if initial.why or initial.kind not in ("function", "null"):
                found.refuse(initial.why or "it starts with a value that is no function's name", place)
            text = spelling.define(found.key, v, initial, zero, project)
        start = min([v.node.start_byte, *(word.span.start for word in v.source.hides(line_of(v)))])
        span = Span(start, v.node.end_byte)
        found.use(role, place, None, [Edit(span, text.encode("utf-8", "surrogateescape"))])


def _unfit(project: Project, v: Variable) -> str | None:
    """Why a declaration cannot become one of a static call."""
    text = v.source.data[v.node.start_byte : v.node.end_byte]
    head = Span(v.node.start_byte, v.declarator.name.start_byte)
    inner = v.declarator.inner
    qualifiers = {v.source.text(c) for c in inner.named_children if c.type == "type_qualifier"} if inner else set()
    if not v.declarator.shape or v.declarator.shape == ("pointer",):
        qualifiers |= v.storage & {"const", "volatile", "_Atomic"}
    if "const" in qualifiers:
        return _CONST
    if qualifiers & {"volatile", "_Atomic"}:
        return f"it is {'volatile' if 'volatile' in qualifiers else '_Atomic'}"
    if THREAD.search(text):
        return "each thread has its own"
    if _ATTRIBUTE.search(text):
        return "it is declared with an attribute"
    for word in v.source.hides(line_of(v)):
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
