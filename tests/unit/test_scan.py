# SPDX-License-Identifier: MIT
"""What the scanner finds, shape by shape, against gcc's lexer, and under splices put anywhere."""

from __future__ import annotations

import random
import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument.lexer import holds_directive
from instrument.model import Api, Scanned, Span, Spelling, Token
from instrument.preprocessed import function_bodies, groups
from instrument.scan import mentions, scan

SPLICE = re.compile(rb"\\[ \t\f\v\0]*\r?\n")


def cut(data: bytes, span: Span | None) -> bytes | None:
    return None if span is None else data[span.start : span.end]


def keys(data: bytes) -> list[str]:
    return [token.key for token in scan(data).tokens]


def only(data: bytes) -> Token:
    (token,) = scan(data).tokens
    return token


def check(data: bytes, scanned: Scanned) -> None:
    """What holds of every file."""
    names = [token.name for token in scanned.tokens]
    assert names == sorted(set(names), key=lambda span: span.start)
    for token in scanned.tokens:
        assert SPLICE.sub(b"", data[token.name.start : token.name.end]).decode() == token.api
        lines = data[: token.name.start].split(b"\n")
        assert token.place.line == len(lines)
        if parens := cut(data, token.parens):
            assert parens[:1] == b"(" and parens[-1:] == b")"
        if token.key_span and token.parens:
            assert token.parens.start < token.key_span.start < token.key_span.end < token.parens.end
        if token.rest and token.parens:
            assert data[token.rest.start - 1 : token.rest.start] == b","
            assert token.rest.end == token.parens.end - 1
    for include in scanned.includes:
        assert data[include.header.start : include.header.end - 1].endswith(b"static_call.h")


# ---- one token ------------------------------------------------------------------------------------


def test_every_field_of_a_call() -> None:
    data = b"int f(void)\n{\n\treturn static_call( /* which */ hook )(1, 2);\n}\n"
    token = only(data)
    assert token.api is Api.CALL
    assert (token.place.path, token.place.line, token.place.column) == ("", 3, 9)
    assert cut(data, token.name) == b"static_call"
    assert cut(data, token.parens) == b"( /* which */ hook )"
    assert (token.key, cut(data, token.key_span)) == ("hook", b"hook")
    assert token.rest is None
    assert token.called and token.is_call and token.spelling is Spelling.KERNEL
    assert token.macro is None and token.directive is None


def test_the_path_is_handed_on() -> None:
    scanned = scan(b'#include "static_call.h"\nstatic_call(a)();', "src/a.c")
    assert {scanned.tokens[0].place.path, scanned.includes[0].place.path} == {"src/a.c"}


def test_2018_spelling_keeps_the_arguments() -> None:
    data = b"x = static_call(hook, g(a, b), /* last */ c );"
    token = only(data)
    assert (token.key, token.spelling) == ("hook", Spelling.V2018)
    assert cut(data, token.rest) == b" g(a, b), /* last */ c "


def test_a_call_without_a_second_group_is_a_value() -> None:
    assert only(b"p = static_call(hook);").spelling is Spelling.VALUE


def test_a_name_without_a_group() -> None:
    token = only(b"p = static_call;")
    assert (token.parens, token.key, token.key_span, token.rest, token.called) == (None, "", None, None, False)
    assert not token.is_call


def test_a_group_that_never_closes() -> None:
    assert only(b"static_call(f, (a)").parens is None


def test_a_file_of_open_groups_is_read_in_linear_time() -> None:
    data = b"static_call(f, x\n" * 4_000 + b"static_call(last)(1);"
    start = time.process_time()
    tokens = scan(data).tokens
    assert time.process_time() - start < 12
    assert len(tokens) == 4_001
    assert (tokens[-1].key, tokens[-1].called) == ("last", True)


def test_an_empty_group() -> None:
    data = b"static_call( )()"
    token = only(data)
    assert (cut(data, token.parens), token.key, token.key_span, token.called) == (b"( )", "", None, True)


@pytest.mark.parametrize("api", list(Api))
def test_every_name_of_the_api(api: Api) -> None:
    assert only(f"{api}(k, f);".encode()).api is api


@pytest.mark.parametrize(
    "name", ["xstatic_call", "static_calls", "_static_call", "static_call2", "$static_call", "Static_call"]
)
def test_longer_names_are_other_names(name: str) -> None:
    assert keys(f"{name}(k)(1);".encode()) == []


def test_a_key_is_folded_to_one_line() -> None:
    source = b'static_call(\n\ta /* x, ) */ ##\\\n  _b // end )\n  "  /* kept */ " ) ();'
    assert only(source).key == 'a ## _b "  /* kept */ "'


