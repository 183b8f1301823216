# SPDX-License-Identifier: MIT
"""Members of objects: which are candidates, by what edit, and why others are not."""

from __future__ import annotations

import pytest

from tests.suggest.test_find import FUNCTIONS, edited, found, refusals

STRUCT = "struct ops { int level; int (*read)(int a); void (*done)(const char *, int); };\n"
HEAD = FUNCTIONS + STRUCT + "static void end(const char *s, int n) { }\n"
OPS = "static struct ops ops = { 1, one, end };\n"
TAKEN = "ops.read = static_call_update(ops_read, ops.read) ? static_call_query(ops_read) : ops.read"
SET_ANYWAY = "every update succeeds, and one thread at a time sets cur, which is set in any case"
CALL = "int f(void) { return ops.read(1); }\n"


@pytest.mark.parametrize(
    ("initial", "becomes"),
    [
        ("{ 1, one }", "DEFINE_STATIC_CALL(o_read, one);"),
        ("{ .done = end, .read = &one }", "DEFINE_STATIC_CALL(o_read, one);"),
        ("{ .level = 1, one }", "DEFINE_STATIC_CALL(o_read, one);"),
        ("{ 1 }", "DEFINE_STATIC_CALL_NULL(o_read, *o.read);"),
        ("{ 1, NULL, end }", "DEFINE_STATIC_CALL_NULL(o_read, *o.read);"),
        ("{ .read = 0 }", "DEFINE_STATIC_CALL_NULL(o_read, *o.read);"),
        (None, "DEFINE_STATIC_CALL_NULL(o_read, *o.read);"),
        (
            "START",
            "static int o_read_first(int a)\n{\n\treturn o.read(a);\n}\nDEFINE_STATIC_CALL(o_read, o_read_first);",
        ),
    ],
)
def test_a_key_starts_as_its_member_does(initial: str | None, becomes: str) -> None:
    declared = f"static struct ops o{f' = {initial}' if initial else ''};"
    text = f"{HEAD}{declared}\nint f(void) {{ return o.read(1); }}\nvoid set(void) {{ o.read = two; }}\n"
    after = edited(text)
    assert f"\n{declared}\n{becomes}\nint f(void) {{ return static_call(o_read)(1); }}\n" in after
    set_it = "o.read = static_call_update(o_read, two) ? o.read : static_call_query(o_read);"
    assert f"void set(void) {{ {set_it} }}" in after


def test_unnamed_parameters_have_names_in_a_forwarder() -> None:
    text = HEAD + "static struct ops o = START;\nvoid f(void) { o.done(0, 1); }\n"
    forwarder = "static void o_done_first(const char *a0, int a1)\n{\n\to.done(a0, a1);\n}\n"
    assert forwarder in edited(text)


@pytest.mark.parametrize("type_text", ["int (*read)(int, ...)", "int (*read)(void (*)(int))", "fn *read"])
def test_arguments_that_cannot_be_handed_on(type_text: str) -> None:
    text = f"typedef int fn(int);\nstruct s {{ {type_text}; }};\nstatic struct s o = START;\n"
    text += "int f(void) { return o.read(1); }\n"
    assert "starts with what is not known" in refusals(found(text)["o_read"])


