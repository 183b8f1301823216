# SPDX-License-Identifier: MIT
"""What the program does with one pointer or member at one word: as the preprocessor has it, and where an edit may be.

Knows C's expressions. Must not know how a static call is written. What the preprocessor makes of a word decides what
it does; the file's own text only tells which bytes to replace, and must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrument.model import Place, Span
from instrument.suggest.project import Occurrence, Project
from instrument.suggest.scopes import declaration_of
from instrument.suggest.source import View, calls_around, function_of
from instrument.suggest.uses import READS, Deed, Seen, accessed, seen
from instrument.value import replace

if TYPE_CHECKING:
    from tree_sitter import Node

_PARENTHESIS = re.compile(rb"\s*\(")


@dataclass(frozen=True, slots=True)
class Made:
    """One thing that a word does: `node` is the pointer, or the member that is reached by it."""

    view: View
    node: Node
    seen: Seen

    @property
    def function(self) -> Node | None:
        return function_of(self.view.node)


@dataclass(frozen=True, slots=True)
class Access:
    """A word, and the `member` that it reaches, "" for what the word itself means.

    `deed` is what an edit of `span` must keep, `why` tells why none can. `own` is what the file's text says, `made`
    each thing that the preprocessor makes of it, which is `own` alone where it is not `compiled`. `spelled` is the
    member as the text has it.
    """

    place: Place
    member: str
    deed: Deed
    span: Span
    own: Made | None
    made: tuple[Made, ...]
    compiled: bool
    macro: str | None
    why: str = ""
    spelled: str = ""


def accesses(project: Project, one: Occurrence, operator: str = "") -> Iterator[Access]:
    """What a word does, by the members that it reaches; `operator` stands before those of the object it names."""
    own = _made(one.view, operator)
    if not one.made:
        yield _alone(project, one, own)
        return
    members: dict[str, list[Made]] = {}
    for view in one.made:
        made = _made(view, operator)
        if made is None:
            yield _refused(one, own, own[1] if own else "", "the syntax around it is not understood")
            return
        members.setdefault(made[1], []).append(made[0])
    for member, each in members.items():
        mine = own[0] if own and own[1] == member and len(members) == 1 else None
        access = _joined(project, one, member, each, mine)
        yield replace(access, spelled=own[1] if own else member)


def _made(view: View | None, operator: str) -> tuple[Made, str] | None:
    if view is None:
        return None
    node, member = accessed(view, operator)
    if declares := declaration_of(view.node):
        local = function_of(declares) is not None and declares.type != "function_definition"
        why = "a function declares it again" if local else "the name is declared as something else"
        return Made(view, node, Seen(Deed.REFUSED, why=why)), member
    return Made(view, node, seen(view.source, node)), member


def _refused(one: Occurrence, own: tuple[Made, str] | None, member: str, why: str) -> Access:
    made = (own[0],) if own else ()
    return Access(one.place, member, Deed.REFUSED, one.word.span, None, made, False, one.word.macro, why)


def _alone(project: Project, one: Occurrence, own: tuple[Made, str] | None) -> Access:
    """By the file's own text."""
    word = one.word
    if own is None or word.directive not in (None, "define"):
        why = "the syntax around it is not understood"
        if word.directive == "define":
            why = "a macro has its name" if word.macro == word.text else f"the macro {word.macro} may change it"
        elif word.directive is not None:
            why = f"a directive names it: #{word.directive}"
        return _refused(one, own, own[1] if own else "", why)
    made, member = own
    seen = made.seen
    if word.macro and (seen.deed in (Deed.ASSIGN, Deed.REFUSED) or _parameter(one, member)):
        return _refused(one, None, member, f"the macro {word.macro} may change it")
    if seen.deed is Deed.REFUSED or seen.node is None:
        return _refused(one, own, member, seen.why)
    return Access(one.place, member, seen.deed, made.view.span(seen.node), made, (made,), False, word.macro)


def _parameter(one: Occurrence, member: str) -> bool:
    line = one.word.line
    words = one.source.named.get(member, ())
    return line is not None and any(w.line == line and w.span.start < line.start for w in words)


def _joined(project: Project, one: Occurrence, member: str, made: Sequence[Made], own: Made | None) -> Access:
    """By all that is made of the word, which one edit must be right for."""
    if own is not None and own.seen.deed is Deed.REFUSED:
        own = None  # misread: the preprocessor's text has the last word
    deeds = {each.seen.deed for each in made}
    deeds = deeds - {Deed.TYPE} or deeds
    whys = [each.seen.why for each in made if each.seen.deed is Deed.REFUSED]
    deed, span, why = Deed.READ, one.word.span, ""
    stands = own.seen.node if own is not None else None
    macro = _macro(project, one)
    if whys:
        deed, why = Deed.REFUSED, whys[0]
    elif Deed.ASSIGN in deeds:
        deed = Deed.ASSIGN
        if deeds != {Deed.ASSIGN} or own is None or own.seen.deed is not Deed.ASSIGN:
            why = f"{macro} may change it"
    elif deeds == {Deed.CALL}:
        named = own is not None and (own.seen.deed is Deed.CALL or (own.seen.deed in READS and one.word.macro))
        deed = Deed.CALL if named or own is None else Deed.READ
    elif len(deeds) == 1:
        (deed,) = deeds
    if own is not None and stands is not None:
        span = own.view.span(stands)
    elif not why:
        span, why = _spelled(one, member, deed, macro)
    return Access(one.place, member, Deed.REFUSED if why else deed, span, own, tuple(made), True, one.word.macro, why)


def _spelled(one: Occurrence, member: str, deed: Deed, macro: str) -> tuple[Span, str]:
    """Where an access stands in a text that is not understood, and why nowhere."""
    data, span = one.source.data, one.word.span
    if member:
        m = re.compile(rb"\s*(?:\.|->)\s*%b\b" % re.escape(member.encode())).match(data, span.end)
        if m is None:
            return span, f"{macro} makes it of other words"
        span = Span(span.start, m.end())
    if deed is Deed.CALL and not _PARENTHESIS.match(data, span.end):
        return span, f"{macro} calls it"
    return span, "" if deed is not Deed.ASSIGN else f"{macro} may change it"


def _macro(project: Project, one: Occurrence) -> str:
    """What stands between the text and what the preprocessor makes of it."""
    around = calls_around(one.view.node) if one.view is not None else ()
    name = one.word.macro or next((name for name in around if name in project.macros), None)
    return f"the macro {name}" if name else "a macro"
