# SPDX-License-Identifier: MIT
"""What the steps of `instrument suggest` hand to each other. Plain values, no behaviour beyond their own sums."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from instrument.model import Edit, Place


class Role(StrEnum):
    """What a place does with a pointer."""

    DECLARE = "declared"
    DEFINE = "defined"
    CALL = "called"
    ASSIGN = "assigned"
    READ = "read"
    TEST = "tested"
    """Read, and gone after the edit: the call behind it is a conditional one."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the text of a function, with `depth` loops around it."""

    place: Place
    function: str | None
    depth: int


@dataclass(frozen=True, slots=True)
class Use:
    """One place; `depth` is how many loops of its `function`, or macro, are around it, `value` what is assigned,
    `inside` the functions and macros in whose arguments it stands, or the macro in whose body; `spots` are
    the places that use that macro.

    `edits` are to be made together with those of all other uses.
    """

    role: Role
    place: Place
    edits: tuple[Edit, ...] = ()
    function: str | None = None
    depth: int = 0
    value: str = ""
    inside: tuple[str, ...] = ()
    spots: tuple[Spot, ...] = ()


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason against an edit, or a condition for it, and where it shows. `granted` is a condition that holds where
    the given files are the whole program."""

    what: str
    place: Place | None = None
    granted: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A function pointer of the program.

    `key` is the static call that it would become, `name` its name in the text (`ops.read` for a member), `place`
    where it is defined. `edits` are by path. Where there are `refusals`, no edit keeps the program's meaning, or
    nothing shows that it does; `conditions` must hold for it and cannot be seen in the sources; `notes` are good to
    know.
    """

    key: str
    name: str
    place: Place
    uses: tuple[Use, ...]
    refusals: tuple[Doubt, ...] = ()
    conditions: tuple[Doubt, ...] = ()
    notes: tuple[Doubt, ...] = ()
    edits: dict[str, tuple[Edit, ...]] = field(default_factory=dict)

    def of(self, role: Role) -> list[Use]:
        """Its uses in one role."""
        return [use for use in self.uses if use.role is role]
