# SPDX-License-Identifier: MIT
"""Which form each key and each call site gets, and why. Pure: no files, no templates.

Leaving a call's text as it is, is always right: the generated header defines static_call() so that a hidden call
pastes to the same wrapper as a visible one. Rewriting makes the visible ones explicit, so it is done only where
the text's meaning is known for certain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from instrument import classify, declare
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

WRAPPER = "__SCW__"
TRAMPOLINE = "__SCT__"

WIDER_REGISTERS = re.compile(r"avx512|avx10|apx|arch=")
"""Targets that have registers which a wrapper compiled without them cannot name as changed by the call."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`sites` has every call token of every file, in the order of the text."""

    keys: tuple[KeyPlan, ...]
    sites: Mapping[str, tuple[SitePlan, ...]]


def plan_key(key: Key, mode: Mode) -> KeyPlan:
    """The highest form that is certainly right for the key."""
    refusal: Refusal | None = None
    if mode is Mode.TRAMPOLINE:
        return KeyPlan(key, Form.TRAMPOLINE, None, Refusal("IN035", "the mode is trampoline"))
    if key.type is None:
        refusal = Refusal("IN025", key.trouble or "the type is not known")
    elif key.block:
        refusal = Refusal("IN027", f"'{key.name}' is declared inside a function")
    else:
        signature = classify.classify(key.type)
        unnameable = declare.unnameable(key.type)
        if isinstance(signature, Refusal):
            refusal = signature
        elif unnameable:
            refusal = Refusal("IN026", unnameable)
        else:
            return KeyPlan(key, Form.INLINE, signature, None)
    return KeyPlan(key, Form.TRAMPOLINE, None, refusal)


def left(token: Token, use: Use) -> Refusal | None:
    """Why a live call's text must stay, or None if it may be rewritten."""
    if token.macro is not None:
        return Refusal("IN030", f"written inside the macro '{token.macro}'")
    if use.stringized:
        return Refusal("IN031", "its text also becomes a string")
    if len(use.keys) > 1:
        return Refusal("IN032", "it reaches " + ", ".join(use.keys))
    if token.spelling is Spelling.VALUE:
        return Refusal("IN028", "the callee is used as a value")
    if use.keys[0] != token.key:
        return Refusal("IN034", f"'{token.key}' is a macro for '{use.keys[0]}'")
    return None


def replacement(token: Token, form: Form) -> tuple[Span, str]:
    """The span and the text of a rewritten call: the callee, up to the parenthesis that opens the arguments."""
    callee = (WRAPPER if form is Form.INLINE else TRAMPOLINE) + token.key
    if token.api is Api.COND:
        callee = "(void)" + callee
    assert token.parens is not None
    if token.spelling is Spelling.V2018:
        assert token.rest is not None
        return Span(token.name.start, token.rest.start), callee + "("
    return Span(token.name.start, token.parens.end), callee


def plan_site(token: Token, use: Use, keys: Mapping[str, KeyPlan], function: str | None, target: str | None) -> SitePlan:
    """What becomes of one call token."""
    if not use.keys:
        reason = Refusal("IN033", "no translation unit compiles this call")
        return SitePlan(token, use, Fate.INACTIVE, None, reason, function=function)
    plans = [keys[name] for name in use.keys]
    lowered = next((p for p in plans if p.form is Form.TRAMPOLINE), None)
    form = Form.TRAMPOLINE if lowered else Form.INLINE
    stay = left(token, use)
    if stay:
        refusal = lowered.refusal if lowered and lowered.refusal else stay
        return SitePlan(token, use, Fate.MACRO, form, refusal, function=function)
    refusal = lowered.refusal if lowered else None
    if form is Form.INLINE and target and WIDER_REGISTERS.search(target):
        form = Form.TRAMPOLINE
        refusal = Refusal("IN029", f"'{function}' is compiled with {target}")
    span, text = replacement(token, form)
    return SitePlan(token, use, Fate.REWRITTEN, form, refusal, span, text, function)


def plan_file(
    tokens: tuple[Token, ...], data: bytes, path: str, resolution: Resolution, keys: Mapping[str, KeyPlan]
) -> tuple[SitePlan, ...]:
    calls = [token for token in tokens if token.is_call]
    if not calls:
        return ()
    from instrument import structure  # tree-sitter: 25 ms, only for files that have calls

    around = structure.structures(data, [token.name.start for token in calls])
    return tuple(
        plan_site(token, resolution.uses.get((path, token.name.start), Use()), keys, where.function, where.target)
        for token, where in zip(calls, around, strict=True)
    )


def plan(
    scanned: Mapping[str, Scanned], contents: Mapping[str, bytes], resolution: Resolution, mode: Mode
) -> Plan:
    """The plan for all files. Every key that a live call reaches must be in `resolution`."""
    keys = {name: plan_key(key, mode) for name, key in sorted(resolution.keys.items())}
    sites = {
        path: plan_file(file.tokens, contents[path], path, resolution, keys) for path, file in sorted(scanned.items())
    }
    return Plan(tuple(keys.values()), sites)