def test_commas_and_parentheses_in_literals_and_brackets() -> None:
    data = b"static_call(\"a,)\"[','], x[')'])(1);"
    token = only(data)
    assert token.key == "\"a,)\"[',']"
    assert cut(data, token.rest) == b" x[')']"


def test_nested_tokens_come_each_once() -> None:
    source = b"static_call(a)(static_call(b)(static_call_cond(c)(1)), STATIC_CALL_KEY(d));"
    assert keys(source) == ["a", "b", "c", "d"]
    assert keys(b"static_call(a, static_call(b, 1))") == ["a", "b"]


def test_comments_and_newlines_between_the_tokens() -> None:
    token = only(b"static_call /* ( */ // (\n\n ( hook )\n // (x)\n /**/ (1);")
    assert token.key == "hook" and token.called


# ---- directives -----------------------------------------------------------------------------------


def test_macro_bodies() -> None:
    data = b"#define ops_call(f) static_call(ops_##f)\nint a = ops_call(read)(1);\n"
    token = only(data)
    assert (token.key, token.macro, token.directive, token.called) == ("ops_##f", "ops_call", "define", False)
    assert token.is_call


def test_a_group_does_not_leave_its_directive() -> None:
    assert only(b"#define A static_call\n(x)(1);").parens is None
    assert not only(b"#define A static_call(x)\n(1);").called
    assert only(b"#define A static_call(x) \\\n (1)\n").called


def test_a_directive_with_a_comment_goes_on_behind_it() -> None:
    token = only(b"#define A /*\n */ static_call(x) /*\n*/ (1)\n")
    assert (token.macro, token.called) == ("A", True)


def test_the_macro_being_defined() -> None:
    token = only(b"#define static_call(key) (key)\n")
    assert (token.directive, token.macro, token.is_call) == ("define", None, False)
    body = scan(b"#define static_call(key, ...) static_call_cond(key)(__VA_ARGS__)\n").tokens[1]
    assert (body.api, body.macro, body.called) == (Api.COND, "static_call", True)


def test_a_parameter_is_not_in_the_body() -> None:
    parameter, use = scan(b"#define m(static_call) static_call(1)\n").tokens
    assert (parameter.macro, use.macro) == (None, "m")


@pytest.mark.parametrize(
    "line", ["ifdef static_call", "undef static_call", "if defined(static_call)", "elif static_call"]
)
def test_other_directives(line: str) -> None:
    token = only(f"# {line}\n".encode())
    assert (token.directive, token.macro, token.parens) == (line.split()[0], None, None)
    assert not token.is_call


def test_digraph_and_commented_directives() -> None:
    tokens = scan(
        b"%:define A static_call(a)\n /* \n */ # /* */ define B static_call(b)\nx # static_call(c)\n"
    ).tokens
    assert [token.macro for token in tokens] == ["A", "B", None]


def test_a_comment_after_code_does_not_start_a_line() -> None:
    assert only(b"x; /*\n*/ # define A static_call(a)\n").directive is None


def test_includes() -> None:
    data = (
        b'#include "static_call.h"\n#include <linux/static_call.h>\n  %: /**/ include /**/ "../static_call.h" // x\n'
        b'#include "my_static_call.h"\n#include "static_call.h.in"\n#include <static_call_types.h>\n'
        b'// #include "static_call.h"\nchar s[] = "#include <static_call.h>";\n#include_next <static_call.h>\n'
    )
    scanned = scan(data)
    assert [cut(data, include.header) for include in scanned.includes] == [
        b'"static_call.h"',
        b"<static_call.h>",
    ]
    assert [(i.place.line, i.place.column) for i in scanned.includes] == [(1, 10), (9, 15)]
    assert scanned.tokens == ()


def test_a_header_name_is_no_string_and_no_comment() -> None:
    assert keys(b'#include <it\'s//*.h>\nstatic_call(a)();\n#include "d\\"\nstatic_call(b)();\n') == ["a", "b"]


# ---- the lexer's corners --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hidden",
    [
        b"/* static_call(x) */",
        b"// static_call(x)\n",
        b"// a \\\n static_call(x)\n",
        b"/* a *\\\n/ static_call(b)();",
        b'"static_call(x) \\" static_call(x)"',
        b'u8"static_call(x)"',
        b"'static_call(x)\\''",
        b"L'static_call(x)'",
        b'R"(" static_call(x))"',
        b'u8R"d(static_call(x))" )d"',
        b'R"(\\\n static_call(x) \\)"',
        b'R"x()\\\nx" static_call(x))x"',
        b"1.static_call(x)",
        b".5e+static_call(x)",
        b"0x1p-static_call(x)",
        b"1'0static_call(x)",
        b"\xc3\xa9static_call(x)",
        b"static_call\xc3\xa9(x)",
        b"\\u00e9static_call(x)",
        b"static_call\\U000000e9(x)",
    ],
)
def test_hidden_names(hidden: bytes) -> None:
    source = b"a = " + hidden + b"; static_call(seen)(1);\n"
    assert keys(source)[-1:] == ["seen"]
    assert "x" not in keys(source)
    check(source, scan(source))


