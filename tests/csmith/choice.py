# SPDX-License-Identifier: MIT
"""Everything about a trial that its seed decides."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.csmith.convert import Form, Updates
from tests.toolchain import COMPILERS

LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
# Conversions of floating point to integers are undefined where the value does not fit: --strict-float.
FLOATS = ("--float", "--strict-float")
# Short blocks: more calls a line, which is what the time goes into.
SHAPE = ("--inline-function", "--concise", "--quiet", "--max-block-size", "2", "--max-array-len-per-dim", "6")
PROTOCOLS = ("auto", "int3-push", "int3-resume")
EXTRAS: tuple[tuple[str, ...], ...] = (
    (),
    ("-fPIE", "-pie"),
    ("-fno-pic", "-no-pie"),
    ("-fno-omit-frame-pointer",),
    ("-fstack-protector-all",),
    ("-fcf-protection=full",),
    ("-fno-strict-aliasing", "-fno-plt"),
    # The results must not depend on which products and sums the compiler fuses.
    ("-mavx2", "-ffp-contract=off"),
    ("-mavx512f", "-ffp-contract=off"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """How one seed's program is made, converted and built."""

    csmith: tuple[str, ...]
    form: Form
    compiler: str
    level: str
    extra: tuple[str, ...]
    layout: str
    protocol: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The compiler's flags, for the tool and for the build."""
        return ("-std=gnu11", "-w", self.level, *self.extra)

    def __str__(self) -> str:
        form = f"updates={self.form.updates} files={1 + self.form.two_files} late={self.form.define_late}"
        return f"{self.compiler} {' '.join(self.flags)} {self.layout} {self.protocol} {form}"


def choose(seed: int) -> Choice:
    """The choice of a seed, the same on every machine but for instructions that the processor does not have."""
    draw = random.Random(f"csmith {seed}")
    return Choice(
        csmith=_options(seed, draw),
        form=Form(draw.choice(tuple(Updates)), draw.random() < 0.3, draw.random() < 0.5),
        compiler=draw.choice(COMPILERS),
        level=draw.choice(LEVELS),
        extra=_supported(draw.choice(EXTRAS)),
        layout=draw.choice(("aligned", "compact")),
        protocol=draw.choice(PROTOCOLS),
    )


def _options(seed: int, draw: random.Random) -> tuple[str, ...]:
    """Small structs travel in registers and large ones in memory, so the number of members varies."""
    limits = {
        "--max-funcs": draw.choice((8, 12, 16)),
        "--max-struct-fields": draw.choice((1, 2, 3, 5, 10)),
        "--max-union-fields": draw.choice((2, 3, 5)),
        "--max-block-depth": draw.choice((2, 3)),
    }
    words = [word for option, limit in limits.items() for word in (option, str(limit))]
    # Without pointers csmith passes more by value.
    pointers = () if draw.random() < 0.7 else ("--no-pointers",)
    return ("--seed", str(seed), *FLOATS, *SHAPE, *words, *pointers)


def _supported(extra: tuple[str, ...]) -> tuple[str, ...]:
    wanted = [word.removeprefix("-m") for word in extra if word.startswith("-mavx")]
    return extra if processor_flags().issuperset(wanted) else ()


@cache
def processor_flags() -> frozenset[str]:
    """What /proc/cpuinfo says the processor can do."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
