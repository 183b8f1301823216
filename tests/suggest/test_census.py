# SPDX-License-Identifier: MIT
"""What the preprocessor makes of a pointer: the edit accounts for each place, or the candidate is refused.

And what is said of the compilers' code and of the link, held against them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.suggest.test_find import FUNCTIONS, edited, found, refusals
from tests.toolchain import INCLUDE, attempt, build, instrument, run

POINTER = "static int (*pick)(int) = one;\nint run(int x) { return pick(x); }\nvoid slow(void) { pick = one; }\n"
OPS = "struct ops { int (*read)(int); int (*write)(int); };\nstatic struct ops ops = { one, one };\n"
OPS += "int run(int x) { return ops.read(x); }\nvoid slow(void) { ops.read = one; }\n"


@pytest.mark.parametrize(
    ("head", "fast", "why"),
    [
        ("#define SET(m, f) ops.m = (f)", "SET(read, two)", "the macro SET may change it"),
        ("#define SET(m, f) do { ops.m = (f); } while (0)", "SET(read, two)", "the macro SET may change it"),
        ("#define SET(m, f) ops.re##m = (f)", "SET(ad, two)", "the macro SET may change it"),
        ("#define SET(o, f) o##s.read = (f)", "SET(op, two)", "the macro SET makes its name by ##"),
        ("#define CAT(a, b) a##b\n#define SET(o, f) CAT(o, s).read = f", "SET(op, two)", "makes its name by ##"),
        ("#define SET(o, m, f) (o).m = (f)", "SET(ops, read, two)", "the macro SET may change it"),
        ("#define SET(o, f) o.read = (f)", "SET(ops, two)", "the macro SET may change it"),
        ("#define FIELD(m) ops.m", "FIELD(read) = two", "the macro FIELD may change it"),
        ("#define SLOT(m) (&ops.m)", "*SLOT(read) = two", "its address is taken"),
        ("#define rd read", "ops.rd = two", "may change it"),
        ("#define ALL ops", "ALL.read = two", "the macro ALL may change it"),
        ("#define ALL (ops)", "ALL.read = two", "the macro ALL may change it"),
        ("#define DO(s) s", "DO(ops.read = two)", "the macro DO may change it"),
        ("#define SET(f) ops.read = f", "SET(two)", None),
        ("#define SET(f) (void)(ops.read = f)", "SET(two)", "the value of an assignment to it is used"),
        ("#define SWAP(a, b) { struct ops t = a; a = b; b = t; }", "static struct ops other = { two, two }; "
         "SWAP(ops, other)", "may change it"),
        ("#define TYPE(x) __typeof__(x)", "TYPE(ops.read) *slot = (TYPE(ops.read) *)(void *)&ops; *slot = two",
         "it is an operand of typeof"),
    ],
)  # fmt: skip
def test_what_a_macro_does_with_a_member(head: str, fast: str, why: str | None, tmp_path: Path) -> None:
    _same(f"{FUNCTIONS}{head}\n{OPS}void fast(void) {{ {fast}; }}\n", why, tmp_path)


@pytest.mark.parametrize(
    ("head", "fast", "why"),
    [
        ("#define SET(f) pick = f", "SET(two)", None),
        ("#define SET(p, f) p = f", "SET(pick, two)", "the macro SET may change it"),
        ("#define SET(p, f) pi##p = f", "SET(ck, two)", "the macro SET makes its name by ##"),
        ("#define SET(p) pi##p = two\n#define FAST SET(ck)", "FAST", "the macro FAST makes its name by ##"),
        ("#define P pick", "P = two", "the macro P may change it"),
        ("#define AT(p) &p", "*AT(pick) = two", "its address is taken"),
        ("#define ID(x) x", "ID(pick = two)", "the macro ID may change it"),
        ("#define pick2 pick", "pick = pick2 == one ? two : one", None),
        ("#define CALL(p, x) p(x)", "pick = CALL(pick, 1) ? two : two", None),
        ("#define CALL(x) pick(x)", "pick = CALL(1) ? two : two", None),
        ("#define LOCAL int (*pick)(int) = 0; (void)pick", "pick = two; { LOCAL; }", None),
        ("#define LOCAL(p) int (*p)(int) = 0; (void)p", "pick = two; { LOCAL(pick); (void)pick; }", None),
    ],
)
def test_what_a_macro_does_with_a_pointer(head: str, fast: str, why: str | None, tmp_path: Path) -> None:
    _same(f"{FUNCTIONS}{head}\n{POINTER}void fast(void) {{ {fast}; }}\n", why, tmp_path)


def _same(text: str, why: str | None, folder: Path) -> None:
    """What is proposed means the same, and what is not says why."""
    main = "int main(void)\n{\n\tif (run(3) != 3)\n\t\treturn 1;\n\tfast();\n\tif (run(3) != 6)\n\t\treturn 2;\n"
    (folder / "a.c").write_text(text + main + "\tslow();\n\treturn run(3) == 3 ? 0 : 3;\n}\n")
    run(["gcc-12", "-w", folder / "a.c", "-o", folder / "before"])
    run([folder / "before"])
    (candidate,) = found(text).values()
    assert why in refusals(candidate) if why else not candidate.refusals, candidate.refusals
    words = ("--whole-program", "--apply", "-o", folder / "out")
    done = instrument("suggest", folder / "a.c", *words, CC="gcc-12")
    assert done.returncode == 0, done.stderr
    assert ("static_call(" in (folder / "out/a.c").read_text()) == (why is None)
    run(["gcc-12", "-w", INCLUDE, folder / "out/a.c", "-o", folder / "after"])
    run([folder / "after"])


def test_another_name_that_a_macro_makes_of_a_member_is_not_lost() -> None:
    """As <fcntl.h> may make `open64` of `open`, in those files alone that include it."""
    header = "struct ops { int (*open)(int); int (*open64)(int); };\nextern struct ops ops;\n"
    text = f'#define open open64\n#include "a.h"\n{FUNCTIONS}void fast(void) {{ ops.open = two; }}\n'
    other = f'#include "a.h"\n{FUNCTIONS}struct ops ops = {{ one, one }};\nint run(int x) {{ return ops.open(x); }}\n'
    told = refusals(found(text, a_h=header, b_c=other)["ops_open"])
    assert "a macro makes another member of it" in told


def test_a_name_in_a_file_that_is_no_input_refuses(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/set.h").write_text("static inline void fast(void) { pick = two; }\n")
    (tmp_path / "src/a.c").write_text(f'{FUNCTIONS}{POINTER}#include "set.h"\nvoid (*keep)(void) = fast;\n')
    done = instrument("suggest", "src", "--list", "--", "-Iother", cwd=tmp_path, CC="gcc-12")
    assert re.search(r"/other/set\.h:1 names it, and is none of the C files given", done.stdout)
    done = instrument("suggest", "src", "other", "--list", "--", "-Iother", cwd=tmp_path, CC="gcc-12")
    assert "a header names it, which may mean this one" in done.stdout


def test_a_name_that_the_command_line_makes_refuses(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(f"{FUNCTIONS}{POINTER}void fast(void) {{ CHOOSE = two; }}\n")
    done = instrument("suggest", "a.c", "--list", "--", "-DCHOOSE=pick", cwd=tmp_path, CC="gcc-12")
    assert "a.c:6:1: a macro makes its name\n" in done.stdout


def test_definitions_as_of_1978_are_read() -> None:
    text = f"{FUNCTIONS}static int (*p)(int) = one;\nint f(x) int x; {{ return p(x); }}\n"
    text += "int g(x, y) int x; char y; { return p(x) + y; }\nvoid set() { p = two; }\n"
    assert "int g(x, y) int x; char y; { return static_call(p)(x) + y; }" in edited(text)


def test_a_call_that_reads_like_a_declaration() -> None:
    text = "#define CAST (char *)\nchar *escape(char *s);\nvoid quiet(void *p);\nvoid loud(void *p);\n"
    text += "static void (*release)(void *) = loud;\nvoid set(void) { release = quiet; }\n"
    after = edited(text + "void f(char **s)\n{\n\trelease(escape(CAST s[0]));\n}\n")
    assert "\tstatic_call(release)(escape(CAST s[0]));\n" in after


# ---- the first value ------------------------------------------------------------------------------

ARMS = {
    "an arm of the value": (
        "static const struct ops a = { one }, b = { two };\nstatic const struct ops *cur =\n#ifdef MULTI\n\t&a;\n"
        "#else\n\t&b;\n#endif\nvoid set(int m)\n{\n\tif (m)\n\t\tcur = &a;\n}\n"
        "int run(int x) { return cur->read(x); }\n"
    ),
    "two definitions": (
        "#ifdef MULTI\nstatic struct ops ops = { one };\n#else\nstatic struct ops ops = { two };\n#endif\n"
        "void set(int m) { ops.read = m ? one : two; }\nint run(int x) { return ops.read(x); }\n"
    ),
    "two definitions, one without a function": (
        "#ifdef MULTI\nstatic struct ops ops = { one };\n#else\nstatic struct ops ops = { .level = 3 };\n#endif\n"
        "void set(int m) { ops.read = m ? one : two; }\nint run(int x) { set(0); return ops.read(x); }\n"
    ),
    "an arm of the members": (
        "static struct ops ops = {\n#ifdef MULTI\n\tone,\n#else\n\ttwo,\n#endif\n};\n"
        "void set(int m) { ops.read = m ? one : two; }\nint run(int x) { return ops.read(x); }\n"
    ),
    "two pointers": (
        "#ifdef MULTI\nstatic int (*p)(int) = one;\n#else\nstatic int (*p)(int) = two;\n#endif\n"
        "void set(int m) { p = m ? one : two; }\nint run(int x) { return p(x); }\n"
    ),
}


@pytest.mark.parametrize("shape", ARMS)
def test_a_key_is_defined_in_every_configuration(shape: str, tmp_path: Path) -> None:
    head = f"{FUNCTIONS}struct ops {{ int (*read)(int); int level; }};\n"
    main = "int main(void) { int first = run(1); set(1); return 10 * first + run(1); }\n"
    (tmp_path / "a.c").write_text(head + ARMS[shape] + main)
    words = ("--whole-program", "--apply", "-o", tmp_path / "out")
    done = instrument("suggest", tmp_path / "a.c", *words, CC="gcc-12")
    assert done.returncode == 0, done.stderr
    assert "static_call(" in (tmp_path / "out/a.c").read_text()
    for flags in ([], ["-DMULTI"]):
        run(["gcc-12", "-w", *flags, tmp_path / "a.c", "-o", tmp_path / "before"])
        before = attempt([tmp_path / "before"]).returncode
        binary = build("gcc-12", [tmp_path / "out/a.c"], tmp_path / "after", *flags, "-w")
        assert attempt([binary]).returncode == before


def test_a_definition_that_no_unit_has_is_refused(tmp_path: Path) -> None:
    """The program has another file's instead: nothing here defines the key."""
    text = f"{FUNCTIONS}extern int (*p)(int);\n#ifdef OWN\nint (*p)(int) = one;\n#endif\n"
    (tmp_path / "a.c").write_text(text + "int run(int x) { return p(x); }\nvoid set(void) { p = two; }\n")
    done = instrument("suggest", tmp_path / "a.c", "--list", "--whole-program", CC="gcc-12")
    assert "its edit does not link: a.c has the key, and these flags leave its definition out" in done.stdout
    done = instrument("suggest", tmp_path / "a.c", "--list", "--whole-program", "--", "-DOWN", CC="gcc-12")
    assert "1 could be static calls" in done.stdout


def test_a_key_that_two_files_define_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(f"{FUNCTIONS}int (*p)(int) = one;\nint f(int x) {{ return p(x); }}\n")
    (tmp_path / "b.c").write_text('#include "a.c"\nint g(void) { return f(1); }\n')
    done = instrument("suggest", tmp_path, "--list", "--whole-program", CC="gcc-12")
    assert "its edit does not link: a.c and b.c define the key" in done.stdout


# ---- what compilers do ----------------------------------------------------------------------------

DIGEST = "struct digest { int (*update)(int); int level; };\n__attribute__((noinline)) static int up(int x)\n"
DIGEST += '{\n\t__asm__ volatile ("");\n\treturn x + 1;\n}\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("static const struct digest t = { up, 1 };\nint f(void) { return t.update(1); }\n", "it is const"),
        ("const struct digest t = { up, 1 };\nint f(void) { return t.update(1); }\n", "it is const"),
        ("int (*const t)(int) = up;\nint f(void) { return t(1); }\n", "it is const"),
        ("static int (*t)(int) = up;\nint f(void) { return t(1); }\n", "nothing assigns it"),
        (
            "static const struct digest o = { up, 1 };\nstatic const struct digest *t = &o;\n"
            "int f(void) { return t->update(1); }\n",
            "nothing changes it",
        ),
    ],
)
def test_compilers_call_what_is_said_that_they_call(text: str, why: str, tmp_path: Path) -> None:
    assert any(re.search(rf"{why}: compilers call .* already", refusals(c)) for c in found(DIGEST + text).values())
    (tmp_path / "a.c").write_text(DIGEST + text)
    for compiler in ("gcc-12", "clang-14"):
        for flags in (["-O1"], ["-O2"], ["-O2", "-fPIC"]):
            run([compiler, "-w", *flags, "-S", tmp_path / "a.c", "-o", tmp_path / "a.s"])
            assert not re.search(r"\b(?:call|jmp)\w*\s+\*", (tmp_path / "a.s").read_text()), (compiler, flags)


