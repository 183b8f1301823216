# SPDX-License-Identifier: MIT
"""The census, with values made by hand."""

from __future__ import annotations

import json

import pytest

from instrument import report
from instrument.model import (
    Api,
    Fate,
    Form,
    Key,
    KeyPlan,
    Mode,
    Place,
    Refusal,
    Scanned,
    SitePlan,
    Span,
    Token,
    Use,
)
from instrument.value import replace

VARIADIC = Refusal("IN022", "the function is variadic")
MACRO = Refusal("IN030", "the call is written inside a macro")
STRING = Refusal("IN031", "the call's own text ends up in a string")
ASKED = Refusal("IN035", "the mode is trampoline")
DEAD = Refusal("IN033", "no unit")


def token(at: int, api: Api = Api.CALL, macro: str | None = None, bare: bool = False, **more: object) -> Token:
    directive = more.get("directive", "define" if macro else None)
    parens = None if bare else Span(at + 11, at + 14)
    place = Place(str(more.get("path", "a.c")), 1, at + 1)
    return Token(api, place, Span(at, at + 11), parens, "" if bare else "k", None, None, True, macro, directive)  # type: ignore[arg-type]


def site(
    of: Token,
    fate: Fate = Fate.REWRITTEN,
    form: Form | None = Form.INLINE,
    why: Refusal | None = None,
    stay: Refusal | None = None,
) -> SitePlan:
    keys, forms = (("k",), (form,)) if form else ((), ())
    span, text = (Span(of.name.start, of.name.end + 3), "__SCW__k") if fate is Fate.REWRITTEN else (None, "")
    return SitePlan(of, Use(keys), fate, forms, why, stay, span, text, function="main")


def entries(*tokens: Token, sites: tuple[SitePlan, ...] = ()) -> tuple[report.Entry, ...]:
    by_path: dict[str, list[SitePlan]] = {}
    for each in sites:
        by_path.setdefault(each.token.place.path, []).append(each)
    scanned = {
        path: Scanned(tuple(t for t in tokens if t.place.path == path)) for path in {t.place.path for t in tokens}
    }
    return report.entries(scanned, by_path)


def codes(found: tuple[report.Entry, ...], mode: Mode = Mode.INLINE_ASM) -> list[str]:
    return [finding.code for finding in report.violations(found, mode)]


# ---- every token has a fate -----------------------------------------------------------------------


def test_every_token_is_listed_in_order() -> None:
    tokens = [
        token(40),
        token(0, Api.DEFINE),
        token(20, directive="ifdef", bare=True),
        token(5, path="0.c", bare=True),
    ]
    found = entries(*tokens, sites=(site(tokens[0]),))
    assert [(e.token.place.path, e.token.name.start, e.kind) for e in found] == [
        ("0.c", 5, "name"),
        ("a.c", 0, "definition"),
        ("a.c", 20, "name"),
        ("a.c", 40, "call"),
    ]
    fates = ["the name alone", "the header's own macro", "named in a directive", "rewritten"]
    assert [e.fate for e in found] == fates


def test_every_name_has_a_kind() -> None:
    assert {report.Entry(token(0, api), "").kind for api in Api} == {
        "call", "query", "update", "declaration", "definition", "export", "name",
    }  # fmt: skip


def test_the_same_offset_in_two_files_is_two_sites() -> None:
    one, two = token(0, path="1.c"), token(0, path="2.c")
    found = entries(one, two, sites=(site(one), site(two, Fate.INACTIVE, None, stay=DEAD)))
    assert [e.fate for e in found] == ["rewritten", "inactive"]


# ---- strict ---------------------------------------------------------------------------------------


def test_strict_forgives_what_is_as_asked() -> None:
    calls = [
        token(0),
        token(20),
        token(40, macro="M"),
        token(60, Api.UPDATE),
        token(80, directive="undef", bare=True),
    ]
    sites = (site(calls[0]), site(calls[1], Fate.INACTIVE, None, stay=DEAD), site(calls[2], Fate.MACRO, stay=MACRO))
    assert codes(entries(*calls, sites=sites)) == []


