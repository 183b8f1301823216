# SPDX-License-Identifier: MIT
"""Programs of several linked objects, and the runtime compiled once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from instrument.assembly import prepare
from tests.toolchain import INCLUDE, WARNINGS, attempt, instrument, run, runtime_object

HERE = Path(__file__).resolve().parent / "c"
ALIGNED, COMPACT, TRAMPOLINE = ("inline-asm", "aligned"), ("inline-asm", "compact"), ("trampoline", "aligned")
PATIENCE = 300
"""Seconds for a program on a busy machine; none takes more than a few."""


def rewritten(out: Path, *names: str, form: tuple[str, str] = ALIGNED, cc: str = "gcc-12", flags: str = "") -> Path:
    """The files of tests/runtime/c, instrumented into `out`."""
    mode, layout = form
    files = [HERE / name for name in names]
    rest = ("-q", "--", "-std=gnu11", f"-I{HERE}", *flags.split())
    done = instrument(*files, "-o", out, "--mode", mode, "--layout", layout, *rest, CC=cc)
    assert done.returncode == 0, done.stderr
    return out


def direct(out: Path, name: str, layout: str, cc: str = "gcc-12", *flags: str) -> Path:
    """A file of tests/runtime/c as an object in `out`, its calls patched where the compiler put them."""
    out.mkdir(parents=True, exist_ok=True)
    assembly = out / f"{name}.s"
    compiled(cc, *flags, "-DSTATIC_CALL_DIRECT", "-S", HERE / f"{name}.c", "-o", assembly)
    assembly.write_bytes(prepare(assembly.read_bytes(), layout).text)
    run([cc, "-c", assembly, "-o", out / f"{name}.o"])
    return out / f"{name}.o"


def compiled(cc: str, *arguments: str | Path) -> Path:
    """Compile or link without a warning; the file that -o names, which is the last argument."""
    run([cc, "-std=gnu11", "-O2", *WARNINGS, INCLUDE, f"-I{HERE}", *arguments], timeout=PATIENCE)
    return Path(arguments[-1])


@dataclass(frozen=True)
class Runtime:
    """The runtime as an object file, to be compiled in, and as a shared object."""

    object: Path
    shared: Path


@cache
def runtime(folder: Path, cc: str = "gcc-12") -> Runtime:
    made = folder / f"runtime-{cc}"
    made.mkdir()
    object_ = runtime_object(cc, "-O2", "-fPIC")
    return Runtime(object_, compiled(cc, "-shared", object_, "-pthread", "-o", made / "libstatic_call.so"))


def ran(program: Path, *arguments: str | Path, status: int = 0, **env: str) -> tuple[str, str]:
    """Run a program that must end with this status; what it wrote to stdout and stderr."""
    done = attempt([program, *arguments], None, PATIENCE, **env)
    assert done.returncode == status, f"{program} {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr
