# SPDX-License-Identifier: MIT
"""`instrument inspect`: what a binary records, and what it leaves on trampolines."""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from instrument import binary, image, inspect
from instrument.diagnostics import InstrumentError
from tests.e2e.obedient import LINES, build, running
from tests.e2e.test_launcher import launched, project
from tests.toolchain import INCLUDE, attempt, run, runtime_object

__all__ = ["project"]

INSPECT = (sys.executable, "-m", "instrument", "inspect")
TAKES = """\
#include "keys.h"
int (*taken(void))(int, double) { return static_call(key); }
"""


def inspected(*names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run([*INSPECT, "--json", *names]))
    return found


@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
@pytest.mark.parametrize("strip", [False, True])
def test_every_call_is_a_site_or_on_a_trampoline(strip: bool, compiler: str, project: Path) -> None:
    counts = {}
    for mode in ("direct", "inline-asm", "trampoline"):
        runtime = runtime_object(compiler, "-O2")
        options = ("--mode", mode)
        launched(compiler, "-O1", INCLUDE, "main.c", "other.c", runtime, "-pthread", "-o", "prog", options=options)
        if strip:
            run(["strip", "prog"])
        (found,) = inspected("prog")
        assert [key["name"] for key in found["keys"]] == ["key", "variadic"]
        assert {site["key"] for site in found["sites"]} <= {"key", "variadic"}
        counts[mode] = (len(found["sites"]), found["on_trampolines"])
    calls = counts["direct"][0]
    assert counts["direct"] == (calls, {}) and calls >= 4
    assert counts["inline-asm"] == (calls - 1, {"variadic": 1})
    assert counts["trampoline"] == (0, {"key": calls - 1, "variadic": 1})
    assert attempt([*INSPECT, "--patched-only", "prog"]).returncode == 1


@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
def test_why_mode_direct_leaves_a_call(compiler: str, project: Path) -> None:
    Path("takes.c").write_text(TAKES)
    launched(compiler, "-O1", INCLUDE, "-c", "takes.c", options=("--mode", "direct"))
    text = run([*INSPECT, "takes.o"])
    assert "its address is taken, so a call through that pointer goes by the trampoline [IN040]" in text


@pytest.mark.parametrize("mode", ["direct", "inline-asm", "trampoline"])
def test_objects_and_libraries(mode: str, project: Path) -> None:
    launched("gcc-12", "-O1", "-fPIC", INCLUDE, "-c", "other.c", options=("--mode", mode))
    run(["gcc-12", "-shared", "other.o", "-o", "other.so", "-Wl,--unresolved-symbols=ignore-all"])
    for name in ("other.o", "other.so"):
        (found,) = inspected(name)
        assert [site["key"] for site in found["sites"]] == ([] if mode == "trampoline" else ["key"]), name
    (found,) = inspected("other.o")
    assert found["on_trampolines"] == ({"key": 1} if mode == "trampoline" else {})


def test_how_many_bare_sites_the_rule_of_2018_leaves_out(project: Path) -> None:
    body = "".join(f"int f{n}(int x) {{ return called(x) * {n} + x / {n + 1}; }}\n" for n in range(300))
    Path("many.c").write_text('#include "keys.h"\n' + body)
    shares = {}
    for layout in ("aligned", "bare"):
        options = ("--mode", "direct", "--layout", layout)
        launched("gcc-12", "-O1", "-fPIC", INCLUDE, "-c", "many.c", options=options)
        run(["gcc-12", "-shared", "many.o", "-o", "many.so", "-Wl,--unresolved-symbols=ignore-all"])
        (found,) = inspected("many.so")
        assert len(found["sites"]) == 300
        shares[layout] = sum(site["crosses"] for site in found["sites"])
    # 3 of 64 offsets on average.
    assert shares["aligned"] == 0 < shares["bare"] < 45
    assert "which stay on their trampoline" in run([*INSPECT, "many.so"])


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wrappers, aligned; its objects lie beside it."""
    return build(tmp_path_factory.mktemp("inspect"))


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    flags = ("-gdwarf-4", "-ffunction-sections")
    return build(tmp_path_factory.mktemp("direct"), "direct", *flags, layout="compact")


def test_where_each_call_is(program: Path, direct: Path) -> None:
    """By line also where the instruction is the wrapper's, which the line table has where the key is declared."""
    for mode, of in (("inline-asm", program), ("direct", direct)):
        run(["ar", "rcs", "lib.a", "main.o", "other.o"], cwd=of.parent)
        for name in ("prog", "lib.a"):
            found = inspected(str(of.parent / name), "--key", "step", "--key", "h*")
            sites = [site for one in found for site in one["sites"]]
            for key, lines in LINES.items():
                assert {(site["file"], site["line"]) for site in sites if site["key"] == key} == lines, (mode, name)
            functions = [site["function"].partition("+")[0] for site in sites]
            assert Counter(functions) == {"main": 2, "twice": 2}
            assert all(site["state"] == "by trampoline" for site in sites)
            assert mode == "direct" or not any(site["crosses"] for site in sites)
            assert not any(one["disagreements"] or one["left"] for one in found)


