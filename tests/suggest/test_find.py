# SPDX-License-Identifier: MIT
"""Which pointers are candidates, by what edit, and why others are not. Each is a few lines of C."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from instrument import inputs
from instrument.compiledb import Command, Commands
from instrument.suggest import find, patch
from instrument.suggest.census import census
from instrument.suggest.elsewhere import elsewhere
from instrument.suggest.model import Candidate, Role
from instrument.suggest.project import Project
from instrument.suggest.units import Units

FUNCTIONS = "static int one(int a) { return a; }\nstatic int two(int a) { return a + a; }\n"
SET = "void set(void) { p = two; }\n"


def project(files: Mapping[str, str], *, asked: bool = True) -> Project:
    """The program of these files; `asked` is its preprocessor."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).write_bytes(text.encode())
        gathered = inputs.gather([Path(folder)], None)
        sources, others = find.contents_of(gathered)
        made = Project(sources, others)
        commands = Commands(Command(("gcc-12",), Path(folder)))
        if asked:
            made.census = census(Units(gathered, commands, sources), made.sources, made.names)
        return made


def found(text: str, **others: str) -> dict[str, Candidate]:
    files = {"a.c": text, **{name.replace("_", "."): data for name, data in others.items()}}
    return {candidate.key: candidate for candidate in find.candidates(project(files))}


def edited(text: str, **headers: str) -> str:
    """The file with all edits of all proposals made, without the line that includes the header."""
    candidates = [c for c in found(text, **headers).values() if not c.refusals]
    files = {"a.c": text, **{name.replace("_", "."): data for name, data in headers.items()}}
    after = patch.changed({name: data.encode() for name, data in files.items()}, candidates)
    return after.get("a.c", text.encode()).decode().replace("#include <static_call.h>\n", "")


def refusals(candidate: Candidate) -> str:
    return "; ".join(doubt.what for doubt in candidate.refusals)


@pytest.mark.parametrize(
    ("declaration", "becomes"),
    [
        ("static int (*p)(int) = one;", "DEFINE_STATIC_CALL(p, one);"),
        ("static int (*p)(int) = &one;", "DEFINE_STATIC_CALL(p, one);"),
        ("static int (*p)(int a /* x */);", "DEFINE_STATIC_CALL_NULL(p, *(int (*)(int a))0);"),
        ("int (*p)(int) = NULL;", "DEFINE_STATIC_CALL_NULL(p, *(int (*)(int))0);"),
        ("static int (*p)(int) = (void *)0;", "DEFINE_STATIC_CALL_NULL(p, *(int (*)(int))0);"),
        ("typedef int (*fp)(int);\nstatic fp p = one;", "typedef int (*fp)(int);\nDEFINE_STATIC_CALL(p, one);"),
        ("typedef int (*fp)(int);\nstatic fp p;", "typedef int (*fp)(int);\nDEFINE_STATIC_CALL_NULL(p, *(fp)0);"),
        ("typedef int fn(int);\nstatic fn *p;", "typedef int fn(int);\nDEFINE_STATIC_CALL_NULL(p, *(fn *)0);"),
        (
            "typedef int (*f0)(int); typedef f0 fp;\nstatic fp p;",
            "typedef int (*f0)(int); typedef f0 fp;\nDEFINE_STATIC_CALL_NULL(p, *(fp)0);",
        ),
        (
            "static int (*p)(int);\nstatic int (*p)(int) = one;",
            "DECLARE_STATIC_CALL(p, *(int (*)(int))0);\nDEFINE_STATIC_CALL(p, one);",
        ),
        (
            "static int old(a) int a; { return a; }\nstatic int k();\nstatic int (*p)(int) = k;",
            "static int old(a) int a; { return a; }\nstatic int k();\nDEFINE_STATIC_CALL(p, *(int (*)(int))k);",
        ),
        (
            "int k(int) __attribute__((noreturn));\nstatic int (*p)(int) = k;",
            "int k(int) __attribute__((noreturn));\nDEFINE_STATIC_CALL(p, *(int (*)(int))k);",
        ),
        ("static void (*p)(int) = exit;", "DEFINE_STATIC_CALL(p, *(void (*)(int))exit);"),
        ("static const char *(*p)(int, ...);", "DEFINE_STATIC_CALL_NULL(p, *(const char *(*)(int, ...))0);"),
        ("static int (*(*p)(int))(void);", "DEFINE_STATIC_CALL_NULL(p, *(int (*(*)(int))(void))0);"),
    ],
)
def test_a_declaration_becomes_that_of_a_key(declaration: str, becomes: str) -> None:
    rest = "void f(void) { p(1); }\n" + SET
    text = edited(FUNCTIONS + declaration + "\n" + rest)
    assert text.startswith(FUNCTIONS + becomes + "\n")


