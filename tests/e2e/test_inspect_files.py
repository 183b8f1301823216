# SPDX-License-Identifier: MIT
"""What `instrument inspect` is given that is no program: archives of anything, objects without code, odd names."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from instrument import image
from tests.e2e.obedient import build, running
from tests.e2e.test_inspect import INSPECT, inspected
from tests.toolchain import INCLUDE, attempt, run, runtime_object

LATER = "compiled for link-time optimisation"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`other.o` has two sites; `plain.o` none, `arm.o` is another machine's."""
    made = tmp_path_factory.mktemp("files")
    build(made)
    (made / "plain.c").write_text("int plain(void) { return 0; }\n")
    run(["gcc-12", "-c", "plain.c"], made)
    run(["aarch64-linux-gnu-gcc", "-c", "plain.c", "-o", "arm.o"], made)
    launcher = (sys.executable, "-m", "instrument", "cc", "--")
    for compiler, name in (("gcc-12", "slim.o"), ("clang-14", "bitcode.o")):
        run([*launcher, compiler, "-O1", "-flto", INCLUDE, "-c", "other.c", "-o", name], made)
    return made


def test_one_member_that_cannot_be_read_is_not_all(folder: Path) -> None:
    run(["ar", "rcs", "mixed.a", "arm.o", "other.o", "plain.o", "plain.c"], folder)
    done = attempt([*INSPECT, "mixed.a"], folder)
    assert done.returncode == 2 and "mixed.a(arm.o): it is for another machine" in done.stderr
    assert done.stdout.startswith("mixed.a(other.o): object, 0 keys, 2 call sites")


def test_the_member_that_is_missing_is_named(folder: Path) -> None:
    (folder / "gone.o").write_bytes((folder / "plain.o").read_bytes())
    run(["ar", "rcsT", "thin.a", "other.o", "gone.o"], folder)
    (folder / "gone.o").unlink()
    done = attempt([*INSPECT, "thin.a"], folder)
    assert done.returncode == 2 and "thin.a: its member gone.o cannot be read: No such file" in done.stderr
    assert done.stdout.startswith("thin.a(other.o): object")


@pytest.mark.parametrize("members", [(), ("plain.o", "plain.c")])
def test_an_archive_without_calls_says_so(members: tuple[str, ...], folder: Path) -> None:
    name = f"none{len(members)}.a"
    run(["ar", "rcs", name, *members], folder)
    assert run([*INSPECT, name], folder).strip() == f"{name}: archive, no static calls"


@pytest.mark.parametrize("name", ["slim.o", "bitcode.o"])
def test_objects_whose_code_comes_with_the_link(name: str, folder: Path) -> None:
    assert LATER in run([*INSPECT, name], folder)
    run(["ar", "rcs", f"{name}.a", name, "plain.o"], folder)
    (found,) = json.loads(run([*INSPECT, "--json", f"{name}.a"], folder))
    assert found["kind"] == "archive" and found["notes"][0].startswith(f"1 member {LATER}")


def test_what_cannot_be_inspected(folder: Path) -> None:
    run(["objcopy", "--only-keep-debug", "prog", "prog.debug"], folder)
    done = attempt([*INSPECT, "prog.debug"], folder)
    assert done.returncode == 2 and "debug information alone" in done.stderr
    objects = ("main.o", "other.o", runtime_object("gcc-12", "-O2"))
    android = ("-pie", "-fuse-ld=lld-14", "-Wl,--pack-dyn-relocs=android", "-pthread", "-o", "android")
    run(["clang-14", *objects, *android], folder)
    done = attempt([*INSPECT, "android"], folder)
    assert done.returncode == 2 and "packed as Android has them" in done.stderr
    done = attempt([*INSPECT, "/dev/zero"], timeout=20)
    assert done.returncode == 2 and "a device" in done.stderr


