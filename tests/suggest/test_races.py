# SPDX-License-Identifier: MIT
"""Edited programs whose pointers are turned on and off while threads call, and programs whose updates are refused.

In every shape run(1) is 0 whether the pointer is on or off, so any other answer is a call that a test did not belong
to. The sources themselves are right as compilers make them: one load for the test and the call.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.suggest.test_find import edited, found, refusals
from tests.toolchain import INCLUDE, build, instrument, run, runtime_object

RACE = Path(__file__).parent / "c" / "race.h"
HEAD = '#include "race.h"\n__attribute__((unused)) static int below(int x) { return x < 1; }\n'
FILTER = "static int (*filter)(int);\nvoid set(int on) { filter = on ? below : NULL; }\n"
HOOK = "static int seen;\nstatic void note(int x) { __atomic_store_n(&seen, x, __ATOMIC_RELAXED); }\n"
HOOK += "static void (*hook)(int);\nvoid set(int on) { hook = on ? note : NULL; }\n"
OPS = "struct ops { int (*check)(int); int level; };\nstatic struct ops ops;\n"
OPS += "void set(int on) { ops.check = on ? below : NULL; }\n"

ONE_CALL = {
    "&&": FILTER + "int run(int x) { return filter && filter(x) ? 1 : 0; }\n",
    "&& behind another": FILTER + "int run(int x)\n{\n\tif (x && filter != NULL && filter(x) > 0)\n\t\treturn 1;\n"
    "\treturn !x;\n}\n",
    "||": FILTER + "int run(int x) { return !(!filter || !filter(x)); }\n",
    "?:": FILTER + "int run(int x) { return filter ? filter(x) : 0; }\n",
    "if and return": FILTER + "int run(int x)\n{\n\tif (filter)\n\t\treturn filter(x);\n\treturn 0;\n}\n",
    "if not and return": FILTER + "int run(int x)\n{\n\tif (!filter)\n\t\treturn 0;\n\treturn filter(x);\n}\n",
    "if, return and else": FILTER
    + "int run(int x)\n{\n\tif (filter) {\n\t\treturn filter(x);\n\t} else {\n\t\treturn 0;\n\t}\n}\n",
    "result unused": FILTER + "int run(int x)\n{\n\tif (filter)\n\t\t(void)filter(x);\n\treturn !x;\n}\n",
    "in a macro": "#define OFF 0\n#define ASK(x) (filter ? (*filter)(x) : OFF)\n"
    + FILTER
    + "int run(int x) { return ASK(x); }\n",
    "any function": "static int (*filter)(int) = below;\nstatic void to(int (*f)(int)) { filter = f; }\n"
    "void set(int on) { to(on ? below : NULL); }\nint run(int x) { return filter ? filter(x) : 0; }\n",
    "a member": OPS + "int run(int x) { return ops.check ? ops.check(x) : 0; }\n",
    "a hook": HOOK + "int run(int x)\n{\n\tif (hook)\n\t\thook(x);\n\treturn !x;\n}\n",
    "a hook in a macro": "#define TELL(x) do { if (hook) hook(x); } while (0)\n"
    + HOOK
    + "int run(int x)\n{\n\tTELL(x);\n\treturn !x;\n}\n",
    "a hook in an expression": "#define TELL(x) ((hook) ? (hook)(x) : (void)0)\n"
    + HOOK
    + "int run(int x)\n{\n\tTELL(x);\n\treturn !x;\n}\n",
    "a member that is a hook": HOOK.replace(
        "static void (*hook)(int);", "static struct { void (*hook)(int); } ops;"
    ).replace("{ hook =", "{ ops.hook =")
    + "int run(int x)\n{\n\tif (ops.hook != NULL)\n\t\tops.hook(x);\n\treturn !x;\n}\n",
    "set but once": "static int (*filter)(int);\nvoid set(int on) { if (on) filter = below; }\n"
    "int run(int x)\n{\n\tif (!filter)\n\t\treturn !x;\n\treturn filter(x);\n}\n",
    "never NULL": "static int other(int x) { return x < 1; }\nstatic int (*filter)(int) = below;\n"
    "void set(int on) { filter = on ? below : other; }\nint run(int x) { return filter(x); }\n",
}
"""Programs that become right ones, or are left as they are."""


def applied(text: str, folder: Path) -> Path:
    """The program in a folder, with all edits."""
    (folder / "src").mkdir()
    (folder / "src" / "race.h").write_text(RACE.read_text())
    (folder / "src" / "a.c").write_text(text)
    words = ("--whole-program", "--apply", "-o", folder / "out")
    done = instrument("suggest", folder / "src", *words, CC="gcc-12")
    assert done.returncode == 0, done.stderr
    assert (
        "static_call(" in (folder / "out/a.c").read_text() or "static_call_cond(" in (folder / "out/a.c").read_text()
    )
    return folder / "out"


def built(source: Path, binary: Path, mode: str, *objects: Path) -> Path:
    """The program with the header alone or in a mode of `instrument cc`, and with more objects."""
    words = ["gcc-12", "-std=gnu11", "-O2", INCLUDE, "-c", source, "-o", f"{binary}.o"]
    if mode != "plain":
        done = instrument("cc", "--mode", mode, "--", *words)
        assert done.returncode == 0, done.stderr
    else:
        run(words)
    run(["gcc-12", f"{binary}.o", *objects, runtime_object("gcc-12"), "-pthread", "-o", binary])
    return binary


@pytest.mark.parametrize("shape", ONE_CALL)
def test_a_test_and_its_call_are_one(shape: str, tmp_path: Path) -> None:
    out = applied(HEAD + ONE_CALL[shape], tmp_path)
    for mode in ("plain", "inline-asm", "trampoline", "direct"):
        assert run([built(out / "a.c", tmp_path / mode, mode)]) == "1 0\n", mode
    # The sources' own race is gone as well: what is left is atomic.
    flags = ("-O1", "-g", "-fsanitize=thread")
    assert run([build("gcc-12", [out / "a.c"], tmp_path / "tsan", *flags)]) == "1 0\n"


@pytest.mark.parametrize(
    "body",
    [
        FILTER + "int run(int x) { return filter && filter(x) != 1; }",
        FILTER + "int run(int x) { return filter ? filter(x) : -1; }",
        FILTER + "int run(int x) { return !filter || filter(x); }",
        FILTER + "int run(int x) { if (filter) x = filter(x); return x; }",
        FILTER + "int run(int x) { return filter && filter(x++); }",
        FILTER + "int run(int x) { if (!filter) return 3; return filter(x); }",
        FILTER + "int run(int x) { while (filter) x += filter(x); return x; }",
        FILTER
        + "static inline int on(void) { return filter != NULL; } int run(int x) { return on() ? filter(x) : 0; }",
        "#define ON (filter != NULL)\n" + FILTER + "int run(int x) { return ON ? filter(x) : 0; }",
        "#define OFF 1\n" + FILTER + "int run(int x) { return filter ? filter(x) : OFF; }",
        "#define ASK(f, x) ((f) ? (f)(x) : 0)\n" + FILTER + "int run(int x) { return ASK(filter, x) + filter(x); }",
        "#define ASK(x) (filter ? filter(x) : 0)\n" + FILTER + "int run(int x) { return ASK(x) + ASK(x++); }",
        "#define ASK(f, x) do { if (f) f(x); } while (0)\n"
        + HOOK
        + "int run(int x) { ASK(hook, x); hook(x); return 0; }",
        FILTER + "int any(void) { return filter != NULL; } int run(int x) { return filter ? filter(x) : 0; }",
        FILTER + "void *get(void) { return (void *)filter; } int run(int x) { return filter ? filter(x) : 0; }",
        FILTER.replace("int (*", "double (*") + "int run(int x) { return filter ? (int)filter(x) : 0; }",
        FILTER.replace("int (*", "unsigned (*") + "int run(int x) { return filter && filter(x) > -1; }",
        "int weak(int) __attribute__((weak));\n"
        + FILTER.replace("on ? below : NULL", "weak")
        + "int run(int x) { return filter ? filter(x) : -1; }",
        FILTER.replace("void set(int on)", "void set(int (*below)(int), int on)")
        + "int run(int x) { return filter ? filter(x) : -1; }",
        OPS + "int run(int x) { return ops.check && ops.check(x) != 1; }",
        OPS + "struct ops copy(void) { return ops; } int run(int x) { return ops.check ? ops.check(x) : 0; }",
        OPS + "void all(struct ops *o) { ops = *o; } int run(int x) { return ops.check ? ops.check(x) : 0; }",
        "struct ops { int (*check)(int); }; static const struct ops one = { below }; static const struct ops *cur;\n"
        "void set(int on) { cur = on ? &one : NULL; } int run(int x) { return cur ? cur->check(x) : 0; }",
    ],
)
def test_what_cannot_be_one_call_is_refused(body: str) -> None:
    (candidate,) = found(HEAD + body, race_h="#include <stddef.h>\n").values()
    assert "it may become NULL between this test and the call" in refusals(candidate)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("if (hook) { other(); hook(x); }", "if (static_call_query(hook)) { other(); static_call_cond(hook)(x); }"),
        ("if (!hook) return; hook(x);", "if (!static_call_query(hook)) return; static_call_cond(hook)(x);"),
        ("if (hook) hook(x++);", "if (static_call_query(hook)) static_call_cond(hook)(x++);"),
    ],
)
def test_two_reads_of_a_hook_never_crash_but_are_a_condition(text: str, becomes: str) -> None:
    body = f"{HEAD}{HOOK}void other();\nvoid f(int x) {{ {text} }}\n"
    assert f"void f(int x) {{ {becomes} }}" in edited(body, race_h="#include <stddef.h>\n")
    doubts = found(body, race_h="#include <stddef.h>\n")["hook"].conditions
    assert [(d.what.partition(" between")[0], d.granted) for d in doubts] == [("nothing changes it", False)]


SELF = "struct ops { int (*read)(const struct ops *); int level; };\nstatic int level(const struct ops *o);\n"
SELF += "static const struct ops a = { level, 1 }, b = { level, 2 };\nstatic const struct ops *cur = &a;\n"
SELF += "void set(int on)\n{\n\tif (on)\n\t\tcur = &a;\n\telse\n\t\tcur = &b;\n}\n"
TWO = "static int other(int x) { return x; }\nstatic int (*p)(int) = below;\n"
TWO += "void set(int on) { p = on ? below : other; }\n"


@pytest.mark.parametrize(
    "text",
    [
        TWO + "int run(int x) { return p == below ? below(x) : p(x); }",
        TWO + "int g(int x) { return p(x); } int run(void) { return p == below ? 1 : p == other ? 2 : 0; }",
        TWO + "int run(int x) { int (*q)(int) = p; return p(x) + q(x); }",
        TWO + "#define FAST (p == below)\nint run(int x) { return FAST ? 0 : p(x); }",
        TWO + "static inline int fast(void) { return p == below; } int run(int x) { return fast() ? 0 : p(x); }",
        FILTER + "void *get(void) { return (void *)filter; } int run(int x) { return get() ? filter(x) : 0; }",
        SELF + "int run(void) { return cur->read(cur); }",
        SELF + "int run(int x) { return cur->level > 1 ? cur->read(0) : x; }",
    ],
)
def test_reads_that_belong_together_are_a_condition_that_no_flag_grants(text: str) -> None:
    (candidate,) = found(HEAD + text, race_h="#include <stddef.h>\n").values()
    assert not candidate.refusals
    (doubt,) = (d for d in candidate.conditions if not d.granted)
    assert doubt.what.startswith("nothing changes it between here and a.c:")


# ---- updates that are refused ---------------------------------------------------------------------

SEALED = """\
#include <stdio.h>
#include <static_call.h>
extern int seal(void);
int seal(void) { return static_call_seal(); }
"""
REFUSED = {
    "a pointer": (
        "static int (*p)(int) = below;\nvoid set(int on) { p = on ? two : below; }\nint run(int x) { return p(x); }\n"
    ),
    "a member": (
        "struct ops { int (*p)(int); int (*q)(int); };\nstatic struct ops ops = { below, below };\n"
        "void set(int on) { ops.p = on ? two : below; ops.q = two; }\nint other(int x) { return ops.q(x); }\n"
        "int run(int x) { struct ops copy = ops; return 10 * copy.p(x) + ops.p(x) + 100 * copy.q(x); }\n"
    ),
    "a member that is tested": (
        "struct ops { int (*p)(int); };\nstatic struct ops ops;\nvoid set(int on) { ops.p = on ? two : NULL; }\n"
        "int run(int x) { return ops.p ? ops.p(x) : 0; }\n"
    ),
    "a member that is a hook": (
        "struct ops { void (*p)(int); };\nstatic int n;\nstatic void add(int x) { n += x; }\nstatic struct ops ops;\n"
        "void set(int on) { ops.p = on ? add : NULL; }\n"
        "int run(int x)\n{\n\tif (ops.p)\n\t\tops.p(2);\n\tif (ops.p)\n\t\tops.p(x);\n\treturn n;\n}\n"
    ),
    "an object": (
        "struct ops { int (*p)(int); };\nstatic struct ops ops = { below };\nstatic struct ops new = { two };\n"
        "void set(int on) { if (on) ops = new; }\n"
        "int run(int x) { struct ops copy = ops; return 10 * copy.p(x) + ops.p(x); }\n"
    ),
    "a member that starts with what is not known": (
        "#define START { below }\nstruct ops { int (*p)(int); };\nstatic struct ops ops = START;\n"
        "void set(int on) { ops.p = on ? two : below; }\nint run(int x) { return ops.p(x); }\n"
    ),
}


@pytest.mark.parametrize("shape", REFUSED)
def test_an_update_that_is_refused_changes_nothing(shape: str, tmp_path: Path) -> None:
    head = "#include <stddef.h>\n#include <stdio.h>\nint seal(void);\nstatic int below(int x) { return x < 1; }\n"
    head += "static int two(int x) { return 2 * x; }\n"
    main = 'int main(void) { int before = run(2); if (seal()) return 2; set(1); printf("%d", run(2) - before); }\n'
    out = applied(head + REFUSED[shape] + main, tmp_path)
    (tmp_path / "seal.c").write_text(SEALED)
    run(["gcc-12", INCLUDE, "-c", tmp_path / "seal.c", "-o", tmp_path / "seal.o"])
    for mode in ("inline-asm", "trampoline", "direct"):
        assert run([built(out / "a.c", tmp_path / mode, mode, tmp_path / "seal.o")]) == "0", mode


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "static int first(int x);\nstatic int (*p)(int) = first;\n"
            "static int first(int x) { p = below; return p(x); }\nint run(int x) { return p(x); }",
            "the update succeeds: what follows at a.c:5 relies on it",
        ),
        (
            "static int (*p)(int);\nint run(int x) { if (!p) p = below; return p(x); }",
            "its first update succeeds: until then it is NULL, and the call here is not tested",
        ),
        (
            "static int (*p)(int);\nvoid set(int on) { p = below; }\nint run(int x) { return p(x); }",
            "its first update succeeds: until then it is NULL, and the call here is not tested",
        ),
        (
            "static int (*p)(int);\nvoid set(int on) { p = below; }\n"
            "int run(int x) { set(1); return p == below && p(x); }",
            "its first update succeeds: until then it is NULL, and the call here is not tested",
        ),
        (
            "void dlclose(void *); static int (*p)(int) = below;\nvoid set(int (*f)(int)) { p = f; }\n"
            "void end(void *h) { p = below; dlclose(h); }\nint run(int x) { return p(x); }",
            "the update succeeds before dlclose() takes away what the pointer led to",
        ),
        (SELF + "int run(void) { return cur->read(0); }", "every update succeeds, and one thread at a time sets cur"),
        (
            OPS.replace("NULL", "below")
            + "void all(struct ops *o) { ops = *o; }\nint run(int x) { return ops.check(x); }",
            "every update succeeds, and one thread at a time sets ops",
        ),
    ],
)
def test_what_relies_on_an_update_is_a_condition(text: str, what: str) -> None:
    (candidate,) = found(HEAD + text, race_h="#include <stddef.h>\n").values()
    assert not candidate.refusals
    assert any(doubt.what.startswith(what) for doubt in candidate.conditions), candidate.conditions