def test_why_calls_are_left(program: Path) -> None:
    (found,) = inspected(str(program))
    reasons = {key["name"]: key["reasons"] for key in found["keys"]}
    assert reasons == {"step": [], "hook": [], "variadic": ["IN022"]}
    (left,) = found["left"]
    assert (left["key"], left["instruction"], left["line"]) == ("variadic", "call trampoline", 28)
    assert re.search(r"variadic +sum .* the function is variadic \[IN022\]$", run([*INSPECT, program]), re.M)
    for flags, status in (
        ((), 0),
        (("--strict",), 0),
        (("--patched-only",), 1),
        (("--patched-only", "-k", "step"), 0),
    ):
        assert attempt([*INSPECT, *flags, program]).returncode == status


def test_a_key_that_is_in_no_file_is_an_error(program: Path) -> None:
    done = attempt([*INSPECT, "--patched-only", "-k", "stpe", program, program.parent / "main.o"])
    said = "instrument: error: --key stpe: there is no such key; did you mean step? [IN011]\n"
    assert (done.returncode, done.stderr) == (2, said) and "program, no static calls of such a key" in done.stdout
    assert attempt([*INSPECT, "-k", "st*", "-k", "x*", program]).returncode == 2
    assert attempt([*INSPECT, "-k", "step", "-k", "variadic", program, program.parent / "other.o"]).returncode == 0


def test_the_order_of_sites(direct: Path) -> None:
    for sort, of in (("address", "address"), ("key", "key"), ("file", "file"), ("function", "function")):
        (found,) = inspected(str(direct), "--sort", sort)
        values = [site[of].partition("+")[0] if of == "function" else site[of] for site in found["sites"]]
        assert len(values) == 5 and values == sorted(values)
    assert "ADDRESS" not in run([*INSPECT, "-s", direct])
    assert attempt([*INSPECT, "--sort", "size", direct]).returncode == 2