@pytest.mark.parametrize(
    "before",
    [
        b"#if 0\ndon't\n#endif\n",
        b"#error don't /* stop\n",
        b'#warning "open\n',
        b"int m = 1'000'000 + 0xFF'FF;\n",
        b"#if 0\nin the 80's /* x\n#endif\n",
        b"a = b / c;\n",
        b"a = '\\\\'; b = \"\\\\\";\n",
        b"a->b.",
        b"x...",
        b"x1.",
        b"\xe2\x80\x9c",
        b"\xe9",
        b"\x80\x9c",
        b"/* **/",
        b"/***/",
        b'xR"(" ; b = R"y";\n',
        b"\xef\xbb\xbf#define M don't\n",
        b"\xef\xbb\xbf",
        b"\f\v\0",
        b"??/\n",
        b"a \\ b\n",
        b"",
    ],
)
def test_seen_names(before: bytes) -> None:
    data = before + b"static_call(seen)(1);"
    assert only(data).key == "seen"
    check(data, scan(data))


def test_a_byte_order_mark_is_not_a_column() -> None:
    assert only(b"\xef\xbb\xbfstatic_call(a)();").place.column == 1
    token = only(b"\xef\xbb\xbf#define A static_call(a)\n")
    assert (token.macro, token.place.line, token.place.column) == ("A", 1, 11)


def test_crlf() -> None:
    data = b"#define A static_call(a)\r\n(1);\r\n\tstatic_call(b)\r\n(2);\r\n#define C \\\r\n static_call(c)\r\n"
    tokens = scan(data).tokens
    assert [(t.key, t.called, t.macro, t.place.line) for t in tokens] == [
        ("a", False, "A", 1),
        ("b", True, None, 3),
        ("c", False, "C", 6),
    ]


def test_a_carriage_return_by_itself_ends_a_line() -> None:
    data = b"#define A static_call(a)\r(1);\r// static_call(no)\r\tstatic_call(b)\\\r(2);\r#undef static_call\r"
    assert [(t.key, t.called, t.macro, t.directive, t.place.line, t.place.column) for t in scan(data).tokens] == [
        ("a", False, "A", "define", 1, 11),
        ("b", True, None, None, 4, 2),
        ("", False, None, "undef", 6, 8),
    ]
    assert mentions(b"static_\\\rcall")


@pytest.mark.parametrize(
    "between", [b"\n#x\n", b"\n /* */ %:x\n", b"\n/\\\n**/#x\n", b"\r#x\r", b"\n%\\\n:x\n", b"\n\\\n#"]
)
def test_a_directive_inside_of_a_text(between: bytes) -> None:
    assert holds_directive(b"static_call(k" + between + b")")


@pytest.mark.parametrize("between", [b"#", b"\\\n#", b"/*\n#\n*/", b"// \\\n#\n", b'"\\\n#"', b"\n%\n:", b"\n%"])
def test_no_directive_inside_of_a_text(between: bytes) -> None:
    assert not holds_directive(b"static_call(k" + between + b")")


def test_splices_inside_of_a_name() -> None:
    data = b"static_\\\ncall\\ \t\n(k\\\r\ney)(1);"
    token = only(data)
    assert cut(data, token.name) == b"static_\\\ncall"
    assert token.key == "key" and token.called
    assert mentions(data)


