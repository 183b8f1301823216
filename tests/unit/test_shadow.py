# SPDX-License-Identifier: MIT
"""The copy that the compiler reads: links of the tree, what lies beside the tree, and flags that would write."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from instrument import inputs
from instrument import resolve as resolve_module
from instrument.diagnostics import Finding, InstrumentError
from instrument.model import Resolution, Unit, Use
from instrument.paths import INCLUDE_DIR
from instrument.resolve import Resolved, resolve
from instrument.scan import scan
from tests.toolchain import COMPILERS
from tests.unit.fakes import lay

KEY = '#include "static_call.h"\nint bark(int);\nDECLARE_STATIC_CALL(key, bark);\n'
CALL = "int f(void) { return static_call(key)(1); }\n"
COUNTED = "static inline int g(void) { return static_call(key)(2); }\n"


def resolved(root: Path, *mains: str, command: tuple[str, ...] = ("gcc-12",)) -> Resolved:
    found = inputs.gather([root])
    contents = {name: (root / name).read_bytes() for name in found.files}
    scanned = {name: scan(data, name) for name, data in contents.items() if b"STATIC_CALL" in data.upper()}
    units = [Unit(root / main, command, root) for main in mains]
    return resolve(root, found.files, scanned, contents, units, INCLUDE_DIR, 1, found.links, ups=2)


def asked(root: Path, *mains: str, command: tuple[str, ...] = ("gcc-12",)) -> Resolution:
    told = resolved(root, *mains, command=command)
    assert told.findings == () and not told.failed
    return told.resolution


def refused(root: Path, *mains: str, command: tuple[str, ...] = ("gcc-12",)) -> list[Finding]:
    told = resolved(root, *mains, command=command)
    assert told.findings and told.failed
    return list(told.findings)


# ---- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("include", ["src/sub/n.h", "src/inc/n.h", "src/inc/../n.h"])
def test_the_links_of_the_tree(include: str, compiler: str, tmp_path: Path) -> None:
    lay(tmp_path, {"a.c": f'#include "{include}"\n' + CALL, "src/n.h": KEY + COUNTED, "src/real/n.h": KEY + COUNTED})
    (tmp_path / "src/sub").mkdir()
    (tmp_path / "src/sub/n.h").symlink_to("../n.h")
    (tmp_path / "src/inc").symlink_to("real")
    told = asked(tmp_path, "a.c", command=(compiler,))
    header = "src/real/n.h" if include == "src/inc/n.h" else "src/n.h"
    assert told.reached == {"a.c", header}
    assert [use for (path, _), use in told.uses.items() if path == header] == [Use(("key",))]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_what_lies_beside_the_tree(compiler: str, tmp_path: Path) -> None:
    root = tmp_path / "up/root"
    lay(root, {"a.c": '#include "../config.h"\n#include "../../top/most.h"\n' + KEY + CALL, "b/b.h": ""})
    lay(tmp_path, {"up/config.h": '#include "root/b/b.h"\n', "top/most.h": "int most;\n"})
    assert asked(root, "a.c", command=(compiler,)).reached == {"a.c", "b/b.h"}
    (tmp_path / "up/config.h").write_text("int x = y;\n")
    (finding,) = refused(root, "a.c", command=(compiler,))
    assert f"{tmp_path}/up/config.h:1" in finding.detail or "/up/root/../config.h:1" in finding.detail
    assert "instrument-" not in finding.detail


# ---- flags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [
        "--output=b.o", "--output b.o", "@f.rsp", "-Wa,-adhln=b.lst", "-Wa,--noexecstack,-adhln=b.lst",
        "-Xassembler -adhln=b.lst", "-aux-info b.x", "--write-dependencies", "--write-user-dependencies -MF b.d",
        "--dependencies", "--user-dependencies", "-fstack-usage", "-fcallgraph-info=su", "-fopt-info-all=b.opt",
        "-fsave-optimization-record", "-fprofile-generate", "-fdiagnostics-format=json", "--compile", "--assemble",
        "--preprocess", "-fdirectives-only", "-fpreprocessed", "-fdump-go-spec=b.go", "-fdump-tree-all", "-time=b.t",
        "-Wp,-MD,b.d", "-Wp,-DX,-MD,b.d", "-Xpreprocessor -MD -Xpreprocessor b.d", "-dumpbase b", "-dH", "-S", "-E",
    ],
)  # fmt: skip
def test_gcc_writes_nothing(flags: str, tmp_path: Path) -> None:
    lay(tmp_path, {"a.c": KEY + CALL, "b.o": "precious", "f.rsp": "-c -MD -MF 'b.d' @g.rsp", "g.rsp": '"-o" b.o\n'})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    told = asked(tmp_path, "a.c", command=("gcc-12", *flags.split()))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert list(told.uses.values()) == [Use(("key",))]


@pytest.mark.parametrize(
    "flags",
    [
        "-ftime-trace", "-ftime-trace=b.json", "--serialize-diagnostics b.dia", "-serialize-diagnostics b.dia",
        "-emit-llvm", "-fsave-optimization-record", "-foptimization-record-file=b.yaml", "-fstack-usage",
        "-fprofile-instr-generate -fcoverage-mapping", "-MJ b.json", "-Xclang -dependency-file -Xclang b.d",
        "--output=b.o", "-frewrite-includes", "--analyze",
    ],
)  # fmt: skip
def test_clang_writes_nothing(flags: str, tmp_path: Path) -> None:
    lay(tmp_path, {"a.c": KEY + CALL})
    told = asked(tmp_path, "a.c", command=("clang-14", *flags.split()))
    assert [path.name for path in tmp_path.iterdir()] == ["a.c"]
    assert list(told.uses.values()) == [Use(("key",))]


# ---- how static_call.h comes in -------------------------------------------------------------------


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("text", "flags", "how"),
    [
        ("#define H <static_call.h>\n#include H\n" + KEY, "", "a macro or another path in a.c"),
        ("#include <wrap.h>\n" + KEY, "-I{}/outside", "{}/outside/wrap.h, outside of the tree"),
        (KEY, "-include static_call.h", "the command line"),
    ],
)
def test_a_way_that_does_not_lead_to_the_generated_header(
    text: str, flags: str, how: str, compiler: str, tmp_path: Path
) -> None:
    root = lay(tmp_path / "root", {"a.c": text.replace('#include "static_call.h"\n', "") + CALL})
    lay(tmp_path / "outside", {"wrap.h": "#include <static_call.h>\n"})
    (finding,) = refused(root, "a.c", command=(compiler, *flags.format(tmp_path).split()))
    assert (finding.code, finding.message) == (
        "IN006",
        f"static_call.h comes into a.c through {how.format(tmp_path)}",
    )


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_forced_header_of_the_tree_may_bring_it(compiler: str, tmp_path: Path) -> None:
    lay(tmp_path, {"pre.h": KEY, "a.c": CALL})
    assert asked(tmp_path, "a.c", command=(compiler, "-include", "pre.h")).keys.keys() == {"key"}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "text",
    [
        "static int static_call(int x) { return x; }\nint f(void) { return static_call(3); }\n",
        "#define static_call(k) k##_ptr\nint (*key_ptr)(int);\n" + CALL,
    ],
)
def test_a_static_call_that_is_not_ours(text: str, compiler: str, tmp_path: Path) -> None:
    lay(tmp_path, {"a.c": text, "b.c": KEY + CALL})
    told = asked(tmp_path, "a.c", "b.c", command=(compiler,))
    assert {path: use for (path, _), use in told.uses.items()}["b.c"] == Use(("key",))
    assert all(use == Use() for (path, _), use in told.uses.items() if path == "a.c")


def test_a_header_s_call_that_is_ours_only_in_one_unit(tmp_path: Path) -> None:
    own = "#define static_call(k) k##_ptr\nint (*key_ptr)(int);\n"
    lay(tmp_path, {"a.c": own + '#include "g.h"\n', "b.c": KEY + '#include "g.h"\n', "g.h": COUNTED})
    (finding,) = refused(tmp_path, "a.c", "b.c")
    assert (finding.code, finding.place and finding.place.path) == ("IN003", "g.h")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_file_that_generated_text_comes_from(compiler: str, tmp_path: Path) -> None:
    root = lay(tmp_path / "out", {"a.c": KEY + '#line 1 "../src/g.y"\nDEFINE_STATIC_CALL(other, bark);\n' + CALL})
    lay(tmp_path / "src", {"g.y": "%{\nDEFINE_STATIC_CALL(other, bark);\n%}\n"})
    told = asked(root, "a.c", command=(compiler,))
    assert told.keys.keys() == {"key", "other"} and told.reached == {"a.c"}


def test_the_units_still_to_be_asked_are_given_up_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, {f"{n}.c": "int x;\n" for n in range(50)})
    asked: list[object] = []

    def ask(unit: Unit, *_: object) -> None:
        asked.append(unit)
        if len(asked) > 1:
            time.sleep(0.05)
        raise InstrumentError(Finding("IN010", "no such compiler"), status=2)

    monkeypatch.setattr(resolve_module, "ask", ask)
    with pytest.raises(InstrumentError):
        resolved(tmp_path, *(f"{n}.c" for n in range(50)))
    assert len(asked) < 50
