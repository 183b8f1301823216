# SPDX-License-Identifier: MIT
"""Which form each key and each call site gets, and why. Pure: no files, no templates.

Leaving a call's text as it is, is always right: the generated header defines static_call() so that a hidden call
pastes to the same wrapper as a visible one. Rewriting makes the visible ones explicit, so it is done only where
the text's meaning is known for certain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from functools import lru_cache

from instrument import classify, declare, lexer, wrapper
from instrument.model import (
    Api,
    Fate,
    Form,
    Key,
    KeyPlan,
    Mode,
    Refusal,
    Resolution,
    Scanned,
    SitePlan,
    Span,
    Spelling,
    Token,
    Use,
)
from instrument.value import dataclass, replace

WRAPPER = "__SCW__"
TRAMPOLINE = "__SCT__"

LINE_END = re.compile(rb"[\r\n]")
TRIGRAPH = re.compile(rb"\?\?[/=]")


@dataclass(frozen=True, slots=True)
class Plan:
    """`sites` has every call token of every file, in the order of the text."""

    keys: tuple[KeyPlan, ...]
    sites: Mapping[str, tuple[SitePlan, ...]]


def plan_key(key: Key, mode: Mode, barred: str | None = None) -> KeyPlan:
    """The highest form that is certainly right for the key.

    `barred`: why no asm can stand for a call of it whose text must stay, so that the header's macro decides for all
    calls alike.
    """
    refusal: Refusal | None
    if mode is Mode.DIRECT:
        return KeyPlan(key, Form.DIRECT, None, None)
    if mode is Mode.TRAMPOLINE:
        return KeyPlan(key, Form.TRAMPOLINE, None, Refusal("IN035", "the mode is trampoline"))
    if key.type is None:
        refusal = Refusal("IN025", key.trouble or "the type is not known")
    elif key.option:
        refusal = Refusal("IN024", f"a file that declares it is compiled with {key.option}")
    elif key.block:
        refusal = Refusal("IN027", f"'{key.name}' is declared inside a function")
    elif why := barred or key.barred:
        refusal = Refusal("IN029", f"'{key.name}' is called by a macro, and {why}")
    else:
        signature = classify.classify(key.type)
        if isinstance(signature, Refusal):
            refusal = signature
        elif unnameable := declare.unnameable(key.type) or wrapper.unnameable(signature):
            refusal = Refusal("IN026", unnameable)
        elif wrapper.operands(signature, stack_pointer=1) > wrapper.MAX_OPERANDS:
            refusal = Refusal("IN021", f"its registers are more than the {wrapper.MAX_OPERANDS} operands of an asm")
        elif key.inexact:
            refusal = Refusal("IN026", "the compiler has the type otherwise than C can spell it here")
        else:
            return KeyPlan(key, Form.INLINE, signature, None)
    return KeyPlan(key, Form.TRAMPOLINE, None, refusal)


def left(token: Token, use: Use, data: bytes, complete: bool = True) -> Refusal | None:
    """Why a live call's text must stay, or None if it may be rewritten.

    `complete` tells that the compiler was asked about every file that includes this one.
    """
    if token.macro is not None:
        return Refusal("IN030", f"written inside the macro '{token.macro}'")
    if use.stringized:
        return Refusal("IN031", "its text also becomes a string")
    if len(use.keys) > 1:
        return Refusal("IN032", "it reaches " + ", ".join(use.keys))
    if token.rest is not None and token.api is not Api.CALL:
        return Refusal("IN003", f"'{token.api}' takes a key alone; arguments go into parentheses of their own")
    if use.whole and token.rest is None:
        return Refusal("IN028", "with STATIC_CALL_2018 it is a whole call, and the next parentheses call its result")
    if token.spelling is Spelling.VALUE:
        return Refusal("IN028", "the callee is used as a value")
    if torn := _torn(callee_span(token), data):
        return torn
    if use.keys[0] != token.key:
        return Refusal("IN034", f"'{token.key}' is a macro for '{use.keys[0]}'")
    if not complete:
        return Refusal("IN037", "not every file that includes this one was asked")
    return None


def _torn(span: Span, data: bytes) -> Refusal | None:
    """Why a call's text over several lines must stay.

    gcc takes directives inside of a macro's arguments, and an edit over one would swallow it. Where trigraphs are
    on (-std=c11), ??/ at a line's end makes it go on, and what starts with ??= is a directive, whose lines must
    not be torn apart; where they are off (-std=gnu11) neither is so, and a file does not say which.
    """
    text = data[span.start : span.end]
    if not LINE_END.search(text):
        return None
    if lexer.holds_directive(text):
        return Refusal("IN036", "a directive stands inside of it")
    if _has_trigraphs(data):
        return Refusal("IN039", "it has several lines in a file with trigraphs")
    return None


@lru_cache(maxsize=1)
def _has_trigraphs(data: bytes) -> bool:
    return TRIGRAPH.search(data) is not None


def callee_span(token: Token) -> Span:
    """What is replaced: the text up to the parenthesis that opens the arguments, or, in the 2018 spelling, up to
    the first of them. `static_call(key, a)(b)` is that spelling too: it calls what key's function returns."""
    assert token.parens is not None
    if token.rest is not None:
        return Span(token.name.start, token.rest.start)
    return Span(token.name.start, token.parens.end)