# ---- shapes that a parser loses -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("each_item(it)\n  static_call(a)(it[1]);", ["a+"]),
        ("static_call(a)(outer_of(p, struct item, link));", ["a+"]),
        ("static_call(a)(drop_const(char *, p));", ["a+"]),
        ("QUIET_BEGIN\n  static_call(a)(1);\nQUIET_END", ["a+"]),
        ("if (z) ;\n#ifdef X\nelse if (static_call(a)(1)) g();\n#endif\nelse static_call(b)(2);", ["a+", "b+"]),
        ("static_call(a)(1,\n#ifdef X\n 2\n#else\n 3\n#endif\n); static_call(b)(1);", ["a+", "b+"]),
        ('static_call(a)(l, Q("=") " or " Q("("));\nstatic_call(b)();', ["a+", "b+"]),
        ("#if X\nif (static_call(a)(p,\n#else\nif (static_call(b)(q,\n#endif\n 1)) g();", ["a+", "b+"]),
        ("static_\\\ncall(a)(1)", ["a+"]),
        ('s = R"x(static_call(no)(")x"; static_call(a)(1);', ["a+"]),
        ("#define f(...) static_call(a)(1 __VA_OPT__(,) __VA_ARGS__)", ["a+"]),
        ("sizeof(static_call(a)(1)) + sizeof static_call(b)(1)", ["a+", "b+"]),
        ("(static_call(a))(1); (*static_call(b))(1); (&*static_call(c))", ["a", "b", "c"]),
        ("x = ({ static_call(a)(({ static_call(b)(1); })); });", ["a+", "b+"]),
        ("_Generic(static_call(a)(1), int: static_call(b), default: 0)", ["a+", "b"]),
        ("struct s v = { .m = static_call(a)(1), [2] = static_call(b)(2) };", ["a+", "b+"]),
        ("__typeof__(static_call(a)(1)) v; typeof(static_call(b)) w;", ["a+", "b"]),
        ("int f(x) int x; { return static_call(a)(x); }", ["a+"]),
        ("int f(void) <% return t<:static_call(a)(1):>; %>", ["a+"]),
        ("int h\u00e9 = static_call(\u00e9t\u00e9)(\u00f1);", ["\u00e9t\u00e9+"]),
        ("static_call(a$b)($c);", ["a$b+"]),
        ('__asm__("" : "=r"(x) : "r"(static_call(a)(1)) : "memory");', ["a+"]),
        ("__attribute__((aligned(sizeof(static_call(a))))) int x;", ["a"]),
        ("switch (x) { case 1 ... 4: static_call(a)(1); }", ["a+"]),
        ("g(&(struct s){ static_call(a)(1), 2 });", ["a+"]),
        ("[[maybe_unused]] int x = static_call(a)(1'000);", ["a+"]),
        ("int f(void) { int g(void) { return static_call(a)(1); } return g(); }", ["a+"]),
        ("p->static_call(a)(1); o.static_call(b)(1);", ["a+", "b+"]),
        ("#if 0\ndon't static_call(no)\n#endif\nstatic_call(a)(1);", ["a+"]),
    ],
)
def test_shapes_that_a_parser_loses(source: str, expected: list[str]) -> None:
    data = source.encode()
    scanned = scan(data)
    check(data, scanned)
    assert [token.key + "+" * token.called for token in scanned.tokens] == expected


@pytest.mark.parametrize(
    ("source", "group"),
    [
        # An arm starts as deep as the one before it.
        (
            "static_call(f,\n#if A\n g(1\n#else\n h(2\n#endif\n ), 3); (0)",
            "(f,\n#if A\n g(1\n#else\n h(2\n#endif\n ), 3)",
        ),
        ("static_call(f,\n#if A\n 1\n#elif B\n (2)\n#else\n (3)\n#endif\n)", None),
        (
            "static_call(f,\n#if A\n#if B\n (\n#else\n (\n#endif\n 1)\n#else\n 2\n#endif\n) (0)",
            "...)\n#else\n 2\n#endif\n)",
        ),
        # The arms beside the one that opened the group are not on its way.
        ("#if A\nstatic_call(f,\n#elif B\nstatic_cal(g, (\n#else\n((((\n#endif\n 1); (0)", "...((((\n#endif\n 1)"),
        ("#if A\nstatic_call(f,\n#else\n((\n#if B\n))))\n#else\n(\n#endif\n((\n#endif\n 1);", "...((\n#endif\n 1)"),
        # It closes in the first arm that closes it.
        ("static_call(f\n#if A\n , 1)\n#else\n , 2)\n#endif\n;", "(f\n#if A\n , 1)"),
        # What stands in a directive is not part of the group.
        ("static_call(f,\n#define P )\n#pragma omp (((\n#error don't )\n 1);", "...don't )\n 1)"),
    ],
)
def test_groups_with_directives_inside(source: str, group: str | None) -> None:
    data = source.encode()
    token = only(data)
    got = (cut(data, token.parens) or b"").decode()
    wanted = source[len("static_call") :] if group is None else group
    assert got.endswith(wanted.removeprefix("...")) and got.startswith("(f")
    assert wanted.startswith("...") or got == wanted


@pytest.mark.parametrize(
    ("source", "called"),
    [
        ("static_call(f)\n#ifdef A\n(1)\n#else\n(2)\n#endif\n;", [True]),
        ("#ifdef A\nstatic_call(f)\n#else\nstatic_call(g)\n#endif\n(1);", [True, True]),
        ("#ifdef A\nx = static_call(f)\n#else\n(y)\n#endif\n;", [False]),
        ("static_call(f)\n#pragma GCC ivdep\n(1);", [True]),
        ("static_call(f) [0](1);", [False]),
    ],
)
def test_the_second_group_behind_directives(source: str, called: list[bool]) -> None:
    assert [token.called for token in scan(source.encode()).tokens] == called