def test_the_instructions_around_a_site(program: Path) -> None:
    text = run([*INSPECT, "-d", "--key", "step", program])
    assert (
        len(re.findall(r"^ +> 0x[0-9a-f]+  2e 2e 2e e8( [0-9a-f]{2}){4} +cs cs cs call trampoline$", text, re.M)) == 3
    )
    assert len(re.findall(r"^ {8}0x[0-9a-f]+  [0-9a-f ]+ [a-z]+ .*%[a-z0-9]+$", text, re.M)) >= 9
    without = (
        "import sys; sys.modules['capstone'] = None; from instrument.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = attempt([sys.executable, "-c", without, "inspect", "-d", program])
    assert done.returncode == 0 and ": pip install capstone, where" in done.stderr
    assert done.stdout.count("> cs cs cs call trampoline") == 4


def test_text_that_the_tables_do_not_agree_with(program: Path, tmp_path: Path) -> None:
    program = Path(shutil.copy(program, tmp_path))
    (found,) = inspected(str(program))
    site = next(site for site in found["sites"] if site["key"] == "step")
    data = bytearray(program.read_bytes())
    at = data.index(bytes.fromhex(site["bytes"]))
    for code, what in ((b"\x90", "did not write"), (b"\x2e\x2e\x2e\xe8\0\0\0\0", "neither its trampoline")):
        changed = data[:at] + code + data[at + len(code) :]
        program.write_bytes(changed)
        done = attempt([*INSPECT, "--strict", program])
        assert done.returncode == 1 and "[IN051]" in done.stderr
        assert f"{program}: {site['address']:#x}: " in done.stderr and what in done.stderr
        assert attempt([*INSPECT, program]).returncode == 0


def test_names_do_not_steer_the_terminal(program: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile"
    hostile.write_bytes(
        program.read_bytes().replace(b"\0slow\0", b"\0\x1b[1m\0").replace(b"\0twice\0", b"\0\x1b[2mx\0")
    )
    text = run([*INSPECT, hostile])
    assert "\x1b" not in text and "<U+001B>[2mx+0x" in text
    (head,) = (line for line in text.splitlines() if line.startswith("  KEY "))
    (row,) = re.findall(r"^  step +<U\+001B>\[1m +0x.*$", text, re.M)
    assert head.index("TRAMPOLINE") == row.index("0x")


def test_a_core(program: Path, tmp_path: Path) -> None:
    """As the kernel and gdb write them: without the pages that are in files. The sites are as they were then."""
    program = Path(shutil.copy(program, tmp_path))
    with running(program) as it:
        it.tell("fast")
        run(["gcore", "-o", tmp_path / "core", str(it.pid)])
    core = tmp_path / f"core.{it.pid}"
    (found,) = inspected(str(core))
    assert found["kind"] == "core" and found["disagreements"] == []
    assert {key["name"]: key["target"] for key in found["keys"]} == {
        "step": "fast",
        "hook": "NULL",
        "variadic": "sum",
    }
    states = {(site["key"], site["state"], site["function"].partition("+")[0]) for site in found["sites"]}
    assert states == {("step", "direct", "main"), ("step", "direct", "twice"), ("hook", "by trampoline", "main")}
    assert {(site["file"], site["line"]) for site in found["sites"] if site["key"] == "step"} == LINES["step"]
    assert [call["key"] for call in found["left"]] == ["variadic"]
    moved = program.rename(tmp_path / "elsewhere")
    done = attempt([*INSPECT, core])
    assert done.returncode == 2 and f"{program}" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "root" / program.parent.relative_to("/")).mkdir(parents=True)
    moved.rename(tmp_path / "root" / program.relative_to("/"))
    (again,) = inspected(str(core), "--sysroot", str(tmp_path / "root"))
    assert again["sites"] == found["sites"]
    cut = tmp_path / "cut"
    cut.write_bytes(core.read_bytes()[: core.stat().st_size // 2])
    assert "truncated" in attempt([*INSPECT, cut]).stderr


def test_what_is_no_binary(project: Path) -> None:
    done = attempt([*INSPECT, "main.c"])
    assert done.returncode == 2 and "[IN011]" in done.stderr and "main.c" in done.stderr
    assert attempt([*INSPECT]).returncode == 2
    Path("plain.c").write_text("int main(void) { return 0; }\n")
    run(["gcc-12", "plain.c", "-o", "plain"])
    run(["aarch64-linux-gnu-gcc", "-c", "plain.c", "-o", "arm.o"])
    Path("empty").write_bytes(b"")
    assert run([*INSPECT, "plain"]).strip() == "plain: program, no static calls"
    for name, why in (("arm.o", "EM_AARCH64"), ("empty", "empty"), (".", "directory"), ("none", "No such file")):
        done = attempt([*INSPECT, name, "plain"])
        assert done.returncode == 2 and why in done.stderr and done.stdout.startswith("plain: program"), name


@pytest.mark.parametrize("name", ["prog", "main.o", "packed.o"])
def test_damaged_files_are_errors_or_nothing_worse(name: str, program: Path) -> None:
    if name == "packed.o":
        run(["objcopy", "--compress-debug-sections", "main.o", name], cwd=program.parent)
    data = (program.parent / name).read_bytes()
    (headers,) = struct.unpack_from("<Q", data, 40)
    chance = random.Random(3)
    said = Counter[str]()
    for number in range(160):
        broken = bytearray(data)
        match number % 4:
            case 0:
                del broken[chance.randrange(len(data)) :]
            case 1:
                for _ in range(30):
                    broken[chance.choice((chance.randrange(64), chance.randrange(len(data))))] = chance.randrange(256)
            case 2:
                for _ in range(20):
                    broken[chance.randrange(64, len(data))] = chance.randrange(256)
            case 3:
                broken[chance.randrange(headers, len(data))] = chance.choice((0, 1, 4, 255))
        try:
            found = binary.of_image(image.load(name, bytes(broken)))
            list(inspect.text(found, inspect.parser().parse_args([name])))
            said["read"] += 1
        except InstrumentError as error:
            assert error.status == 2
            said["refused"] += 1
    assert said["refused"] > 40 and said["read"] > 20


@pytest.mark.parametrize(
    ("mode", "flags"), [("direct", ("-O0",)), ("direct", ("-O2", "-g1")), ("inline-asm", ("-O0",))]
)
def test_no_line_begins_in_the_middle_of_a_site(mode: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    """A breakpoint on a line stands where its row says: behind the prefixes it would be within the instruction."""
    program = build(tmp_path, mode, *flags)
    table = run(["objdump", "--dwarf=decodedline", program]).splitlines()
    begins = {int(words[2], 16) for words in map(str.split, table) if len(words) > 2 and words[2][:2] == "0x"}
    (found,) = inspected(str(program))
    assert begins and len(found["sites"]) >= 4
    for site in found["sites"]:
        inside = range(site["address"] + 1, site["address"] + len(site["bytes"].split()))
        assert not begins.intersection(inside), site
        assert (site["file"], site["line"]) in LINES.get(site["key"], {("main.c", 28)})


def test_compressed_debug_information_tells_where_calls_are(program: Path, tmp_path: Path) -> None:
    """Also of an object, where its relocations are for what it is uncompressed."""
    for name in ("prog", "main.o", "other.o"):
        plain = program.parent / name
        packed = tmp_path / name
        run(["objcopy", "--compress-debug-sections=zlib", plain, packed])
        (before,), (after,) = inspected(str(plain)), inspected(str(packed))
        assert after["sites"] == before["sites"]