@pytest.mark.parametrize(
    ("statement", "becomes"),
    [
        ("p(1);", "static_call(p)(1);"),
        ("(*p)(p(2));", "static_call(p)(static_call(p)(2));"),
        ("(p)(1);", "static_call(p)(1);"),
        ("p = one;", "static_call_update(p, one);"),
        ("p = p == one ? two : one;", "static_call_update(p, static_call_query(p) == one ? two : one);"),
        ("if (p) p(1);", "static_call(p)(1);"),
        ("if (v) v(x);", "static_call_cond(v)(x);"),
        ("if (v != NULL) { (*v)(3); }", "static_call_cond(v)(3);"),
        ("if (0 != v) v(&x);", "static_call_cond(v)(&x);"),
        ("if (v) v(x++);", "if (static_call_query(v)) static_call_cond(v)(x++);"),
        (
            "{ long y; if (x) y = 1; if (v) v(y); }",
            "{ long y; if (x) y = 1; if (static_call_query(v)) static_call_cond(v)(y); }",
        ),
        ("if (v) v(now);", "if (static_call_query(v)) static_call_cond(v)(now);"),
        ("{ long y = 1; if (v) v(y); }", "{ long y = 1; static_call_cond(v)(y); }"),
        ("if (v) v(NEXT);", "if (static_call_query(v)) static_call_cond(v)(NEXT);"),
        ("if (v) v(later);", "if (static_call_query(v)) static_call_cond(v)(later);"),
        (
            "{ tick own = 1; if (v) v(own); }",
            "{ tick own = 1; if (static_call_query(v)) static_call_cond(v)(own); }",
        ),
        ("if (v) v(LIMIT);", "static_call_cond(v)(LIMIT);"),
        ("if (v) v(x > 1 && !x);", "static_call_cond(v)(x > 1 && !x);"),
        ("v ? (v)(x) : (void)0;", "static_call_cond(v)(x);"),
        ("if (SET(v)) v(x);", "if (SET(static_call_query(v))) static_call_cond(v)(x);"),
        ("if (v) v(x); else x = 1;", "if (static_call_query(v)) static_call_cond(v)(x); else x = 1;"),
        ("if (v) { v(x); x = 2; }", "if (static_call_query(v)) { static_call_cond(v)(x); x = 2; }"),
        ("if (v) /* why */ v(x);", "if (static_call_query(v)) /* why */ static_call_cond(v)(x);"),
        ("x = v && (v(1), 1);", "x = static_call_query(v) && (static_call_cond(v)(1), 1);"),
        ("for (p = one; x--;) p(x);", None),
        ("{ int p = 3; x = p; } p(x);", "{ int p = 3; x = p; } static_call(p)(x);"),
        ("s.p = 1; t->p(2); p(3);", "s.p = 1; t->p(2); static_call(p)(3);"),
        ("x = sizeof(p == one) + p(1);", "x = sizeof(static_call_query(p) == one) + static_call(p)(1);"),
        ("x = sizeof p(1);", "x = sizeof static_call(p)(1);"),
    ],
)
def test_a_use_becomes_that_of_a_key(statement: str, becomes: str | None) -> None:
    head = (
        FUNCTIONS
        + "#define NEXT next()\n#define LIMIT 3L\n#define SET(x) ((x) != 0)\n"
        + "static int (*p)(int) = one;\nstatic void (*v)(long);\n"
        + "typedef volatile long tick;\nextern long x; extern volatile long now; extern tick later;\n"
    )
    text = head + "void f(void)\n{\n\tp(0);\n\tv(0);\n\tv = 0;\n\t%s\n}\n" + SET
    got = edited(text % statement).splitlines()
    if becomes is None:
        assert "the value of an assignment to it is used" in refusals(found(text % statement)["p"])
    else:
        assert f"\t{becomes}" in got


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("static int (*p)(int) = one; int *q(int (**a)(int)); void g(void) { q(&p); }", "its address is taken"),
        ("static int (*const p)(int) = one;", "it is const"),
        ("typedef int (*fp)(int); static const fp p = one;", "it is const"),
        ("static int (*volatile p)(int) = one;", "it is volatile"),
        ("static int (*_Atomic p)(int) = one;", "it is _Atomic"),
        ("static _Thread_local int (*p)(int) = one;", "each thread has its own"),
        ("static __thread int (*p)(int) = one;", "each thread has its own"),
        ("__attribute__((weak)) int (*p)(int) = one;", "it is declared with an attribute"),
        ("#define API __attribute__((weak))\nAPI int (*p)(int) = one;", "with the macro API"),
        ("static int (*p)(int) = one, (*q)(int);", "it is declared together with others"),
        ("static char p0[9]; static int (*p)(int) = (int (*)(int))p0;", "a value that is no function's name"),
        ("#define FIRST one\nstatic int (*p)(int) = FIRST;", "a value that is no function's name"),
        ("static int (*p)(int); void g(void) { p = (int (*)(int))1; }", "it is set to a number"),
        ("static int (*p)(int); int g(void) { return (p = one)(1); }", "the value of an assignment to it is used"),
        ("static int (*p)(int) = one; void g(void) { p++; }", "something else than a pointer to a function"),
        ("static int (*p)(int) = one; int g(void) { return sizeof p; }", "it is an operand of sizeof"),
        ("static int (*p)(int) = one; __typeof__(p) other;", "typeof|outside of every function|not understood"),
        ('static int (*p)(int) = one; void g(void) { __asm__("" :: "r"(p)); }', "it is an operand of asm"),
        ("#define SET(f) p = f\nstatic int (*p)(int) = one;", "the macro SET may change it"),
        ("#define ADDRESS (&p)\nstatic int (*p)(int) = one;", "the macro ADDRESS may change it"),
        ("#define p q\nstatic int (*p)(int) = one;", "a macro has its name"),
        ("static int (*p)(int) = one;\n#ifdef p\n#endif", "a directive names it: #ifdef"),
        ("extern int (*p)(int);", "no file here defines it"),
        ("static int (*p)(int) = one; void g(void) { extern int (*p)(int); }", "a function declares it again"),
        (
            "typedef int (*fp)(int); extern fp p __attribute__((weak)); fp p = one;",
            "it is declared with an attribute",
        ),
        (
            'typedef int (*fp)(int); static fp p __attribute__((section("x"))) = one;',
            "it is declared with an attribute",
        ),
        ("#define OWN static\nOWN long (*p)(int);", "with the macro OWN"),
        ('int (*p)(int) = one; void *g(void *h) { return dlsym(h, "p"); }', "a.c looks it up by its name"),
        ('int (*p)(int) = one; extern int (*q)(int) __attribute__((alias("p")));', "alias in a.c has its name in it"),
        ("OWN unsigned long (*p)(int);", "not understood"),
        ("static struct s { int x; } (*p)(int);", "a type is defined in its declaration"),
        ("static int (*p)(int)\n#ifdef X\n= one\n#endif\n;", "a directive stands in its declaration"),
        ("static int (*p)(int) = one; void g(void) { *p; }", "dereferenced without being called"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    candidate = found(f"{FUNCTIONS}{text}\nvoid f(void) {{ p(1); }}\nvoid set(void) {{ p = two; }}\n")["p"]
    assert any(word in refusals(candidate) for word in why.split("|")), refusals(candidate)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("static int (*p)(int) = one;", "nothing assigns it: compilers call what it starts with already"),
        ("static int (*p)(int);", "nothing assigns it: it is always NULL"),
        (
            "#define SET(q, f) (q) = (f)\nstatic int (*p)(int) = one; void g(void) { SET(p, two); }",
            "the macro SET may",
        ),
        ("static int (*p)(int) = one; void *g(void) { return &p; }", "its address is taken"),
    ],
)
def test_what_nothing_assigns_is_left_to_the_compiler(text: str, why: str) -> None:
    told = refusals(found(f"{FUNCTIONS}{text}\nint f(void) {{ return p(1); }}\n")["p"])
    assert told.startswith(why)
    assert ";" not in told


