# SPDX-License-Identifier: MIT
"""Three packages of real C, and how each is built and tested by its own tests.

A flavour is a compiler's command, flags, and what is linked in besides.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.packages import unpacked
from tests.toolchain import attempt, run

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_PYTHON = sysconfig.get_paths()["include"]
_BENCHMARKS = re.compile(r"test_(?:benchmark.*|stubs_pyright)")


@dataclass(frozen=True)
class Flavour:
    name: str
    compiler: tuple[str, ...] = ("gcc-12",)
    flags: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What a package's own tests say, and how many patched call sites the binary has that they run."""

    passed: int
    total: int
    sites: int


@dataclass(frozen=True)
class Package:
    """`sources` are what suggest reads, in a tree that `prepare` has made; `flags` what its files need there."""

    name: str
    sources: tuple[str, ...]
    prepare: Callable[[Path], None]
    flags: Callable[[Path], Sequence[str]]
    test: Callable[[Path, Flavour], Result]


def _sites(binary: Path) -> int:
    told = run([sys.executable, "-m", "instrument", "inspect", "--json", binary])
    return sum(len(one["sites"]) for one in json.loads(told))


# ---- bindings for Python --------------------------------------------------------------------------


def _extension(tree: Path, flavour: Flavour, sources: Sequence[str], flags: Sequence[str], out: str) -> None:
    objects = []
    for number, source in enumerate(sources):
        objects.append(f"{number}.o")
        words = [*flavour.compiler, "-O2", "-fPIC", f"-I{_PYTHON}", *flags, *flavour.flags]
        run([*words, "-c", source, "-o", objects[-1]], cwd=tree)
    run(["gcc-12", "-shared", "-Wl,-Bsymbolic", *objects, *flavour.runtime, "-o", out], cwd=tree)


def _hiredis_flags(tree: Path) -> list[str]:
    return ["-std=gnu99", "-D_GNU_SOURCE", "-Ivendor", f"-I{_PYTHON}"]


def _hiredis_test(tree: Path, flavour: Flavour) -> Result:
    parts = ("alloc", "async", "hiredis", "net", "read", "sds", "sockcompat")
    sources = [*sorted(f"src/{path.name}" for path in (tree / "src").glob("*.c"))]
    sources += [f"vendor/hiredis/{part}.c" for part in parts]
    _extension(tree, flavour, sources, _hiredis_flags(tree), "hiredis/hiredis.so")
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        ".",
        "tests",
    ]
    said = attempt(words, cwd=tree, PYTHONPATH=str(tree)).stdout
    passed, failed = (int(m[1]) if (m := re.search(rf"(\d+) {word}", said)) else 0 for word in ("passed", "failed"))
    return Result(passed, passed + failed, _sites(tree / "hiredis" / "hiredis.so"))


def _xxhash_flags(tree: Path) -> list[str]:
    return ["-Ideps/xxhash", "-DXXHASH_X86_DISPATCH=1", f"-I{_PYTHON}"]


def _xxhash_test(tree: Path, flavour: Flavour) -> Result:
    sources = ["src/_xxhash.c", "deps/xxhash/xxhash.c", "deps/xxhash/xxh_x86dispatch.c"]
    _extension(tree, flavour, sources, _xxhash_flags(tree), "xxhash/_xxhash.so")
    names = sorted(path.stem for path in (tree / "tests").glob("test*.py") if not _BENCHMARKS.fullmatch(path.stem))
    words = [sys.executable, "-m", "unittest", "-q", *(f"tests.{name}" for name in names)]
    said = attempt(words, cwd=tree, PYTHONPATH=str(tree)).stderr
    ran = int(m[1]) if (m := re.search(r"Ran (\d+) tests?", said)) else 0
    failed = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", said))
    return Result(ran - failed, ran, _sites(tree / "xxhash" / "_xxhash.so"))


# ---- libsodium ------------------------------------------------------------------------------------


def _sodium_prepare(tree: Path) -> None:
    shutil.copytree(unpacked("PyNaCl", _REQUIREMENTS) / "src" / "libsodium", tree)
    words = ["./configure", "-q", "--disable-shared", "--disable-dependency-tracking", "CC=gcc-12"]
    run(words, cwd=tree, timeout=600)


def _sodium_flags(tree: Path) -> list[str]:
    text = (tree / "Makefile").read_text().replace("\\\n", " ")
    definitions = re.search(r"^DEFS = (.*)$", text, re.MULTILINE)
    assert definitions
    include = "src/libsodium/include"
    return [*shlex.split(definitions[1]), f"-I{include}", f"-I{include}/sodium", f"-I{include}/sodium/private"]


def _sodium_test(tree: Path, flavour: Flavour) -> Result:
    runtime = []
    if flavour.runtime:
        run(["gcc-12", "-O2", *flavour.flags, "-c", flavour.runtime[0], "-o", "runtime.o"], cwd=tree)
        runtime = [str(tree / "runtime.o"), *flavour.runtime[1:]]
    words = [f"CC={shlex.join(flavour.compiler)}", f"CPPFLAGS={shlex.join(flavour.flags)}"]
    said = attempt(["make", "-j2", "check", *words, f"LIBS={shlex.join(runtime)}"], cwd=tree, timeout=1800).stdout
    counts = {word: int(n) for word, n in re.findall(r"^# (TOTAL|PASS): +(\d+)", said, re.MULTILINE)}
    program = tree / "test" / "default" / "generichash"
    return Result(counts.get("PASS", 0), counts.get("TOTAL", 0), _sites(program))


def _copied(name: str) -> Callable[[Path], None]:
    def prepare(tree: Path) -> None:
        shutil.copytree(unpacked(name), tree)

    return prepare


PACKAGES = (
    Package("hiredis", ("src", "vendor"), _copied("hiredis"), _hiredis_flags, _hiredis_test),
    Package("xxhash", ("deps", "src"), _copied("xxhash"), _xxhash_flags, _xxhash_test),
    Package("libsodium", ("src/libsodium",), _sodium_prepare, _sodium_flags, _sodium_test),
)