def test_what_another_file_defines_is_called_directly_with_lto_alone(tmp_path: Path) -> None:
    header = "struct digest { int (*update)(int); int level; };\nextern const struct digest t;\nint f(void);\n"
    text = f'#include "a.h"\n{DIGEST.partition(chr(10))[2]}const struct digest t = {{ up, 1 }};\n'
    user = '#include "a.h"\nint f(void) { return t.update(1); }\nint main(void) { return f() != 2; }\n'
    told = refusals(found(text, a_h=header, b_c=user)["t_update"])
    why = "it is const: compilers that see its definition call what it points to, others with -flto"
    assert set(told.split("; ")) == {why}
    for name, data in (("a.h", header), ("a.c", text), ("b.c", user)):
        (tmp_path / name).write_text(data)
    for flags, indirect in ([], True), (["-flto"], False):
        run(["gcc-12", "-O2", *flags, tmp_path / "a.c", tmp_path / "b.c", "-o", tmp_path / "p"])
        code = run(["objdump", "-d", "--no-show-raw-insn", tmp_path / "p"])
        bodies = re.findall(r"<(?:f|main)>:\n((?:.+\n)+)", code)
        assert any(re.search(r"\b(?:call|jmp)\s+\*", body) for body in bodies) is indirect


def test_a_pointer_to_an_object_that_is_not_const_is_proposed() -> None:
    """gcc does not call directly what the one object that a pointer leads to holds, unless that is const."""
    text = DIGEST + "static struct digest o = { up, 1 };\nstatic const struct digest *t = &o;\n"
    assert not found(text + "int f(void) { return t->update(1); }\n")["t_update"].refusals