@pytest.mark.parametrize("text", ["SHOW(p)", "CHECK(p == one)", "SHOW(p(1))", "AGAIN(p)"])
def test_a_macro_may_make_a_string_of_a_pointer_that_it_reads(text: str) -> None:
    head = "#define SHOW(x) ((void)#x, (x))\n#define CHECK(x) ((void)SHOW(x))\n#define AGAIN(x) SHOW(x && p)\n"
    body = f"static int (*p)(int) = one;\nint f(int x) {{ return p(1); }}\nvoid g(void) {{ {text}; }}\n"
    quotes = "nothing depends on the text that the macro"
    assert any(d.what.startswith(quotes) for d in found(f"{head}{FUNCTIONS}{body}{SET}")["p"].conditions)
    told = found(f"{head.replace('#x', 'x')}{FUNCTIONS}{body}{SET}")["p"].conditions
    assert not any(d.what.startswith(quotes) for d in told)


def test_what_is_but_a_string_or_a_part_of_a_name_is_not_the_pointer() -> None:
    text = "#define NAME(x) #x\n#define CALL(x) x##_one(2)\nstatic int p_one(int a) { return a; }\n" + FUNCTIONS
    text += "static int (*p)(int) = one;\nint f(void) { return p(1) + CALL(p) + sizeof(NAME(p)); }\n" + SET
    candidate = found(text)["p"]
    assert (candidate.refusals, candidate.conditions) == ((), ())
    assert "return static_call(p)(1) + CALL(p) + sizeof(NAME(p));" in edited(text)