# ---- shapes that the kernel uses ------------------------------------------------------------------

CALL, COND, MOD, NULL = Api.CALL, Api.COND, Api.MOD, Api.DEFINE_NULL

KERNEL_SHAPES: list[tuple[str, list[tuple[Api, str]]]] = [
    ("CHECK(static_call(selftest)(row->in) != row->out);", [(CALL, "selftest")]),
    (
        "w = static_call(pmu_limits)(cpu, n, cpu->list[n]);\nif (!static_call(pmu_period)(ev)) return;\n"
        "static_call_cond(pmu_filter)(pmu, n, &err);\nDEFINE_STATIC_CALL_NULL(pmu_add,  *pmu.add);",
        [(CALL, "pmu_limits"), (CALL, "pmu_period"), (COND, "pmu_filter"), (NULL, "pmu_add")],
    ),
    ("DECLARE_STATIC_CALL(pmu_period, *pmu.period);", [(Api.DECLARE, "pmu_period")]),
    (
        "int f(void) { return static_call(pmu_period)(ev); }\nstatic_call(topdown)(NULL);\n"
        "static_call_update(topdown,\n\t\t   &icl_topdown);",
        [(CALL, "pmu_period"), (CALL, "topdown"), (Api.UPDATE, "topdown")],
    ),
    ("extern int x;\nif (!static_call(elsewhere)(e))\n\tcontinue;", [(CALL, "elsewhere")]),
    (
        "typedef void (reset_t)(void);\nDEFINE_STATIC_CALL_NULL(reset, reset_t);\n"
        "void f(void)\n{\n\tif (on)\n\t\tstatic_call(reset)(ev);\n}",
        [(NULL, "reset"), (CALL, "reset")],
    ),
    (
        "DEFINE_STATIC_CALL_NULL(branch, *ops.branch);\nEXPORT_STATIC_CALL_TRAMP_GPL(branch);",
        [(NULL, "branch"), (Api.EXPORT_TRAMP_GPL, "branch")],
    ),
    ("static inline void low(bool in)\n{\n\tstatic_call_mod(low)(in);\n}", [(MOD, "low")]),
    (
        "#define vm_call(op) static_call(vm_##op)\n#define VM_OP(op) DECLARE_STATIC_CALL(vm_##op, *ops.op);",
        [(CALL, "vm_##op"), (Api.DECLARE, "vm_##op")],
    ),
    (
        "r = can ? vm_call(smi)(vcpu, true) : -EBUSY;\n"
        "static_call_update(vm_x, (void *)ops.x ? : (void *)__static_call_return0);",
        [(Api.UPDATE, "vm_x")],
    ),
    ("return static_call(a)(vcpu, msr) || static_call(b)(vcpu,\n\t\tmsr);", [(CALL, "a"), (CALL, "b")]),
    ("static inline int h(struct v *v)\n{\n\treturn v->on && !static_call(x)(v);\n}", [(CALL, "x")]),
    (
        "unsigned long fl = static_call(flags)(v);\nspte |= static_call(mask)(v, g, is_io(pfn));",
        [(CALL, "flags"), (CALL, "mask")],
    ),
    ('TRACE(exit, TP_assign( __entry->r = static_call(why)(v, &a,\n&b); ), TP_print("%d"))', [(CALL, "why")]),
    (
        "#define TP(name, args) \\\n\tstatic_call(tp_##name)(__data, args); \\\n\t"
        ".key = &STATIC_CALL_KEY(tp_##name), \\\n\tDEFINE_STATIC_CALL(tp_##name, it_##name)",
        [(CALL, "tp_##name"), (Api.KEY, "tp_##name"), (Api.DEFINE, "tp_##name")],
    ),
    (
        "#define DISP(name) static_call(disp_##name##_call)(ctx, insn, fn)\nreturn DISP(xdp);",
        [(CALL, "disp_##name##_call")],
    ),
    (
        "#define HOOK(R, H, N, ...) ({ __label__ out; R = static_call(SLOT(H, N))(__VA_ARGS__); out: R; })\n"
        "#define DEF(H, N, R, ...) DEFINE_STATIC_CALL_NULL(SLOT(H, N), *((R(*)(__VA_ARGS__))NULL));",
        [(CALL, "SLOT(H, N)"), (NULL, "SLOT(H, N)")],
    ),
    ("static inline int resched(void)\n{\n\treturn static_call_mod(resched)();\n}", [(MOD, "resched")]),
    ("static __always_inline void might(void)\n{\n\tstatic_call_mod(might)();\n}", [(MOD, "might")]),
    ("#define exit_resched() static_call(exit_resched)()", [(CALL, "exit_resched")]),
    ('asm volatile ("call " STATIC_CALL_TRAMP_STR(sched) : CONSTRAINT);', [(Api.TRAMP_STR, "sched")]),
    (
        "#define enable(f) static_call_update(f, f##_on)\n#define off ((void *)&__static_call_return0)",
        [(Api.UPDATE, "f")],
    ),
    (
        "static_call_cond(apic_idle)();\n#define DEFINE_APIC(cb) DEFINE_STATIC_CALL_NULL(apic_##cb, *apic->cb)",
        [(COND, "apic_idle"), (NULL, "apic_##cb")],
    ),
    ("return !!static_call_query(idle);", [(Api.QUERY, "idle")]),
    ("return static_call_query(clock) == native_clock;", [(Api.QUERY, "clock")]),
    ("#ifdef GRAPH\nif (static_call(graph)(&t, direct))\n#endif\n\tg();", [(CALL, "graph")]),
    (
        "EMIT(static_call_query(snap)), BPF_3(f, int, a, int, b)\n{\n\treturn static_call(snap)(a, b);\n}",
        [(Api.QUERY, "snap"), (CALL, "snap")],
    ),
    ("DEFINE_STATIC_CALL_RET0(guest, *cbs->state);", [(Api.DEFINE_RET0, "guest")]),
    ("DEFINE_STATIC_CALL_NULL(seal,\n\t\t\t*src[0].ops->seal);", [(NULL, "seal")]),
    ("int pstate(void)\n{\n\treturn static_call(pstate)(a, b, c,\n\t\t\t   d, e);\n}", [(CALL, "pstate")]),
    ("if (enc)\n\tstatic_call(gcm)(a, b, c, d, e);\nelse\n\tg();", [(CALL, "gcm")]),
    (
        "while ((static_call(in)(base, LSR) & RDY) == 0 && --left)\n\t;\n"
        '#define WARN(fmt, arg...) static_call_mod(trap)(({ asm("" : : "i"(fmt)); 0; }), ## arg);\n'
        "#define CRC(prefix) DEFINE_STATIC_CALL(prefix##_clmul, prefix##_sse)",
        [(CALL, "in"), (MOD, "trap"), (Api.DEFINE, "prefix##_clmul")],
    ),
]


