# SPDX-License-Identifier: MIT
"""A function type to try, and how its callers look."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tests.abi.types import Type, any_atom


class Shape(IntEnum):
    """How a caller is built around its call; callers.py writes each."""

    LIVE = 0
    TAIL = 1
    LOOP = 2
    TWICE = 3
    EARLY_OUT = 4
    GROWN = 5
    NESTED = 6
    WIDE = 7


@dataclass(frozen=True, slots=True)
class Param:
    """`text` is the parameter's declaration where it is not just its type's: an array that decays, a qualifier."""

    type: Type
    text: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function type and the shape of its callers; `extra` are the arguments behind the `...`."""

    result: Type
    params: tuple[Param, ...]
    extra: tuple[Type, ...] = ()
    variadic: bool = False
    prototyped: bool = True
    attribute: str = ""
    result_qualifier: str = ""
    shape: Shape = Shape.LIVE
    nested: int = 0
    """The parameter whose argument is another call's result, in Shape.NESTED."""

    @property
    def sysv(self) -> bool:
        return self.attribute in ("", "sysv_abi")

    @property
    def values(self) -> tuple[Type, ...]:
        return (*(p.type for p in self.params), *self.extra)

    @property
    def mmx(self) -> bool:
        """Whether the x87 unit may be left in MMX state, whoever calls."""
        return any(any_atom(t, "mmx") for t in (*self.values, self.result))