def test_what_is_called_but_no_candidate_is_told() -> None:
    text = "struct s { int (*m)(int); struct s *next; }; struct t { struct s s; } t; struct s own, many[2];\n"
    text += "static int (*p)(int) = one; static int (*table[2])(int) = { one, two };\n"
    text += "int f(struct s *s, int i) { struct s here = *s; (*s->next->m)(1); s->m(2); table[i](3); t.s.m(4);\n"
    text += "here.m(5); many[i].m(6); own.m(7); return p(8); }\n"
    whole = project({"a.c": FUNCTIONS + text})
    told = [(one.name, one.calls, one.why) for one in elsewhere(whole, find.candidates(whole))]
    assert [(name, calls) for name, calls, _ in told] == [
        ("->m", 2),
        ("table[]", 1),
        ("t.s.m", 1),
        (".m", 1),
        ("many[].m", 1),
    ]
    assert told[0][2] == "members of an object that a pointer leads to, of which there may be many"
    assert told[1][2] == "elements of an array"
    assert told[2][2] == told[4][2] == "members of a member or of an array's element"


@pytest.mark.parametrize(
    "text",
    [
        "static int (*p[2])(int) = { one, two }; int f(void) { return p[0](1); }",
        "struct s { int (*p)(int); }; int f(struct s *s) { return s->p(1); }",
        "int f(int (*p)(int)) { return p(1); }",
        "int f(void) { static int (*p)(int) = one; return p(1); }",
        "static int (*p)(int) = one;",
        "union u { int (*p)(int); }; int f(union u *u) { return u->p(1); }",
        "int p(int); int f(void) { return p(1); }",
    ],
)
def test_what_belongs_to_an_object_or_is_not_called_is_no_candidate(text: str) -> None:
    assert found(FUNCTIONS + text) == {}


def test_a_pointer_of_the_program_is_declared_in_its_header() -> None:
    header = "#ifndef H\n#define H\n#include <stddef.h>\nextern int (*p)(int);\n#endif\n"
    text = '#include "a.h"\n' + FUNCTIONS + "int (*p)(int) = one;\nint f(void) { return p(1); }\n" + SET
    candidate = found(text, a_h=header, b_c='#include "a.h"\nint g(void) { return p(2); }\n')["p"]
    assert not candidate.refusals
    assert [doubt.what for doubt in candidate.conditions] == ["no file but those given uses it, for it is not static"]
    after = patch.patched(header.encode(), candidate.edits["a.h"]).decode()
    assert after == header.replace("extern int (*p)(int);", "DECLARE_STATIC_CALL(p, *(int (*)(int))0);").replace(
        "<stddef.h>\n", "<stddef.h>\n#include <static_call.h>\n"
    )
    assert {use.place.path for use in candidate.of(Role.CALL)} == {"a.c", "b.c"}


def test_what_cannot_be_seen_is_a_condition() -> None:
    text = FUNCTIONS + "static int (*p)(int) = one;\nint f(void) { return p(1); }\n" + SET
    told = [d.what for d in found(text, b_cpp="int p;", c_c='#include "a.c"\n')["p"].conditions]
    assert told == [
        "b.cpp, which is no C, does not mean it by its name",
        "no program has both a.c and c.c, which includes it",
    ]