@pytest.mark.parametrize("how", ["link", "directory", "build-id"])
def test_debug_information_in_a_file_of_its_own(how: str, folder: Path, tmp_path: Path) -> None:
    """Names, lines and all, of a core too; of another build none is taken."""
    program = Path(shutil.copy(folder / "prog", tmp_path))
    (whole,) = inspected(str(program))
    (number,) = re.findall(r"Build ID: (\w+)", run(["readelf", "-n", program]))
    places = {
        "link": tmp_path / "prog.debug",
        "directory": tmp_path / ".debug" / "prog.debug",
        "build-id": tmp_path / "usr/lib/debug/.build-id" / number[:2] / f"{number[2:]}.debug",
    }
    place = places[how]
    place.parent.mkdir(parents=True, exist_ok=True)
    run(["objcopy", "--only-keep-debug", program, place])
    run(["strip", program])
    if how == "build-id":
        # As root sees it, since /usr/lib/debug is the machine's.
        found = image.load("/prog", program.read_bytes(), str(tmp_path))
        address = whole["sites"][0]["address"]
        assert found.place(address) == whole["sites"][0]["function"]
        assert found.lines({address}) == {address: (whole["sites"][0]["file"], whole["sites"][0]["line"])}
        return
    run(["objcopy", f"--add-gnu-debuglink={place}", program])
    (again,) = inspected(str(program))
    assert (again["sites"], again["left"]) == (whole["sites"], whole["left"])
    with running(program) as it:
        run(["gcore", "-o", tmp_path / "core", str(it.pid)])
    (core,) = inspected(str(tmp_path / f"core.{it.pid}"))
    assert {site["line"] for site in core["sites"]} == {site["line"] for site in whole["sites"]}
    place.write_bytes(place.read_bytes()[:-1])
    (bare,) = inspected(str(program))
    assert {site["line"] for site in bare["sites"]} == {None}


@pytest.mark.parametrize("compiler", ["gcc-12", "clang-19"])
def test_debug_information_that_is_split_off(compiler: str, tmp_path: Path) -> None:
    """In .dwo files a wrapper's call has its line; another compilation's file, or none, is not followed."""
    program = build(tmp_path, "inline-asm", "-gsplit-dwarf", compiler=compiler)
    for name in ("prog", "main.o"):
        (found,) = inspected(str(tmp_path / name))
        lines = {(site["key"], site["file"], site["line"]) for site in found["sites"]}
        assert {("step", "main.c", 28), ("hook", "main.c", 27)} <= lines, name
    shutil.copy(tmp_path / "other.dwo", tmp_path / "main.dwo")
    (found,) = inspected(str(program))
    lines = {(site["key"], site["file"], site["line"]) for site in found["sites"]}
    assert ("step", "other.c", 4) in lines and ("step", "main.c", 28) not in lines


def test_a_name_cannot_steer_the_terminal(folder: Path) -> None:
    """Nor end the command, where it is none in the encoding."""
    for name, shown in (("red\x1b[31m.o", "red<U+001B>[31m.o"), ("bad\udcff.o", r"bad\udcff.o")):
        (folder / name).write_bytes((folder / "other.o").read_bytes())
        done = attempt([*INSPECT, "-s", name, f"no-{name}"], folder, PYTHONIOENCODING="utf-8:strict")
        assert done.stdout.startswith(f"{shown}: object") and f"no-{shown}: No such" in done.stderr
        assert done.returncode == 2


def test_a_bare_site_in_two_lines_stays_on_its_trampoline(tmp_path: Path) -> None:
    at = '__asm__ volatile(".p2align 6\\n.skip %d");'
    (tmp_path / "at.c").write_text(
        "#include <static_call.h>\nint f(int);\nDECLARE_STATIC_CALL(key, f);\n"
        + "".join(f"int at{n}(int x) {{ {at % n} return static_call(key)(x) + 1; }}\n" for n in range(56, 64))
    )
    launcher = (sys.executable, "-m", "instrument", "cc", "--mode", "direct", "--layout")
    for layout, status in (("bare", 1), ("compact", 0)):
        run([*launcher, layout, "--", "gcc-12", "-O1", "-fPIC", INCLUDE, "-c", "at.c"], tmp_path)
        run(["gcc-12", "-shared", "at.o", "-o", "at.so"], tmp_path)
        (found,) = inspected(str(tmp_path / "at.so"))
        assert sum(site["crosses"] for site in found["sites"]) == 3
        assert attempt([*INSPECT, "--patched-only", "at.so"], tmp_path).returncode == status