@pytest.mark.parametrize(("source", "expected"), KERNEL_SHAPES)
def test_shapes_that_the_kernel_uses(source: str, expected: list[tuple[Api, str]]) -> None:
    data = source.encode()
    scanned = scan(data)
    check(data, scanned)
    assert [(token.api, token.key) for token in scanned.tokens] == expected
    calls = [token for token in scanned.tokens if token.is_call]
    assert all(token.called is (not token.key.startswith("vm_##")) for token in calls)


def test_the_type_of_a_definition_is_the_rest() -> None:
    data = b"DEFINE_STATIC_CALL_NULL(SLOT(a, b), *((int(*)(int, long))NULL));"
    assert cut(data, only(data).rest) == b" *((int(*)(int, long))NULL)"


# ---- splices anywhere, gcc, round trip ------------------------------------------------------------

SHAPES = "\n".join(source for source, _ in KERNEL_SHAPES).encode()
# Not inside of a splice: of two backslashes before a line's end only the last is one (C11 5.1.1.2).
PLACES = [at for at in range(len(SHAPES) + 1) if SHAPES[at - 1 : at + 1] != b"\\\n"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from([b"\\\n", b"\\ \t\n", b"\\\r\n"])), max_size=60))
def test_splices_change_nothing_but_the_offsets(splices: list[tuple[int, bytes]]) -> None:
    pieces, offsets, at, length = [], list(range(len(SHAPES) + 1)), 0, 0
    for position, splice in sorted(splices):
        pieces += [SHAPES[at:position], splice]
        length, at = length + len(splice), position
        offsets[position:] = [p + length for p in range(position, len(SHAPES) + 1)]
    data = b"".join((*pieces, SHAPES[at:]))
    plain, spliced = scan(SHAPES), scan(data)
    check(data, spliced)
    assert [(t.api, t.key, t.called, t.macro, t.directive) for t in spliced.tokens] == [
        (t.api, t.key, t.called, t.macro, t.directive) for t in plain.tokens
    ]
    for before, after in zip(plain.tokens, spliced.tokens, strict=True):
        assert after.name == Span(offsets[before.name.start], offsets[before.name.end - 1] + 1)
        assert SPLICE.sub(b"", cut(data, after.parens) or b"") == (cut(SHAPES, before.parens) or b"")
        assert SPLICE.sub(b"", cut(data, after.rest) or b"") == (cut(SHAPES, before.rest) or b"")