def test_files_have_their_own_static_pointers() -> None:
    text = FUNCTIONS + "static int (*p)(int) = one;\nint f%s(void) { return p(1); }\nvoid s%s(void) { p = two; }\n"
    known = found(text % ("a", "a"), b_c=text % ("b", "b"))
    assert sorted(known) == ["a_p", "b_p"]
    assert all(not c.refusals and set(c.edits) == {f"{key[0]}.c"} for key, c in known.items())


def test_a_key_is_a_name_in_ascii() -> None:
    text = FUNCTIONS + "static int (*p)(int) = one;\nint f(void) { return p(1); }\n"
    known = find.candidates(project({"d/\u00e9-1.c": text, "b.c": text}))
    assert [candidate.key for candidate in known] == ["b_p", "__1_p"]


def test_a_header_may_mean_a_file_s_own_pointer() -> None:
    text = '#include "a.h"\n' + FUNCTIONS + "static int (*p)(int) = one;\nint f(void) { return p(1); }\n" + SET
    assert "a header names it" in refusals(found(text, a_h="#define CALL(x) p(x)\n")["p"])
    assert found(text, a_h="struct s { int p; };\n#define GET(p) (p)\n")["p"].refusals == ()


def test_two_definitions_are_two_pointers_or_a_mistake() -> None:
    text = FUNCTIONS + "int (*p)(int) = one;\nint f(void) { return p(1); }\n"
    assert "several files define it" in refusals(found(text, b_c="int two(int);\nint (*p)(int) = two;\n")["p"])


def test_what_is_assigned_is_told() -> None:
    text = FUNCTIONS + "static int (*p)(int) = one;\nint f(void) { return p(1); }\n"
    text += 'void set(int (*n)(int)) { p = n; p = dlsym(h, "x"); p = two; }\n'
    assert [doubt.what for doubt in found(text)["p"].notes] == [
        "set to `n`, which must be a function or NULL",
        'set to what is looked up at run time: `dlsym(h, "x")`',
    ]


def test_calls_hidden_in_macros_and_conditions() -> None:
    text = FUNCTIONS + "#define CALL(x) (*p)(x) + \\\n\tp(x)\n#define IS (p != NULL)\nstatic int (*p)(int) = one;\n"
    text += "int f(int a)\n{\n#ifdef X\n\tif (a)\n\t\treturn p(a);\n\telse\n#endif\n\treturn CALL(a);\n}\n" + SET
    after = edited(text)
    assert "#define CALL(x) static_call(p)(x) + \\\n\tstatic_call(p)(x)\n" in after
    assert "#define IS (static_call_query(p) != NULL)\n" in after
    assert "return static_call(p)(a);" in after


def test_a_macro_that_is_but_another_name() -> None:
    text = FUNCTIONS + "#define q p\nstatic int (*p)(int) = one;\nint f(void) { return q(1) + q (2); }\n" + SET
    assert "#define q static_call(p)\n" in edited(text)
    text += "void *g(void) { return q; } int h(void) { return p(1); }\n"
    assert "#define q static_call_query(p)\n" in edited(text)


def test_a_macro_that_makes_a_pointer_visible() -> None:
    text = '#ifdef W\n#define API __declspec(dllexport)\n#else\n#define API __attribute__((visibility("default")))\n'
    text += "#endif\n" + FUNCTIONS + "API int (*p)(int) = one;\nint f(void) { return p(1); }\n" + SET
    assert "\nDEFINE_STATIC_CALL(p, one);\n" in edited(text)


def test_a_file_that_is_not_understood_as_a_whole_is_read_in_pieces() -> None:
    text = "#define MAKE(n) int n(int a) { return a; }\nMAKE(x)\nint broken(int a) { return @ a; }\n" + FUNCTIONS
    text += "static int (*p)(int) = one;\nint f(void) { return p(1); }\n" + SET
    assert found(text)["p"].refusals == ()
    assert "not understood" in refusals(found(text.replace("return @ a;", "x y p(a) z ] w"))["p"])


def test_what_is_not_evaluated_is_no_read() -> None:
    text = FUNCTIONS + "static int (*p)(int) = one;\nint f(void) { return sizeof(p == one) > 4 && p(1); }\n" + SET
    candidate = found(text)["p"]
    assert (candidate.refusals, candidate.conditions) == ((), ())
