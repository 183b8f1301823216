# SPDX-License-Identifier: MIT
from __future__ import annotations

from instrument import plan
from instrument.model import (
    Array,
    Base,
    Encoding,
    Fate,
    Form,
    Function,
    Key,
    Mode,
    Qualified,
    Record,
    Resolution,
    Use,
    Void,
)
from instrument.scan import scan

INT = Base("int", 4, Encoding.SIGNED)
LONG_DOUBLE = Base("long double", 16, Encoding.FLOAT)
BINARY = Function(INT, (INT, INT), variadic=False)


def planned(text: str, *, mode: Mode = Mode.INLINE_ASM, uses: str = "", **keys: Key) -> list[plan.SitePlan]:
    """Plan one file whose calls each reach the key that they spell, or the one that `uses` names."""
    data = text.encode()
    scanned = scan(data, "a.c")
    reached = {("a.c", t.name.start): Use((uses or t.key,)) for t in scanned.tokens if t.is_call}
    resolution = Resolution(keys or {"k": Key("k", BINARY)}, reached)
    return list(plan.plan({"a.c": scanned}, {"a.c": data}, resolution, mode).sites["a.c"])


def rewritten(text: str, **options: object) -> str:
    (site,) = planned(text, **options)  # type: ignore[arg-type]
    assert site.fate is Fate.REWRITTEN and site.span
    return text[: site.span.start] + site.text + text[site.span.end :]


def test_each_spelling_becomes_a_call_of_the_wrapper() -> None:
    assert rewritten("int f(void) { return static_call(k)(1, 2); }") == "int f(void) { return __SCW__k(1, 2); }"
    assert rewritten("int f(void) { return static_call(k, 1, 2); }") == "int f(void) { return __SCW__k( 1, 2); }"
    assert rewritten("void f(void) { static_call_cond(k)(1, 2); }") == "void f(void) { (void)__SCW__k(1, 2); }"
    assert (
        rewritten("int f(void) { return static_call_mod ( k ) (1, 2); }") == "int f(void) { return __SCW__k (1, 2); }"
    )


def test_what_surrounds_a_call_is_told_on_request() -> None:
    data = b"int f(void) { return sizeof(static_call(k)(1, 2)); }"
    scanned = {"a.c": scan(data, "a.c")}
    uses = {("a.c", token.name.start): Use(("k",)) for token in scanned["a.c"].tokens}
    for describe, told in ((False, (None, False)), (True, ("f", True))):
        resolution = Resolution({"k": Key("k", BINARY)}, uses)
        made = plan.plan(scanned, {"a.c": data}, resolution, Mode.INLINE_ASM, describe=describe)
        (site,) = made.sites["a.c"]
        assert (site.function, site.unevaluated) == told and site.fate is Fate.REWRITTEN


def test_a_file_that_others_may_read_otherwise_is_left() -> None:
    data = b"int f(void) { return static_call(k)(1, 2); }"
    scanned = {"a.c": scan(data, "a.c")}
    token = scanned["a.c"].tokens[0]
    for barred, form in ((None, Form.INLINE), ("why", Form.TRAMPOLINE)):
        resolution = Resolution({"k": Key("k", BINARY)}, {("a.c", token.name.start): Use(("k",), barred=barred)})
        (site,) = plan.plan(scanned, {"a.c": data}, resolution, Mode.INLINE_ASM, {"a.c"}).sites["a.c"]
        assert site.fate is Fate.MACRO and site.stay and site.stay.code == "IN037" and site.forms == (form,)


def test_trampoline_mode_calls_the_trampoline_and_says_why() -> None:
    text = "int f(void) { return static_call(k)(1, 2); }"
    assert rewritten(text, mode=Mode.TRAMPOLINE) == "int f(void) { return __SCT__k(1, 2); }"
    (site,) = planned(text, mode=Mode.TRAMPOLINE)
    assert site.forms == (Form.TRAMPOLINE,) and site.refusal and site.refusal.code == "IN035"