SOUP = [
    b"static_call",
    b"(",
    b")",
    b",",
    b"\\\n",
    b"\n",
    b"\r\n",
    b"#",
    b"%:",
    b"if",
    b"else",
    b"endif",
    b"define",
    b" ",
]
SOUP += [
    b"/*",
    b"*/",
    b"//",
    b'"',
    b"'",
    b'R"(',
    b')"',
    b"include",
    b"<a/static_call.h>",
    b"\\",
    b"\xc3\xa9",
    b"\xe9",
    b"9",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(SOUP), max_size=60))
def test_nonsense_is_read_too(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    scanned = scan(data)
    check(data, scanned)
    assert mentions(data) or scanned == Scanned()


def test_calls_taken_back_by_their_spans_restore_the_file() -> None:
    original = re.sub(rb"static_call\w*\(|STATIC_CALL\w*\(", b"(", SHAPES)
    original = original.replace(b"(", b"\\\n(").replace(b";\n", b";\r\n").replace(b", ", b", /* ( */ ")
    data = re.sub(rb"(?<!define )(?<![\w#])([a-z_]\w*)(?=[ \\\n]*\()", rb"static_\\\ncall( \1 )", original)
    tokens = scan(data).tokens
    out, at = [], 0
    for token in tokens:
        assert token.called and token.parens and token.key_span
        out += [data[at : token.name.start], data[token.key_span.start : token.key_span.end]]
        at = token.parens.end
    assert len(tokens) > 20
    assert b"".join((*out, data[at:])) == original


FRAGMENTS = [
    *(source.encode() for source, _ in KERNEL_SHAPES if "\n#" not in source and source[0] != "#"),
    *(b"/* static_call(c) */", b"// static_call(c) 'x \" /*\n", b'"static_call(s) \\" \\\\"', b"'\\''", b"L'x'"),
    *(b"1.static_call ", b"0x1e+static_call ", b"$static_call(z)", b"\xc3\xa9static_call", b"static_call\\u00e9 "),
    *(b"\xe2\x80\x9cstatic_call(u)\xe2\x80\x9d", b"\xe9static_call(l)", b"<%", b"%>", b"/**/", b"/***/", b"a / b"),
    *(
        b"'unterminated static_call(k)\n",
        b'"unterminated static_call(k)\n',
        b"x->static_call(a)",
        b"...static_call(k)",
    ),
    *(b"\n#define M x static_call(k)\n", b"\n%:undef N /* static_call(k) */\n", b"\n#pragma don't static_call(k)\n"),
    *(b"\n#if 1\nstatic_call(k)\n#endif\n", b"\n#ifdef static_call\n#endif\n", b"a # b", b"\f\v\t", b"(1)", b"??/"),
]
RAW = [
    b' R"x(static_call(raw) )" )x" ',
    b' LR"(static_call(raw) \\\n )" ',
    b' u8R"y(\\\n)\\\ny" static_call(raw))y" ',
]
SPELLING = re.compile(
    rb"\{P:[^;{}]*\.c;F:[^;{}]*;L:(\d+);C:(\d+);[^{}]*\}(" + "|".join(Api).encode() + rb")(?=\{|\s|\Z)"
)


def generated(seed: int) -> bytes:
    chance, out = random.Random(seed), [b"\xef\xbb\xbf"] if seed % 5 == 0 else []
    for _ in range(150):
        fragment = chance.choice(FRAGMENTS)
        # From the back, so that none lands inside another.
        for at in sorted(chance.sample(range(len(fragment) + 1), chance.choice((0, 0, 0, 1, 3))), reverse=True):
            fragment = fragment[:at] + chance.choice((b"\\\n", b"\\ \t\n")) + fragment[at:]
        out += [fragment, chance.choice((b" ", b"\n")), chance.choice(RAW) if chance.random() < 0.05 else b""]
    data = b"".join((*out, b"\n"))
    return data.replace(b"\n", b"\r\n") if seed % 7 == 0 else data


@pytest.mark.parametrize("seed", range(10))
def test_names_stand_where_gcc_sees_them(seed: int, tmp_path: Path) -> None:
    data = generated(seed)
    source = tmp_path / "generated.c"
    source.write_bytes(data)
    command = ["gcc", "-E", "-fdebug-cpp", "-std=gnu11", str(source)]
    text = subprocess.run(command, capture_output=True, check=False).stdout
    expected = [(int(m[1]), int(m[2]), m[3].decode()) for m in SPELLING.finditer(text)]
    scanned = scan(data)
    check(data, scanned)
    assert len(expected) > 30
    assert [(t.place.line, t.place.column, str(t.api)) for t in scanned.tokens if t.directive is None] == expected


# ---- the prefilter --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"x static_call(",
        b"DEFINE_STATIC_CALL",
        b"stati\\\nc_call",
        b"#include <static_\\ \t\r\ncall.h>",
        b"s\\\n\\\ntatic_call",
    ],
)
def test_files_that_may_hold_a_name(data: bytes) -> None:
    assert mentions(data)


