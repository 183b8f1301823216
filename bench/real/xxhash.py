# SPDX-License-Identifier: MIT
"""xxHash: a table of functions for the processor at hand, called by short functions; half of them are tail calls."""

from __future__ import annotations

from pathlib import Path

from bench.real.program import MODES, Case, Goal, Program, answer, compiler
from examples import demo
from examples.xxhash.edit import write_variant


class XxHash(Program):
    name = "xxhash"
    cflags = ("-O3", "-DXXH_DISPATCH_SCALAR=1")
    common = ("xxhash.c",)
    dispatching = ("xxh_x86dispatch.c",)
    programs = {"driver": ("driver.c",)}  # noqa: RUF012
    cases = (Case("256-byte hash", "ns"), Case("16-byte update", "ns"))
    goals = (Goal("16-byte update", 0.42),)

    def write(self, form: str, out: Path) -> None:
        variant = "static" if form in MODES else form
        if form == "hard-wired":
            pointer = demo.Build("pointer", self.sources("pointer")).program("plain")
            variant = demo.run([pointer, "best"]).strip()
        write_variant(demo.fetch(), out, variant)

    def test(self, form: str) -> str:
        """Those of its Python binding."""
        words = tuple(compiler(form))
        build = demo.Build(form, self.sources(form), answer("--cflags"), answer("--libs"), compiler=words)
        return demo.own_tests(demo.fetch(), build)

    def time(self, programs: Path) -> list[float]:
        return [float(word) for word in demo.run([programs / "driver", "time"]).split()]