def test_a_refused_signature_takes_the_trampoline_with_its_reason() -> None:
    refused = {
        "IN021": Key("k", Function(Record("struct", "never", None), (), False)),
        "IN022": Key("k", Function(INT, (INT,), variadic=True)),
        "IN023": Key("k", Function(INT, (), False, prototyped=False)),
        "IN024": Key("k", Function(INT, (), False, convention="ms")),
        "IN020": Key("k", Function(Void(), (INT,) * 7, False)),
        "IN025": Key("k", None, "'int (void)' in a.c, 'long (void)' in b.c"),
        "IN027": Key("k", BINARY, block=True),
        "IN020 x87": Key("k", Function(Void(), (LONG_DOUBLE,), False)),
        "IN026": Key("k", Function(Void(), (Array(INT, 4, vector=True),), False)),
        "IN038": Key("k", Function(Void(), (Qualified("_Atomic", INT),), False)),
    }
    for code, key in refused.items():
        (site,) = planned("void f(void) { static_call(k)(); }", k=key)
        assert site.forms == (Form.TRAMPOLINE,) and site.text == "__SCT__k", code
        assert site.refusal and site.refusal.code == code.split()[0]


def test_what_is_not_certain_is_left_to_the_macro() -> None:
    (site,) = planned("#define m(a) static_call(k)(a, a)\n")
    assert site.fate is Fate.MACRO and site.forms == (Form.INLINE,) and site.stay and site.stay.code == "IN030"
    (site,) = planned("int (*p)(int, int) = static_call(k);")
    assert site.fate is Fate.MACRO and site.stay and site.stay.code == "IN028"
    (site,) = planned("int f(void) { return static_call(k\n#line 3\n, 1, 2); }", uses="k")
    assert site.fate is Fate.MACRO and site.stay and site.stay.code == "IN036"


def left(use: Use, **keys: Key) -> plan.SitePlan:
    data = b"int f(void) { return static_call(k)(1, 2); }"
    scanned = scan(data, "a.c")
    resolution = Resolution(keys, {("a.c", scanned.tokens[0].name.start): use})
    (site,) = plan.plan({"a.c": scanned}, {"a.c": data}, resolution, Mode.INLINE_ASM).sites["a.c"]
    assert site.fate is not Fate.REWRITTEN and site.stay and not site.span
    return site


def test_several_keys_strings_and_renamed_keys_are_left() -> None:
    k, j = Key("k", BINARY), Key("j", Function(INT, (), variadic=True))
    site = left(Use(("k",), stringized=True), k=k)
    assert site.stay and site.stay.code == "IN031" and site.forms == (Form.INLINE,) and not site.refusal
    # One of the two is refused: each has its own form, and both reasons are told.
    site = left(Use(("j", "k")), k=k, j=j)
    assert site.stay and site.stay.code == "IN032" and site.forms == (Form.TRAMPOLINE, Form.INLINE)
    assert site.refusal and site.refusal.code == "IN022"
    site = left(Use(("other",)), other=Key("other", BINARY))
    assert site.stay and site.stay.code == "IN034"
    site = left(Use())
    assert site.stay and site.stay.code == "IN033" and site.forms == () and site.fate is Fate.INACTIVE


def test_where_no_asm_can_stand_for_a_call_the_compiler_calls() -> None:
    data = b"#define m static_call(k)(1, 2)\nint f(void) { return static_call(k)(1, 2) + m; }"
    scanned = scan(data, "a.c")
    hidden, visible = (t.name.start for t in scanned.tokens)

    def forms(*barred: int) -> list[Form]:
        uses = {("a.c", at): Use(("k",), barred="why" if at in barred else None) for at in (hidden, visible)}
        made = plan.plan({"a.c": scanned}, {"a.c": data}, Resolution({"k": Key("k", BINARY)}, uses), Mode.INLINE_ASM)
        return [site.forms[0] for site in made.sites["a.c"]]

    assert forms() == [Form.INLINE, Form.INLINE]
    assert forms(visible) == [Form.INLINE, Form.TRAMPOLINE]
    # The macro's text serves every function alike: the key as a whole is left to the compiler.
    assert forms(hidden) == [Form.TRAMPOLINE, Form.TRAMPOLINE]


def test_a_type_that_the_compiler_has_otherwise_is_refused() -> None:
    (site,) = planned("void f(void) { static_call(k)(1, 2); }", k=Key("k", BINARY, inexact=True))
    assert site.forms == (Form.TRAMPOLINE,) and site.refusal and site.refusal.code == "IN026"