@pytest.mark.parametrize("data", [b"", b"int x;", b"#define A \\\n 1\n", b"a\\\nb", b"\\\nstatic"])
def test_files_that_hold_none(data: bytes) -> None:
    assert not mentions(data)
    assert scan(data) == Scanned()


# ---- preprocessed text ----------------------------------------------------------------------------

SITE = re.compile(rb"__scs_\d+")


def test_groups_with_their_arguments() -> None:
    data = (
        b'# 1 "it\'s.c"\nint v = __scs_0(a_##b, 1, 2);\nint f(void) { return __scs_12\n# 2 "x.c"\n( k )(1) + '
        b'g("__scs_3(no)", __scs_4(__scs_5(x))) + x__scs_6(q) + __scs_7x(q); }\nint w = __scs_8;\n'
    )
    found = groups(data, SITE)
    assert [(g.text, g.first, g.called, g.in_body) for g in found] == [
        (b"__scs_0", "a_##b", False, False),
        (b"__scs_12", "k", True, True),
        (b"__scs_4", "__scs_5(x)", False, True),
        (b"__scs_5", "x", False, True),
        (b"__scs_8", "", False, False),
    ]
    assert cut(data, found[0].rest) == b" 1, 2"
    assert cut(data, found[1].parens) == b"( k )" and cut(data, found[1].first_span) == b"k"
    assert all(cut(data, g.name) == g.text for g in found)


def test_braces_in_literals_and_pragmas_do_not_count() -> None:
    data = b"char c = '{', *s = \"{\";\n#pragma x {\n#pragma don't\nint v = __scs_1(a); struct s <% %>; __scs_2(b)"
    assert [g.in_body for g in groups(data, SITE)] == [False, False]


def bodies(source: str) -> list[str]:
    data = source.encode()
    return [data[span.start : span.end].decode() for span in function_bodies(data)]


@pytest.mark.parametrize(
    "source",
    [
        "int f(void) @{}",
        "int f(void) @{ if (x) { y(); } }",
        "static inline __attribute__((always_inline)) int *f(int (*g)(int)) @{}",
        "int (*f(void))(int) @{}",
        "int f(void) __attribute__((cold)) @{}",
        "[[nodiscard]] int f(void) @{}",
        "_Atomic int f(void) @{}",
        "__typeof__(x) f(void) @{}",
        "struct s f(struct s a) @{}",
        "struct { int m; } f(void) @{}",
        "int f(struct { int m; } *p) @{}",
        "int f(int n, int a[n == 2]) @{}",
        "int v = (1); int f(void) @{}",
        "int t[] = { (1) }; int f(void) @{}",
        'int f(void)\n# 3 "it\'s {.h" 3\n@{}',
        "int f(void) @<% a<:1:> %>",
        "int f(void) @{ char *s = \"}\"; char c = '}'; /* } */ // }\n\n#pragma p }\n}",
    ],
)
def test_bodies_of_functions(source: str) -> None:
    head, body = source.split("@")
    assert bodies(head + body) == [body]
    assert bodies(head + body + " int g(void) {1;}") == [body, "{1;}"]


@pytest.mark.parametrize(
    "source",
    [
        "struct s { int (*f)(void); };",
        "struct __attribute__((packed)) { int a; } v;",
        "struct __attribute__((packed)) s { int a; };",
        'struct __attribute__\n# 2 "x.h"\n((packed)) s { int a; };',
        'struct [[deprecated("x")]] s { int a; };',
        "typedef union { int a; } __attribute__((transparent_union)) u;",
        "enum __attribute__((packed)) e { A = (1) };",
        "enum e : __typeof__(x) { A };",
        "_Alignas(16) struct s { int a; } v;",
        "int t[] = { 1, 2 };",
        "int (*t[2])(void) = { f, g };",
        "struct s v __attribute__((aligned(8))) = { f(1) };",
        "int f(void);",
        'asm("x { y"); __asm__ volatile ("");',
        "int f(a) int a; { return (a); }",
    ],
)
def test_braces_that_open_no_body(source: str) -> None:
    assert bodies(source) == []
    assert bodies(source + " int g(void) {1;}") == ["{1;}"]


def test_a_body_that_never_closes_reaches_to_the_end() -> None:
    assert bodies("int f(void) { (") == ["{ ("]