CALL, OTHER = token(0), token(20)
BROKEN = {
    "no plan": (),
    "a plan of another call": (site(OTHER),),
    "one plan too many": (site(CALL), site(OTHER)),
    "two plans": (site(CALL), site(CALL)),
    "rewritten without a span": (replace(site(CALL), span=None),),
    "rewritten, and to stay": (site(CALL, stay=STRING),),
    "not rewritten, no reason": (site(CALL, Fate.MACRO),),
    "inactive, no reason": (site(CALL, Fate.INACTIVE, None),),
    "live without a key": (site(CALL, Fate.MACRO, None, stay=STRING),),
    "a key without a form": (replace(site(CALL), forms=()),),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_plan_that_does_not_account_for_a_call_is_a_mistake(mistake: str) -> None:
    with pytest.raises(LookupError):
        entries(CALL, sites=BROKEN[mistake])


def test_strict_names_what_hides_calls() -> None:
    assert codes(entries(token(0, Api.UPDATE, bare=True))) == []
    assert codes(entries(token(0, bare=True))) == ["IN003"]
    assert codes(entries(token(0, bare=True, macro="alias"))) == ["IN003"]


def test_strict_names_a_lower_form_even_in_a_macro() -> None:
    calls = [token(0), token(20, macro="M")]
    sites = (
        site(calls[0], form=Form.TRAMPOLINE, why=VARIADIC),
        site(calls[1], Fate.MACRO, Form.TRAMPOLINE, VARIADIC, MACRO),
    )
    found = entries(*calls, sites=sites)
    assert codes(found) == ["IN022", "IN022"]
    assert codes(found, Mode.TRAMPOLINE) == []


def test_strict_forgives_a_text_that_had_to_stay_on_its_form() -> None:
    call = token(0)
    assert codes(entries(call, sites=(site(call, Fate.MACRO, stay=STRING),))) == []
    assert (
        codes(entries(call, sites=(site(call, Fate.MACRO, Form.TRAMPOLINE, ASKED, STRING),)), Mode.TRAMPOLINE) == []
    )


def test_a_call_of_several_keys_has_all_their_forms() -> None:
    call = token(0, macro="M")
    both = SitePlan(call, Use(("j", "k")), Fate.MACRO, (Form.TRAMPOLINE, Form.INLINE), VARIADIC, MACRO)
    found = entries(call, sites=(both,))
    assert codes(found) == ["IN022"]
    assert report.census(found, (), Mode.INLINE_ASM, 1)[1:] == [
        "  calls: 1 left to the header's macro (1 inline-asm or trampoline)",
        "  on the trampoline: 1, the function is variadic [IN022]",
        "  left as written: 1, the call is written inside a macro [IN030]",
    ]


# ---- for people -----------------------------------------------------------------------------------


def test_the_census_groups_by_code() -> None:
    calls = [token(n * 20) for n in range(4)] + [token(100, macro="M"), token(120, Api.DEFINE)]
    sites = (
        site(calls[0]),
        site(calls[1], form=Form.TRAMPOLINE, why=VARIADIC),
        site(calls[2], form=Form.TRAMPOLINE, why=VARIADIC),
        site(calls[3], Fate.INACTIVE, None, stay=DEAD),
        site(calls[4], Fate.MACRO, stay=MACRO),
    )
    keys = [
        KeyPlan(Key("k", None), Form.INLINE, None, None),
        KeyPlan(Key("v", None), Form.TRAMPOLINE, None, VARIADIC),
    ]
    assert report.census(entries(*calls, sites=sites), keys, Mode.INLINE_ASM, 9) == [
        "6 tokens in 1 file: 5 calls, 1 definition",
        "  calls: 3 rewritten (1 inline-asm, 2 trampoline), 1 left to the header's macro (1 inline-asm), 1 inactive",
        "  on the trampoline: 2, the function is variadic [IN022]",
        "  left as written: 1, the call is written inside a macro [IN030]",
        "  keys: 1 inline-asm, 1 trampoline",
    ]


def test_the_census_of_nothing_is_one_line() -> None:
    assert report.census((), (), Mode.INLINE_ASM, 1) == ["no static calls in 1 file"]


def test_a_lower_form_that_was_asked_for_needs_no_reason() -> None:
    call = token(0)
    lines = report.census(
        entries(call, sites=(site(call, form=Form.TRAMPOLINE, why=ASKED),)),
        [KeyPlan(Key("k", None), Form.TRAMPOLINE, None, ASKED)],
        Mode.TRAMPOLINE,
        1,
    )
    assert lines == ["1 token in 1 file: 1 call", "  calls: 1 rewritten (1 trampoline)", "  keys: 1 trampoline"]


def test_the_listing_has_a_line_a_token() -> None:
    call = token(0)
    assert report.listing(entries(call, sites=(site(call, form=Form.TRAMPOLINE, why=VARIADIC),)), "src/") == [
        "src/a.c:1:1: note: static_call(k): rewritten, trampoline: the function is variadic [IN022]"
    ]


# ---- for programs ---------------------------------------------------------------------------------


def test_json_is_whole_and_stable() -> None:
    call, name = token(0), token(30, Api.KEY)
    found = entries(name, call, sites=(site(call),))
    keys = [KeyPlan(Key(n, None), Form.TRAMPOLINE, None, VARIADIC) for n in ("z", "a")]
    text = report.as_json(found, keys, {"b", "a"}, {"tool": "instrument"})
    assert text == report.as_json(found, keys[::-1], ["a", "b"], {"tool": "instrument"})
    value = json.loads(text)
    assert value["schema_version"] == 1
    assert value["rewritten"] == ["a", "b"]
    assert [key["name"] for key in value["keys"]] == ["a", "z"]
    assert value["keys"][0]["code"] == "IN022"
    assert [(t["offset"], t["fate"], t["keys"]) for t in value["tokens"]] == [
        (0, "rewritten", {"k": "inline-asm"}),
        (30, "the header's own macro", {}),
    ]
