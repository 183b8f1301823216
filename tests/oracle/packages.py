# SPDX-License-Identifier: MIT
"""Real C from three packages: fetched by pip when first asked for, pinned by version and content, kept in build/."""

from __future__ import annotations

import fcntl
import hashlib
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples import demo
from tests.toolchain import ROOT, run

ARCHIVES = ROOT / "build" / "oracle"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


@dataclass(frozen=True)
class Package:
    """`folder` in the unpacked archive has the sources; `flags` are what its own build would give, from there."""

    name: str
    folder: str
    flags: tuple[str, ...] = ()
    # These want another library's headers, or the operating system that others have.
    left_out: frozenset[str] = frozenset()


PACKAGES = (
    Package("hiredis", "vendor/hiredis", ("-D_GNU_SOURCE",), frozenset({"ssl.c", "test.c", "dict.c"})),
    Package("tree_sitter", "tree_sitter/core/lib/src", ("-std=c11", "-D_GNU_SOURCE", "-I../include", "-I.")),
    Package("xxhash", "deps/xxhash"),
)


def sources(package: Package) -> tuple[Path, ...]:
    """The C files of a package, in the cache: nothing is to be written beside them."""
    folder = unpacked(package.name) / package.folder
    found = tuple(sorted(path for path in folder.glob("*.c") if path.name not in package.left_out))
    assert found, f"{package.name} has no C in {package.folder}"
    return found


def unpacked(name: str, requirements: Path = _REQUIREMENTS) -> Path:
    """The unpacked archive of a package that `requirements` pins, in the cache."""
    with _alone():
        if name == "xxhash":
            return demo.fetch()
        if not list(ARCHIVES.glob(f"{name}-*.tar.gz")):
            _fetch(requirements)
        (archive,) = ARCHIVES.glob(f"{name}-*.tar.gz")
        assert hashlib.sha256(archive.read_bytes()).hexdigest() in requirements.read_text(), archive
        folder = ARCHIVES / archive.name.removesuffix(".tar.gz")
        if not folder.exists():
            with tarfile.open(archive) as tar:
                tar.extractall(ARCHIVES)  # no filter=: Debian 12 has 3.11.2; the hash says what is inside
        return folder


def _fetch(requirements: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--require-hashes"]
    run([*pip, "-r", requirements, "-d", ARCHIVES], timeout=300, PIP_RETRIES="1")


@contextmanager
def _alone() -> Iterator[None]:
    """Several processes of pytest may want the sources at once."""
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    with (ARCHIVES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
