# SPDX-License-Identifier: MIT
"""The examples of build systems, each by its real tool: it builds, it builds again just what a change concerns, and
a build that is killed leaves nothing behind that the next one takes for done."""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.toolchain import ROOT, attempt, run

TOOLS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
# As from a shell: not as from the make that runs the tests.
CLEAN = {"PATH": TOOLS, "MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "0", "INSTRUMENT_CC": "", "NINJA_STATUS": ""}

POLITE, BRIEF = "hello, world\nhello, moon\n", "world!\nmoon!\nstars!\n"


def ask(*words: str) -> str:
    return run(["instrument", *words], **CLEAN).removesuffix("\n")


# ---- what the build systems have in common ---------------------------------------------------------


@dataclass(frozen=True)
class System:
    """How one is used by hand. `{...}` in a word is an answer of `instrument`, `{tmp}` a directory of the test."""

    example: str
    build: tuple[str, ...]
    program: str
    configure: tuple[tuple[str, ...], ...] = ()
    idle: str = ""
    """What a build says that has nothing to do."""
    blank: bool = True
    """Whether the tool itself can work in a directory with a blank in its name."""
    trusts_the_link: bool = False
    """Whether it takes a program for done whose link was killed: GNU ld writes in place."""


_CMAKE = ("cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release")
_CMAKE_BUILD = ("cmake", "--build", "build", "-j4")
_MESON = (("meson", "setup", "build", "--native-file", "static-call.ini", "-Dpkg_config_path={pkgconfigdir}"),)
_MESON_BUILD = ("meson", "compile", "-C", "build", "-j4")
# What Meson itself says comes before or after, as its output is buffered.
_MESON_IDLE = r"(?s)(INFO: .*\n)?ninja: Entering directory.*\nninja: no work to do\.\n(INFO: .*\n)?"

SYSTEMS = {
    "make": System("make", ("make", "-j4"), "build-inline-asm/greet", idle=r"make: '.*' is up to date\.\n"),
    "ninja": System("ninja", ("ninja", "-j4"), "build/greet", idle="ninja: no work to do.\n"),
    "cmake-ninja": System(
        "cmake",
        _CMAKE_BUILD,
        "build/greet",
        ((*_CMAKE, "-G", "Ninja", "-DStaticCall_DIR={cmakedir}"),),
        "ninja: no work to do.\n",
    ),
    "cmake-make-ccache": System(
        "cmake",
        _CMAKE_BUILD,
        "build/greet",
        ((*_CMAKE, "-G", "Unix Makefiles", "-DCMAKE_PREFIX_PATH={cmakedir}", "-DCMAKE_C_COMPILER_LAUNCHER=ccache"),),
        r"(\[ *\d+%\] Built target \w+\n)+",
        trusts_the_link=True,
    ),
    "meson": System("meson", (*_MESON_BUILD, "greet"), "build/greet", _MESON, _MESON_IDLE),
    "meson-copy": System("meson", (*_MESON_BUILD, "greet-copy"), "build/greet-copy", _MESON, _MESON_IDLE),
    "autotools": System(
        "autotools",
        ("make", "-j4"),
        "greet",
        (
            ("autoreconf", "--install"),
            ("./configure", "CC=instrument cc -- gcc", "PKG_CONFIG_PATH={pkgconfigdir}", "CFLAGS=-O2"),
        ),
        r"make  all-am\n(make\[\d\]: (Entering|Leaving) directory .*\n)*",
        blank=False,
        trusts_the_link=True,
    ),
}


class Project:
    """A copy of an example, configured."""

    def __init__(self, system: System, tmp_path: Path) -> None:
        self.system = system
        self.root = copied(system.example, tmp_path / ("a project" if system.blank else "project"))
        self.env = {**CLEAN, "CCACHE_DIR": str(tmp_path / "ccache")}
        answers = {name: ask(f"--{name}") for name in ("cmakedir", "pkgconfigdir")}
        for command in system.configure:
            run([word.format(**answers) for word in command], self.root, **self.env)

    def build(self) -> str:
        return run(self.system.build, self.root, **self.env)

    def start(self) -> subprocess.Popen[bytes]:
        """A build in a process group of its own."""
        return subprocess.Popen(
            self.system.build,
            cwd=self.root,
            env={**os.environ, **self.env},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def output(self) -> str:
        return run([self.root / self.system.program])

    def objects(self) -> dict[str, Path]:
        """By the names of their sources."""
        beside = r".*_(?=static_call_runtime)|^meson-generated_\.\._copy_|(\.c)?\.o$"
        found = {re.sub(beside, "", path.name): path for path in self.root.rglob("*.o")}
        return {name: found[name] for name in sorted(found)}

    def times(self) -> dict[str, int]:
        return {name: path.stat().st_mtime_ns for name, path in self.objects().items()}

    def rebuilt(self) -> set[str]:
        """What a build compiles."""
        before = self.times()
        self.build()
        after = self.times()
        assert before.keys() == after.keys()
        return {name for name in after if after[name] != before[name]}


def copied(example: str, to: Path) -> Path:
    """The example, without what somebody has built there."""
    made = shutil.ignore_patterns("build", "build-*", "bazel-*", "*.o", "configure", "greet")
    return Path(shutil.copytree(ROOT / "examples" / example, to, ignore=made))


def change(header: Path) -> None:
    """In its time and its contents, as some build systems go by these (SCons, Bazel)."""
    # Times of files have the grain of the kernel's clock tick.
    time.sleep(0.02)
    header.write_text(f"{header.read_text()}/* new */\n")


def whole(path: Path) -> bool:
    """Whether the ELF file is all there. What assemblers write last is the section headers, at its end."""
    data = path.read_bytes()
    if len(data) < 64 or data[:4] != b"\x7fELF":
        return False
    headers, size, count = *struct.unpack_from("<Q", data, 40), *struct.unpack_from("<HH", data, 58)
    return bool(headers) and headers + size * count <= len(data)


def has_sites(path: Path) -> bool:
    return " __static_call_sites " in run(["readelf", "-SW", path])


# ---- each of them ----------------------------------------------------------------------------------


OWN_TEST = ("autotools", "cmake-make-ccache")


@pytest.mark.parametrize("system", [name for name in SYSTEMS if name not in OWN_TEST])
def test_an_example(tmp_path: Path, system: str) -> None:
    _works(Project(SYSTEMS[system], tmp_path))


def _works(project: Project) -> None:
    project.build()
    assert project.output() == f"{POLITE}{BRIEF}direct calls: 5\n"
    objects = project.objects()
    assert list(objects) == ["greet", "main", "static_call_runtime", "words"]
    assert has_sites(objects["main"]) and not has_sites(objects["words"])

    before = project.times()
    assert re.fullmatch(project.system.idle, project.build())
    assert project.times() == before
    change(project.root / "words.h")
    assert project.rebuilt() == {"greet", "words"}
    change(project.root / "greet.h")
    start = time.monotonic()
    assert project.rebuilt() == {"greet", "main"}
    _survives(project, time.monotonic() - start)


def _survives(project: Project, usual: float) -> None:
    """Builds after a change of the header, killed at moments of the `usual` time."""
    header = project.root / "greet.h"
    text = header.read_text()
    for again, part in enumerate((0.4, 0.8), 1):
        time.sleep(0.02)
        header.write_text(text.replace("(second);", f"(second){' + static_call(greet)(second)' * again};"))
        build = project.start()
        time.sleep(part * usual)
        os.killpg(build.pid, signal.SIGKILL)
        build.wait()
        assert all(map(whole, project.objects().values()))
        if project.system.trusts_the_link:
            (project.root / project.system.program).unlink(missing_ok=True)
        project.build()
        assert project.output().count("moon!") == 1 + again


def test_make_in_mode_direct(tmp_path: Path) -> None:
    project = copied("make", tmp_path / "project")
    run(["make", "-j4", "MODE=direct"], project, **CLEAN)
    assert run([project / "build-direct" / "greet"]).endswith("direct calls: 5\n")
    assert attempt(["make", "-q", "MODE=direct"], project, **CLEAN).returncode == 0


def test_cmake_with_makefiles_and_ccache(tmp_path: Path) -> None:
    project = Project(SYSTEMS["cmake-make-ccache"], tmp_path)
    _works(project)
    run(["cmake", "build", "-DGREET_MODE=trampoline"], project.root, **project.env)
    assert project.rebuilt() == {"greet", "main"}
    assert project.output().endswith("direct calls: 0\n")


def test_autotools(tmp_path: Path) -> None:
    """The configure script finds what it finds with the compiler alone."""
    project = Project(SYSTEMS["autotools"], tmp_path)
    plain = shutil.copytree(project.root, tmp_path / "plain")
    options = (*project.system.configure[-1][2:-1], "CFLAGS=-O2")
    words = [word.format(pkgconfigdir=ask("--pkgconfigdir")) for word in options]
    run(["make", "distclean"], plain, **CLEAN)
    run(["./configure", "CC=gcc", *words], plain, **CLEAN)
    assert _found(project.root) == _found(plain)
    _works(project)


def _found(build: Path) -> dict[str, str]:
    """What a configure script found, without the compiler's name and what differs from run to run."""
    log = (build / "config.log").read_text()
    scratch = rf"{re.escape(str(build))}|/tmp/cc\w+\.o|pid = \d+|\$\$ = \d+|^On .*|^.*conftest\.c:\d.*$"
    log = re.sub(scratch, "", log, flags=re.M)
    return {
        "config.h": (build / "config.h").read_text(),
        "config.log": log.replace("'", "").replace("instrument cc -- gcc", "gcc"),
    }


# ---- what is each one's own ------------------------------------------------------------------------

CMAKE_TARGETS = """\
cmake_minimum_required(VERSION 3.20)
project(targets C)
add_subdirectory(one)
add_subdirectory(two)
"""
CMAKE_ONE = """\
find_package(StaticCall REQUIRED)
add_library(one SHARED ../greet.c ../words.c)
target_link_libraries(one m)
target_static_call(one MODE direct LAYOUT compact STRICT)
install(TARGETS one EXPORT targets)
install(EXPORT targets DESTINATION lib/cmake/targets)
"""
CMAKE_TWO = """\
find_package(StaticCall 0.1 REQUIRED)
add_executable(two ../main.c)
target_link_libraries(two one)
target_static_call(two)
"""


def cmake(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return attempt(["cmake", "-G", "Ninja", "-S", tree, "-B", tree / "build", *words], **CLEAN)


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    tree = copied("cmake", tmp_path / "tree")
    (tree / "CMakeLists.txt").write_text(CMAKE_TARGETS)
    for name, text in (("one", CMAKE_ONE), ("two", CMAKE_TWO)):
        (tree / name).mkdir()
        (tree / name / "CMakeLists.txt").write_text(text)
    return tree


def test_cmake_targets_share_one_runtime(targets: Path) -> None:
    done = cmake(targets, f"-DStaticCall_DIR={ask('--cmakedir')}", "-DBUILD_SHARED_LIBS=ON")
    assert done.returncode == 0, done.stderr
    commands = run(["ninja", "-C", targets / "build", "-t", "commands"], **CLEAN)
    assert len(re.findall(r"-c \S*static_call_runtime\.c\b", commands)) == 1
    assert "cc --mode=direct --layout=compact --strict -- /" in commands
    run(["ninja", "-C", targets / "build"], **CLEAN)
    assert run([targets / "build" / "two" / "two"]).startswith(POLITE + BRIEF)


def test_cmake_says_what_is_wrong(targets: Path) -> None:
    ours, elsewhere = ask("--cmakedir"), targets / "runtime" / "cmake"
    shutil.copytree(ours, elsewhere)
    with (targets / "one" / "CMakeLists.txt").open("a") as file:
        file.write('cmake_language(EVAL CODE "${ONE}")\n')
    for words, told in (
        (["-DStaticCall_DIR=/"], "Could not find a package configuration file"),
        ([f"-DStaticCall_DIR={elsewhere}"], "is the command of another installation"),
        (["-DONE=target_static_call(one MOD direct)"], "not understood: MOD;direct"),
        (["-DONE=target_static_call(one MODE)"], "not understood: MODE"),
        (["-DONE=find_package(StaticCall 1.0 REQUIRED)"], 'compatible with requested version "1.0"'),
        (["-DONE=", "-DSTATIC_CALL_INSTRUMENT=/bin/true"], "/bin/true is the command of another installation"),
    ):
        done = cmake(targets, f"-DStaticCall_DIR={ours}", *words)
        assert done.returncode != 0
        assert told in " ".join(done.stderr.split())


def test_pkg_config(tmp_path: Path) -> None:
    project = copied("pkg-config", tmp_path / "a project")
    run(["make"], project, **CLEAN)
    assert run([project / "greet"]).endswith("direct calls: 5\n")
    assert attempt(["make", "-q"], project, **CLEAN).returncode == 0


def test_the_pc_file_may_be_moved(tmp_path: Path) -> None:
    moved = tmp_path / "prefix" / "pkgconfig"
    shutil.copytree(ask("--pkgconfigdir"), moved)
    told = run(["pkg-config", "--cflags", "--libs", "staticcall"], PKG_CONFIG_PATH=str(moved)).split()
    assert told == [f"-I{moved}/../include", f"{moved}/../static_call_runtime.c", "-pthread"]


# ---- Bazel -----------------------------------------------------------------------------------------

# The Bazel of Debian 12 would fetch these; all that this build needs of them is what that Bazel has built in.
RULES = {
    "rules_cc/cc": "cc_binary cc_library cc_import cc_test cc_toolchain cc_toolchain_suite",
    "rules_java/java": "java_binary java_import java_library java_proto_library java_runtime java_toolchain",
    "rules_proto/proto": "proto_lang_toolchain proto_library",
}


class Bazel:
    def __init__(self, tmp_path: Path) -> None:
        self.project = copied("bazel", tmp_path / "project")
        compiler = tmp_path / "bin" / "gcc"
        compiler.parent.mkdir()
        compiler.symlink_to(shutil.which("instrument", path=TOOLS) or "instrument")
        repositories = {"staticcall": ask("--bazeldir")}
        for package, rules in RULES.items():
            folder = tmp_path / "rules" / package
            folder.mkdir(parents=True)
            (folder.parent / "WORKSPACE").touch()
            (folder / "BUILD").touch()
            (folder / "defs.bzl").write_text("".join(f"{rule} = native.{rule}\n" for rule in rules.split()))
            repositories[folder.parent.name] = str(folder.parent)
        self.options = [f"--override_repository={name}={path}" for name, path in repositories.items()]
        self.options += [f"--repo_env=CC={compiler}", "--jobs=4", "-c", "opt", "--subcommands", "--color=no"]
        # A short-lived server on a shared machine: compiled little, collected by one thread.
        java = ("TieredStopAtLevel=1", "+UseSerialGC")
        self.command = ["bazel", f"--output_user_root={tmp_path / 'root'}", "--max_idle_secs=60"]
        self.command += [f"--host_jvm_args=-XX:{option}" for option in java]

    def run(self, word: str, *words: str) -> subprocess.CompletedProcess[str]:
        return attempt([*self.command, word, *words], self.project, 300, **CLEAN)

    def compiled(self, *words: str) -> set[str]:
        """The C files that a build compiles."""
        done = self.run("build", *self.options, *words, "//:greet")
        assert done.returncode == 0, done.stderr
        return set(re.findall(r"SUBCOMMAND:.*'Compiling (?:\S*/)?(\w+)\.c'", done.stderr))

    def output(self) -> str:
        return run([self.project / "bazel-bin" / "greet"])


@pytest.fixture
def bazel(tmp_path: Path) -> Iterator[Bazel]:
    started = Bazel(tmp_path)
    yield started
    started.run("shutdown")
    # What Bazel has made is read-only.
    run(["chmod", "-R", "u+w", tmp_path])


def test_bazel(bazel: Bazel) -> None:
    assert bazel.compiled() == {"greet", "main", "static_call_runtime", "words"}
    assert bazel.output() == f"{POLITE}{BRIEF}direct calls: 5\n"
    assert bazel.compiled() == set()
    for header, concerned in (("words.h", {"greet", "words"}), ("greet.h", {"greet", "main"})):
        change(bazel.project / header)
        assert bazel.compiled() == concerned
    assert {"greet", "main"} <= bazel.compiled("--action_env=INSTRUMENT_CC=--mode trampoline")
    assert bazel.output().endswith("direct calls: 0\n")