@pytest.mark.parametrize(
    ("statement", "becomes"),
    [
        ("ops = *q;", f"ops = *q;\n\t{TAKEN};"),
        ("if (x) ops = *q;", f"if (x) ops = *q, {TAKEN};"),
        ("x = ops.read == one;", "x = static_call_query(ops_read) == one;"),
        ("if (ops.read) x = ops.read(1);", "if (static_call_query(ops_read)) x = static_call(ops_read)(1);"),
        ("x = sizeof ops;", "x = sizeof ops;"),
        ("{ struct ops ops = { 0 }; x = ops.read(2); }", "{ struct ops ops = { 0 }; x = ops.read(2); }"),
    ],
)
def test_what_reads_asks_the_key_and_what_assigns_updates(statement: str, becomes: str) -> None:
    text = HEAD + OPS + CALL + "void g(struct ops *q, int x)\n{\n\t%s\n}\n"
    assert f"{{\n\t{becomes}\n}}" in edited(text % statement)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (OPS + CALL + "void h(struct ops *); void g(void) { h(&ops); }", "its address is taken"),
        (OPS + CALL + "void h(int (**)(int)); void g(void) { h(&ops.read); }", "its address is taken"),
        ("static const struct ops ops = { 1, one };\n" + CALL, "it is const"),
        ("static volatile struct ops ops = { 1, one };\n" + CALL, "it is volatile"),
        ("static __thread struct ops ops = { 1, one };\n" + CALL, "each thread has its own"),
        ("__attribute__((weak)) struct ops ops = { 1, one };\n" + CALL, "an attribute"),
        ("static union { int (*read)(int); long l; } ops;\n" + CALL, "it is in a union"),
        ("extern struct ops ops;\n" + CALL, "no file here defines it"),
        (OPS + CALL + "#define SET(f) ops.read = f\n", "the macro SET may change it"),
        (OPS + CALL + "#define ALL ops\n", "the macro ALL may change it"),
        (OPS + CALL + "#define SWAP(a) swap(&a)\nvoid g(void) { SWAP(ops); }", "its address is taken"),
        (OPS + CALL + "int g(void) { return (ops.read = two)(1); }", "the value of an assignment to it is used"),
        (OPS + CALL + "void g(void) { ops.read = (int (*)(int))1; }", "it is set to a number"),
        (
            "static struct ops *ops = 0;\nint f(void) { return ops->read(1); } void g(void) { ops->read = two; }",
            "changed",
        ),
        (
            OPS + CALL + "#define FOREVER for (;;)\nvoid g(struct ops *q) { FOREVER ops = *q; }",
            "a macro may change it",
        ),
        (
            "static const struct ops o = { 1, one };\nstatic const struct ops *ops = &o;\n"
            "int f(void) { return ops->read(1); }",
            "nothing changes it: compilers call what it starts with already",
        ),
        ("#define OWN static\nOWN struct ops ops = { 1, one };\n" + CALL, "it is declared with the macro OWN"),
        (OPS + '__asm__("movq %rax, ops+8");\n' + CALL, "an asm or alias in a.c has its name in it"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    assert why in refusals(found(HEAD + text)["ops_read"])


def test_a_pointer_to_constant_objects() -> None:
    text = HEAD + "static const struct ops a = { 1, one }, b = { 2, two };\nextern const struct ops c;\n"
    text += "static const struct ops *cur = &a;\nint f(void) { return cur->read(1); }\n"
    text += "void g(int x)\n{\n\tcur = &b;\n\tif (x)\n\t\tcur = &c;\n}\n"
    candidate = found(text)["cur_read"]
    assert candidate.refusals == ()
    assert {doubt.what for doubt in candidate.conditions} == {SET_ANYWAY}
    after = edited(text)
    assert "static const struct ops *cur = &a;\nDEFINE_STATIC_CALL(cur_read, one);\n" in after
    assert "\tcur = &b;\n\tstatic_call_update(cur_read, cur->read);\n" in after
    assert "\t\tcur = &c, static_call_update(cur_read, cur->read);\n" in after


def test_objects_that_may_change_are_a_condition() -> None:
    text = HEAD + "static struct ops a = { 1, one };\nstatic const struct ops *cur = &a;\n"
    text += "int f(void) { return cur->read(1); }\nvoid g(const struct ops *o) { cur = o; }\n"
    candidate = found(text)["cur_read"]
    assert [doubt.what for doubt in candidate.conditions] == [SET_ANYWAY, "nothing changes what o points to"]
    after = edited(text)
    assert "cur = o;\nstatic_call_update(cur_read, cur ? cur->read : (void *)0);" in after.replace("\t", "")


def test_an_object_that_others_might_change() -> None:
    text = HEAD + "struct ops a = { 1, one };\nstatic const struct ops *cur = &a;\n"
    text += "int f(void) { return cur->read(1); }\nvoid g(void) { cur = &a; }\n"
    told = [doubt.what for doubt in found(text)["cur_read"].conditions]
    assert told == [SET_ANYWAY, *["no file but those given changes a"] * 2]


def test_an_object_that_changes_by_its_own_name() -> None:
    text = HEAD + "static struct ops a = { 1, one };\nstatic const struct ops *cur = &a;\n"
    text += "int f(void) { return cur->read(1); }\nvoid g(void) { a.read = two; }\n"
    assert "nothing changes what &a points to" in [d.what for d in found(text)["cur_read"].conditions]


def test_lines_end_as_the_file_s_do() -> None:
    text = (HEAD + OPS + CALL + "void g(void) { ops.read = two; }\n").replace("\n", "\r\n")
    after = edited(text)
    assert "DEFINE_STATIC_CALL(ops_read, one);\r\n" in after
    assert "\n" not in after.replace("\r\n", "")