def replacement(token: Token, form: Form) -> str:
    """What stands in place of the callee's span."""
    callee = (WRAPPER if form is Form.INLINE else TRAMPOLINE) + token.key
    if token.api is Api.COND:
        callee = "(void)" + callee
    return callee + "(" if token.rest is not None else callee


def plan_site(token: Token, use: Use, keys: Mapping[str, KeyPlan], data: bytes, complete: bool = True) -> SitePlan:
    """What becomes of one call token of the file `data`."""
    if not use.keys:
        stay = Refusal("IN033", "no translation unit compiles this call")
        return SitePlan(token, use, Fate.INACTIVE, stay=stay)
    plans = [keys[name] for name in use.keys]
    forms = tuple(plan.form for plan in plans)
    refusal = next((plan.refusal for plan in plans if plan.form is Form.TRAMPOLINE), None)
    stay_text = left(token, use, data, complete)
    if stay_text:
        return SitePlan(token, use, Fate.MACRO, forms, refusal, stay_text)
    if use.barred and forms == (Form.INLINE,):
        forms = (Form.TRAMPOLINE,)
        refusal = Refusal("IN029", use.barred)
    span, text = callee_span(token), replacement(token, forms[0])
    return SitePlan(token, use, Fate.REWRITTEN, forms, refusal, span=span, text=text)


def described(sites: tuple[SitePlan, ...], data: bytes) -> tuple[SitePlan, ...]:
    """The sites of the file `data`, and what surrounds them."""
    if not sites:
        return ()
    from instrument import structure  # tree-sitter: 25 ms, only for readers of a listing

    around = structure.structures(data, [site.token.name.start for site in sites])
    return tuple(
        replace(site, function=where.function, unevaluated=where.unevaluated)
        for site, where in zip(sites, around, strict=True)
    )


def hidden_barred(
    scanned: Mapping[str, Scanned], contents: Mapping[str, bytes], resolution: Resolution, incomplete: Set[str]
) -> dict[str, str]:
    """Keys that a call whose text must stay reaches where no asm can stand for it, and why."""
    reached: dict[str, str] = {}
    for path, file in scanned.items():
        for token in file.tokens:
            use = resolution.uses.get((path, token.name.start))
            if use and use.barred and use.keys and left(token, use, contents[path], path not in incomplete):
                reached.update(dict.fromkeys(use.keys, use.barred))
    return reached


def plan(
    scanned: Mapping[str, Scanned],
    contents: Mapping[str, bytes],
    resolution: Resolution,
    mode: Mode,
    incomplete: Set[str] = frozenset(),
    describe: bool = False,
) -> Plan:
    """The plan for all files. Every key that a live call reaches must be in `resolution`.

    `incomplete` are the files that a translation unit may include which was not asked.
    """
    barred = hidden_barred(scanned, contents, resolution, incomplete)
    keys = {name: plan_key(key, mode, barred.get(name)) for name, key in sorted(resolution.keys.items())}
    sites: dict[str, tuple[SitePlan, ...]] = {}
    for path, file in sorted(scanned.items()):
        uses = [
            (token, resolution.uses.get((path, token.name.start), Use())) for token in file.tokens if token.is_call
        ]
        complete = path not in incomplete
        sites[path] = tuple(plan_site(token, use, keys, contents[path], complete) for token, use in uses)
        if describe:
            sites[path] = described(sites[path], contents[path])
    return Plan(tuple(keys.values()), sites)
