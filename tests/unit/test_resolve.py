# SPDX-License-Identifier: MIT
"""instrument.resolve: real compilers, asked about small trees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from instrument.diagnostics import Finding, InstrumentError
from instrument.model import Base, Encoding, Function, Place, Pointer, Record, Resolution, Typedef, Unit, Use, Void
from instrument.paths import INCLUDE_DIR
from instrument.resolve import Resolved, resolve
from instrument.scan import scan

COMPILERS = ("gcc", "clang-14")

INT = Base("int", 4, Encoding.SIGNED)
LONG = Base("long", 8, Encoding.SIGNED)
UNARY = Function(INT, (INT,), False)

KEY = '#include "static_call.h"\nint bark(int);\nDECLARE_STATIC_CALL(key, bark);\n'


@dataclass(frozen=True)
class Tree:
    """A source tree on disk, and how to ask about it."""

    root: Path
    cc: str

    def ask(self, *mains: str, flags: Sequence[str] = (), cwd: str = ".", cc: Sequence[str] = ()) -> Resolved:
        files = sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())
        contents = {f: (self.root / f).read_bytes() for f in files if f.endswith((".c", ".h"))}
        mentioning = {f: data for f, data in contents.items() if b"static_call" in data or b"STATIC_CALL" in data}
        units = [Unit(self.root / main, (*(cc or (self.cc,)), *flags), self.root / cwd) for main in mains]
        scanned = {f: scan(data, f) for f, data in mentioning.items()}
        return resolve(self.root, files, scanned, mentioning, units, INCLUDE_DIR, 2)

    def resolve(self, *mains: str, flags: Sequence[str] = (), cwd: str = ".", cc: Sequence[str] = ()) -> Resolution:
        told = self.ask(*mains, flags=flags, cwd=cwd, cc=cc)
        assert (told.findings, told.failed) == ((), frozenset())
        return told.resolution

    def fails(self, *mains: str, flags: Sequence[str] = (), cwd: str = ".", cc: Sequence[str] = ()) -> list[Finding]:
        told = self.ask(*mains, flags=flags, cwd=cwd, cc=cc)
        assert told.failed and told.failed <= set(mains)
        return list(told.findings)

    def use(self, told: Resolution, path: str, text: str) -> Use:
        """The use of the only call in `path` that starts with `text`."""
        data = (self.root / path).read_bytes()
        assert data.count(text.encode()) == 1
        return told.uses[path, data.index(text.encode())]


Grow = Callable[[Mapping[str, str]], Tree]


@pytest.fixture(params=COMPILERS)
def grow(request: pytest.FixtureRequest, tmp_path: Path) -> Grow:
    def grown(files: Mapping[str, str]) -> Tree:
        root = tmp_path / "root"
        for path, text in files.items():
            whole = root / path
            whole.parent.mkdir(parents=True, exist_ok=True)
            whole.write_text(text)
        return Tree(root, request.param)

    return grown


# ---- uses -----------------------------------------------------------------------------------------


def test_which_call_is_live_with_which_key(grow: Grow) -> None:
    tree = grow(
        {
            "a.c": KEY
            + """
            #include <assert.h>
            #define ops(f) static_call(key_##f)
            #define mx(a, b) ((a) > (b) ? (a) : (b))
            DECLARE_STATIC_CALL(key_read, bark);
            DECLARE_STATIC_CALL(key_write, bark);
            #if 0
            int dead(void) { return static_call(key)(100); }
            #endif
            int f(void) {
                assert(static_call(key)(1));
                ops(read)(2);
                ops(write)(3);
                static_call_cond(key)(4);
                static_call_mod(key)(5);
                static_call_update(key, bark);
                return mx(static_call(key)(static_call(key_read)(6)), 7)
                    + static_call(key, static_call(key_write, 8));
            }
            """
        }
    )
    told = tree.resolve("a.c")
    assert tree.use(told, "a.c", "static_call(key)(100)") == Use()
    assert tree.use(told, "a.c", "static_call(key)(1)") == Use(("key",), stringized=True)
    assert tree.use(told, "a.c", "static_call(key_##f)") == Use(("key_read", "key_write"))
    assert tree.use(told, "a.c", "static_call_cond(key)(4)") == Use(("key",))
    assert tree.use(told, "a.c", "static_call_mod(key)(5)") == Use(("key",))
    assert tree.use(told, "a.c", "static_call(key)(static_call(key_read)") == Use(("key",))
    assert tree.use(told, "a.c", "static_call(key_read)(6)") == Use(("key_read",))
    assert tree.use(told, "a.c", "static_call(key_write, 8)") == Use(("key_write",))
    assert len(told.uses) == 9
    assert told.keys.keys() == {"key", "key_read", "key_write"}


def test_a_key_is_macro_expanded(grow: Grow) -> None:
    tree = grow({"a.c": KEY + "#define alias key\nint f(void) { return static_call(alias)(1); }\n"})
    assert tree.use(tree.resolve("a.c"), "a.c", "static_call(alias)") == Use(("key",))


def test_a_spliced_name_is_a_call(grow: Grow) -> None:
    tree = grow({"a.c": KEY + "int f(void) { return static_\\\ncall(key)(1) + __LINE__ / (__LINE__ == 5); }\n"})
    assert tree.use(tree.resolve("a.c"), "a.c", "static_\\\ncall") == Use(("key",))


def test_units_add_up(grow: Grow) -> None:
    header = KEY + "DECLARE_STATIC_CALL(other, bark);\nstatic inline int h(void) { return static_call(WHICH)(1); }\n"
    tree = grow(
        {
            "h.h": header,
            "a.c": '#define WHICH key\n#include "h.h"\n',
            "b.c": '#define WHICH other\n#include "h.h"\n',
            "c.c": "int nothing;\n",
        }
    )
    told = tree.resolve("a.c", "b.c", "c.c")
    assert tree.use(told, "h.h", "static_call(WHICH)") == Use(("key", "other"))
    assert told.reached == {"h.h", "a.c", "b.c", "c.c"}


# ---- the shadow -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [
        ("-Iinclude",),
        ("-I", "include"),
        ("-isystem", "include"),
        ("-isysteminclude",),
        ("-iquote", "include"),
        ("-idirafter", "include"),
        ("-I", "../root/src/../include"),
    ],
)
def test_search_paths_lead_to_the_copy(grow: Grow, flags: tuple[str, ...]) -> None:
    """The call is in a header beside the one that is found; a link would lead back to the original."""
    tree = grow(
        {
            "include/api.h": '#include "detail/deep.h"\n',
            "include/detail/deep.h": '#include "../calls.h"\n',
            "include/calls.h": KEY + "static inline int call(void) { return static_call(key)(1); }\n",
            "src/a.c": '#include "api.h"\n',
        }
    )
    told = tree.resolve("src/a.c", flags=flags)
    assert tree.use(told, "include/calls.h", "static_call(key)") == Use(("key",))
    assert told.reached == {"include/api.h", "include/detail/deep.h", "include/calls.h", "src/a.c"}


def test_forced_includes_and_another_directory(grow: Grow) -> None:
    tree = grow(
        {
            "include/calls.h": KEY + "static inline int call(void) { return static_call(key)(1); }\n",
            "src/a.c": "int x;\n",
            "build/note": "",
        }
    )
    told = tree.resolve("src/a.c", flags=("-include", "../include/calls.h"), cwd="build")
    assert tree.use(told, "include/calls.h", "static_call(key)") == Use(("key",))


def test_the_tree_is_left_alone(grow: Grow, tmp_path: Path) -> None:
    """Flags that write files of their own write none."""
    tree = grow({"a.c": KEY + "int f(void) { return static_call(key)(1); }\n"})
    before = sorted(tmp_path.rglob("*"))
    flags = (
        "-MD",
        "-MF",
        "a.d",
        "-MMD",
        "-MP",
        "-MT",
        "a.o",
        "-Wp,-MD,b.d",
        "-save-temps",
        "--coverage",
        "-o",
        "a.o",
    )
    assert tree.resolve("a.c", flags=flags).keys["key"].type == UNARY
    assert sorted(tmp_path.rglob("*")) == before


# ---- types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [
        ("-flto",),
        ("-gsplit-dwarf",),
        ("-g1",),
        ("-g0",),
        ("-gdwarf-2",),
        ("-ggdb3", "-gz"),
        ("-fdebug-types-section",),
        ("-O2", "-Wall", "-Wextra", "-Werror", "-pedantic-errors", "-std=c11"),
        ("-fsanitize=address,undefined",),
        ("-P",),
        ("-C",),
    ],
)
def test_flags_that_would_hide_the_types(grow: Grow, flags: tuple[str, ...]) -> None:
    tree = grow({"a.c": KEY + "#warning oh\nint f(void) { return static_call(key)(1); }\n"})
    told = tree.resolve("a.c", flags=flags)
    assert told.keys["key"].type == UNARY
    assert tree.use(told, "a.c", "static_call(key)") == Use(("key",))


def test_what_keys_are_declared_with(grow: Grow) -> None:
    text = """
    typedef int unary(int);
    struct ops { int (*read)(int); };
    struct ops table;
    #define X(name, func) DECLARE_STATIC_CALL(x_##name, func);
    DECLARE_STATIC_CALL(type, unary);
    DECLARE_STATIC_CALL(member, *table.read);
    DECLARE_STATIC_CALL(cast, *((struct ops *)0)->read);
    X(macro, bark)
    DEFINE_STATIC_CALL_NULL(null, unary);
    DEFINE_STATIC_CALL_RET0(ret0, unary);
    """
    keys = grow({"a.c": KEY + text}).resolve("a.c").keys
    assert keys.keys() == {"cast", "key", "member", "null", "ret0", "type", "x_macro"}
    assert all(key.type == UNARY and key.trouble is None and not key.block for key in keys.values())


def test_transparent_unions_keep_their_size(grow: Grow) -> None:
    text = """
    typedef union { int *i; char *c; } any __attribute__((transparent_union));
    int take(any);
    DECLARE_STATIC_CALL(union_key, take);
    """
    keys = grow({"a.c": KEY + text}).resolve("a.c").keys
    told = keys["union_key"].type
    assert told is not None
    (param,) = told.params
    assert isinstance(param, Typedef) and isinstance(param.target, Record)
    assert (param.name, param.target.kind, param.target.size) == ("any", "union", 8)


def test_foreign_conventions(grow: Grow) -> None:
    text = """
    int __attribute__((ms_abi)) foreign(int);
    int __attribute__((sysv_abi)) native(int);
    DECLARE_STATIC_CALL(a, foreign);
    DECLARE_STATIC_CALL(b, native);
    DECLARE_STATIC_CALL(c, foreign);
    """
    keys = grow({"a.c": KEY + text}).resolve("a.c").keys
    found = {name: key.type.convention for name, key in keys.items() if key.type}
    assert found == {"a": "ms", "b": "sysv", "c": "ms", "key": "sysv"}


def test_a_key_declared_in_a_function(grow: Grow) -> None:
    text = "int f(void) { DECLARE_STATIC_CALL(local, bark); return static_call(local)(1); }\n"
    keys = grow({"a.c": KEY + text}).resolve("a.c").keys
    assert {name: (key.type, key.block) for name, key in keys.items()} == {
        "key": (UNARY, False),
        "local": (UNARY, True),
    }


def test_a_key_declared_in_a_function_as_well(grow: Grow) -> None:
    text = "int f(void) { DECLARE_STATIC_CALL(key, bark); return static_call(key)(1); }\n"
    assert grow({"a.c": KEY + text}).resolve("a.c").keys["key"].block


@pytest.mark.parametrize("what", ["&bark", "int", "struct nowhere", "void"])
def test_not_a_function(grow: Grow, what: str) -> None:
    tree = grow({"a.c": KEY + f"  DECLARE_STATIC_CALL(other, {what});\n", "b.c": KEY})
    told = tree.ask("a.c", "b.c")
    (finding,) = told.findings
    assert (finding.code, finding.place) == ("IN014", Place("a.c", 4, 3))
    assert told.failed == {"a.c"} and told.resolution.keys.keys() == {"key"}


def test_bodies_that_cannot_be_emptied(grow: Grow) -> None:
    """The assembler misses a label of a body; at -O0 the whole text would fail, by what an optimiser removes."""
    text = """
    extern void nowhere(void) __attribute__((error("not removed")));
    __attribute__((noinline)) int f(void) {
        int zero = 0;
        if (zero)
            nowhere();
        __asm__ volatile("label_of_a_body: nop\\nanother_label:");
        return static_call(key)(1) + static_call(key, 2);
    }
    __asm__(".size f_size, another_label - label_of_a_body");
    """
    told = grow({"a.c": KEY + text}).resolve("a.c", flags=("-O2",))
    assert told.keys["key"].type == UNARY


def test_initial_targets(grow: Grow) -> None:
    tree = grow(
        {
            "h.h": '#include "static_call.h"\nint bark(int) __asm__("__bark_v2");\nDECLARE_STATIC_CALL(key, bark);\n'
            "DECLARE_STATIC_CALL(twice, bark);\nDECLARE_STATIC_CALL(null, bark);\n",
            "a.c": '#include "h.h"\nDEFINE_STATIC_CALL(key, bark);\nDEFINE_STATIC_CALL(twice, bark);\n'
            "DEFINE_STATIC_CALL_NULL(null, bark);\n",
            "b.c": '#include "h.h"\nstatic int meow(int x) { return x; }\nDEFINE_STATIC_CALL(twice, meow);\n',
        }
    )
    keys = tree.resolve("a.c", "b.c").keys
    assert {name: key.symbol and key.symbol.name for name, key in keys.items()} == {
        "key": "__bark_v2",
        "twice": None,
        "null": None,
    }


def test_units_that_know_more_or_less_of_one_type(grow: Grow) -> None:
    declare = "void pat(struct pet *, size);\nDECLARE_STATIC_CALL(key, pat);\n"
    tree = grow(
        {
            "a.c": '#include "static_call.h"\ntypedef long size;\nstruct pet;\n' + declare,
            "b.c": '#include "static_call.h"\n#define size long\nstruct pet { int legs; };\n' + declare,
        }
    )
    pet = Pointer(Record("struct", "pet", None))
    for order in (("a.c", "b.c"), ("b.c", "a.c")):
        key = tree.resolve(*order).keys["key"]
        assert (key.type, key.trouble) == (Function(Void(), (pet, LONG), False), None)


# ---- a key with two types -------------------------------------------------------------------------

INTS = '#include "static_call.h"\nint bark(int);\n'
LONGS = '#include "static_call.h"\nlong bark(long);\n'
DECLARED, DEFINED = "DECLARE_STATIC_CALL(key, bark);\n", "DEFINE_STATIC_CALL_NULL(key, bark);\n"


@pytest.mark.parametrize("defined", [False, True])
def test_two_types_in_one_program(grow: Grow, defined: bool) -> None:
    tree = grow(
        {
            "a.c": INTS + (DEFINED if defined else DECLARED),
            "b.c": LONGS + "\n  " + DECLARED,
            "c.c": INTS + DECLARED,
            "d.c": KEY.replace("key", "other"),
        }
    )
    told = tree.ask("a.c", "b.c", "c.c", "d.c")
    (finding,) = told.findings
    assert (finding.code, finding.place) == ("IN013", Place("b.c", 4, 3))
    assert finding.message == "the key 'key' is 'long (long)' in b.c, but 'int (int)' in a.c"
    (note,) = finding.also
    assert (note.place, note.severity) == (Place("a.c", 3, 1), "note")
    assert note.message == f"{'defined' if defined else 'declared'} as 'int (int)' here"
    # What agrees with itself is done.
    assert told.failed == {"a.c", "b.c"}
    assert {name: key.type for name, key in told.resolution.keys.items()} == {"key": UNARY, "other": UNARY}
    assert told.resolution.reached == {"c.c", "d.c"}


def test_programs_of_one_tree_may_disagree(grow: Grow) -> None:
    tree = grow({"a.c": INTS + DEFINED, "b.c": LONGS + DEFINED, "c.c": LONGS + DECLARED})
    key = tree.resolve("a.c", "b.c", "c.c").keys["key"]
    assert key.type is None
    assert key.trouble == "'int (int)' in a.c, 'long (long)' in b.c"


def test_a_unit_that_fits_to_none_of_the_programs(grow: Grow) -> None:
    odd = '#include "static_call.h"\nvoid bark(void);\n' + DECLARED
    tree = grow({"a.c": INTS + DEFINED, "b.c": LONGS + DEFINED, "c.c": odd})
    told = tree.ask("a.c", "b.c", "c.c")
    (finding,) = told.findings
    assert (finding.code, finding.place) == ("IN013", Place("c.c", 3, 1)) and told.failed == {"c.c"}
    assert told.resolution.keys["key"].trouble == "'int (int)' in a.c, 'long (long)' in b.c"


def test_a_failed_definition_may_be_another_program(grow: Grow) -> None:
    tree = grow({"a.c": INTS + DEFINED, "b.c": LONGS + DEFINED + "int broken( {\n", "c.c": LONGS + DECLARED})
    told = tree.ask("a.c", "b.c", "c.c")
    assert [finding.code for finding in told.findings] == ["IN001"]
    assert told.failed == {"b.c"}


def test_one_source_in_two_ways_is_two_programs(grow: Grow) -> None:
    tree = grow({"a.c": '#include "static_call.h"\nTYPE bark(TYPE);\n' + DECLARED})
    units = [Unit(tree.root / "a.c", (tree.cc, f"-DTYPE={word}"), tree.root) for word in ("int", "long")]
    data = {"a.c": (tree.root / "a.c").read_bytes()}
    told = resolve(tree.root, ["a.c"], {"a.c": scan(data["a.c"], "a.c")}, data, units, INCLUDE_DIR, 1)
    assert told.findings == () and told.resolution.keys["key"].type is None


def test_unnamed_structs_of_two_units_are_two_types(grow: Grow) -> None:
    declare = "void pat(NAME *);\nDECLARE_STATIC_CALL(key, pat);\n"
    tree = grow(
        {
            "a.c": '#include "static_call.h"\n#define NAME one\ntypedef struct { int a; } NAME;\n' + declare,
            "b.c": '#include "static_call.h"\n#define NAME two\ntypedef struct { float b; } NAME;\n' + declare,
        }
    )
    assert [finding.code for finding in tree.fails("a.c", "b.c")] == ["IN013"]


# ---- findings -------------------------------------------------------------------------------------


def test_an_undeclared_key(grow: Grow) -> None:
    tree = grow({"a.c": KEY + "int f(void) {\n\treturn static_call(kye)(1) + static_call(zzz)(1);\n}\n", "b.c": KEY})
    first, second = tree.fails("a.c", "b.c")
    assert (first.code, first.message) == ("IN002", "the key 'kye' is not declared in a.c")
    assert first.notes == ("did you mean 'key'?",)
    assert first.place is not None
    assert (first.place.path, first.place.line, first.place.column) == ("a.c", 5, 9)
    assert (second.code, second.notes) == ("IN002", ())


def test_what_is_not_a_key(grow: Grow) -> None:
    (finding,) = grow({"a.c": KEY + "int f(void) { return static_call(*key)(1); }\n"}).fails("a.c")
    assert (finding.code, finding.message) == ("IN002", "'*key' is not the name of a key")


def test_the_compiler_s_words_name_the_user_s_files(grow: Grow) -> None:
    tree = grow({"sub/a.c": KEY + "int f(void) { return static_call(key)(1); }\nint x = undeclared;\n"})
    (finding,) = tree.fails("sub/a.c")
    assert finding.code == "IN001"
    assert finding.place is not None
    assert (finding.place.path, finding.place.line) == ("sub/a.c", 5)
    assert f"{tree.root}/sub/a.c:5" in finding.detail
    assert "undeclared" in finding.detail
    assert "instrument-" not in finding.detail


@pytest.mark.parametrize("name", ['say "when" \\', "a\tb"])
def test_a_directory_of_an_odd_name(name: str, grow: Grow) -> None:
    """Line markers have such names escaped, each compiler in its own way."""
    call = "int f(void) { return static_call(key)(1); }\n"
    told = grow({f"{name}/a.c": KEY + call, f"{name}/b.c": KEY + call}).resolve(f"{name}/a.c", f"{name}/b.c")
    assert told.keys["key"].type == UNARY


def test_a_missing_header(grow: Grow) -> None:
    (finding,) = grow({"a.c": KEY + '#include "nowhere.h"\n'}).fails("a.c")
    assert finding.code == "IN001"
    assert finding.place is not None
    assert finding.place.line == 4


def test_a_declaration_and_a_definition_that_differ(grow: Grow) -> None:
    text = KEY + "long meow(long);\nDEFINE_STATIC_CALL(key, meow);\n"
    assert [f.code for f in grow({"a.c": text}).fails("a.c")] == ["IN001"]


def test_an_included_source_need_not_compile_alone(grow: Grow) -> None:
    part = "int part(void) { return static_call(key)(1) + wanted; }\nint missing = wanted;\n"
    tree = grow({"part.c": part, "whole.c": KEY + 'enum { wanted = 1 };\n#include "part.c"\n'})
    told = tree.resolve("whole.c", "part.c")
    assert tree.use(told, "part.c", "static_call(key)") == Use(("key",))


def test_a_header_outside_of_the_tree(grow: Grow, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "lib.h").write_text(KEY)
    (tmp_path / "outside" / "umbrella.h").write_text('#include "static_call.h"\n')
    outside = ("-I", "../outside")
    tree = grow(
        {"a.c": "#include <lib.h>\nint f(void) { return static_call(key)(1); }\n", "b.c": "#include <umbrella.h>\n"}
    )
    (finding,) = tree.fails("a.c", "b.c", flags=outside)
    assert finding.code == "IN006"
    assert "lib.h" in finding.message
    assert finding.fix is not None
    assert "outside" in finding.fix


def test_a_line_directive_is_no_header(grow: Grow) -> None:
    text = KEY + '#line 1 "/nowhere/parser.y"\nDECLARE_STATIC_CALL(other, bark);\n'
    text += "int f(void) { return static_call(key)(1); }\n"
    told = grow({"a.c": text}).resolve("a.c")
    assert told.keys.keys() == {"key", "other"}
    assert told.reached == {"a.c"}


@pytest.mark.parametrize("flag", ["-m32", "-mx32"])
def test_another_machine(grow: Grow, flag: str) -> None:
    assert [f.code for f in grow({"a.c": KEY}).fails("a.c", flags=(flag,))] == ["IN005"]


def test_no_compiler(grow: Grow) -> None:
    tree = grow({"a.c": KEY})
    with pytest.raises(InstrumentError) as error:
        tree.resolve("a.c", cc=("no-such-compiler",))
    assert error.value.status == 2
    assert [f.code for f in error.value.findings] == ["IN010"]


def test_a_compiler_that_gives_no_types(grow: Grow, tmp_path: Path) -> None:
    wrapper = tmp_path / "cc"
    drop = 'for a; do shift; case $a in -g*) ;; *) set -- "$@" "$a" ;; esac; done'
    wrapper.write_text(f'#!/bin/sh\ncc=$1; shift\n{drop}\nexec "$cc" "$@"\n')
    wrapper.chmod(0o755)
    tree = grow({"a.c": KEY})
    (finding,) = tree.fails("a.c", cc=(str(wrapper), tree.cc))
    assert finding.code == "IN007"
    assert finding.message == "the compiler does not tell the type of the key 'key' in a.c"
    assert finding.place is not None
    assert (finding.place.path, finding.place.line) == ("a.c", 3)


def test_every_function_is_foreign_under_mabi_ms(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(KEY)
    key = Tree(tmp_path, "gcc").resolve("a.c", flags=("-mabi=ms",)).keys["key"]
    assert key.type is not None
    assert key.type.convention == "ms"


def test_all_findings_come_together(grow: Grow) -> None:
    tree = grow(
        {"a.c": KEY + "int x = y;\n", "b.c": KEY + "int f(void) { return static_call(no)(1); }\n", "c.c": KEY}
    )
    told = tree.ask("a.c", "b.c", "c.c")
    assert [f.code for f in told.findings] == ["IN001", "IN002"]
    assert told.failed == {"a.c", "b.c"}
    assert told.resolution.keys.keys() == {"key"} and told.resolution.reached == {"c.c"}


def test_what_a_failed_unit_says_does_not_count(grow: Grow) -> None:
    header = KEY + "#define m(k) static_call(k)\nstatic inline int h(void) { return static_call(WHICH)(1); }\n"
    tree = grow(
        {
            "h.h": header,
            "a.c": '#define WHICH key\n#include "h.h"\n',
            "b.c": '#define WHICH other\n#include "h.h"\nDECLARE_STATIC_CALL(gone, bark);\n',
        }
    )
    told = tree.ask("a.c", "b.c")
    assert told.failed == {"b.c"}
    assert tree.use(told.resolution, "h.h", "static_call(WHICH)") == Use(("key",))
    assert told.resolution.keys.keys() == {"key"}


def test_a_call_with_two_meanings_fails_every_unit_that_reads_it(grow: Grow) -> None:
    files = {"h.h": "static inline int g(void) { return static_call(key)(2); }\n", "d.c": KEY}
    files |= {f"{name}.c": KEY + '#include "h.h"\n' for name in "ab"}
    files["c.c"] = 'int key;\nint (*static_call(int))(int);\n#include "h.h"\n'
    told = grow(files).ask("a.c", "b.c", "c.c", "d.c")
    (finding,) = told.findings
    assert (finding.code, finding.place and finding.place.path) == ("IN003", "h.h")
    assert told.failed == {"a.c", "b.c", "c.c"}


def test_what_includes_a_failed_source_is_not_whole(grow: Grow) -> None:
    """b.c fails for its type only; in whole.c, which includes it, the key has the right one."""
    both = "#ifdef WHOLE\nint bark(int);\n#else\nlong bark(long);\n#endif\n"
    tree = grow(
        {
            "a.c": INTS + DEFINED,
            "b.c": '#include "static_call.h"\n' + both + DECLARED,
            "c.c": INTS + DECLARED,
            "whole.c": '#define WHOLE\n#include "b.c"\n',
        }
    )
    assert tree.ask("a.c", "b.c", "c.c", "whole.c").failed == {"a.c", "b.c", "whole.c"}


# ---- where the compiler's words lead --------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("\tDECLARE_STATIC_CALL(k, nosuch); /* " + "as wide as its expansion " * 10 + "*/", "nosuch"),
        ("DECLARE_STATIC_CALL(k, sizes);", "sizes"),
        ("OUTER(k, nosuch)", "nosuch"),
        ("DEFINE_STATIC_CALL(key, meow);", "DEFINE_STATIC_CALL"),
        ('  #  include "nowhere.h"', '"nowhere.h"'),
    ],
)
@pytest.mark.parametrize("where", ["a.c", "sub/h.h"])
def test_an_error_is_shown_at_the_user_s_token(grow: Grow, where: str, line: str, at: str) -> None:
    head = KEY + "long meow(long);\ntypedef int size(int);\n#define OUTER(n, f) DECLARE_STATIC_CALL(n, f);\n"
    files = {"a.c": '#include "sub/h.h"\n', where: head + line + "\nint f(void) { return static_call(key)(1); }\n"}
    (finding,) = grow(files).fails("a.c")
    assert (finding.code, finding.place) == ("IN001", Place(where, 7, line.index(at) + 1))
    assert finding.message.startswith("the compiler rejects a.c: ") and "__SC" not in finding.message


def test_an_error_outside_of_the_tree_is_shown_at_the_include(grow: Grow, tmp_path: Path) -> None:
    (tmp_path / "bad.h").write_text("int broken( {\n")
    tree = grow({"a.c": KEY + '#include "h.h"\n', "h.h": "\n#include <bad.h>\n"})
    (finding,) = tree.fails("a.c", flags=("-I", ".."))
    assert (finding.code, finding.place) == ("IN001", Place("h.h", 2, 1))
