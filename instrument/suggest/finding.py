# SPDX-License-Identifier: MIT
"""What is being found out about one candidate, until it is whole. Knows no C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from instrument.model import Edit, Place
from instrument.structure import function_name
from instrument.suggest import spelling
from instrument.suggest.declared import Variable
from instrument.suggest.model import Candidate, Doubt, Role, Use
from instrument.suggest.project import Project
from instrument.suggest.source import calls_around, function_of, loops_around
from instrument.suggest.values import Value

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(slots=True)
class Finding:
    """What is being found out about one candidate."""

    project: Project
    key: str
    name: str
    place: Place
    uses: list[Use] = field(default_factory=list)
    refusals: list[Doubt] = field(default_factory=list)
    conditions: list[Doubt] = field(default_factory=list)
    notes: list[Doubt] = field(default_factory=list)

    def refuse(self, what: str, place: Place | None = None) -> None:
        self.refusals.append(Doubt(what, place))

    def use(
        self,
        role: Role,
        place: Place,
        node: Node | None,
        edits: Sequence[Edit] = (),
        value: str = "",
        macro: str | None = None,
    ) -> None:
        function = function_of(node) if node is not None and macro is None else None
        name = function_name(function) if function is not None else macro
        depth = loops_around(node) if node is not None else 0
        spots = tuple(self.project.spots(macro)) if macro and role is Role.CALL else ()
        inside = tuple(calls_around(node)) if node is not None else ()
        self.uses.append(Use(role, place, tuple(edits), name, depth, value, inside, spots))

    def judge(self, value: Value, place: Place) -> None:
        """What the value of an assignment tells."""
        if value.why:
            self.refuse(value.why, place)
        elif value.note:
            self.notes.append(Doubt(value.note, place))

    def linkage(self, first: Variable) -> None:
        """What else may know the variable than its name in C."""
        project = self.project
        for path in project.in_asm(first.name):
            self.refuse(f"an asm or alias in {path} has its name in it")
        if "static" not in first.storage:
            for path in project.looked_up(first.name):
                self.refuse(f"{path} looks it up by its name")
            self.conditions.append(Doubt("no file but those given uses it, for it is not static"))
        for use in self.uses:
            if use.edits and use.place in project.census.quoted:
                macro = use.inside[-1] if use.inside else use.function
                what = f"nothing depends on the text that the macro {macro} makes of its argument, which changes"
                self.conditions.append(Doubt(what, use.place))
        if not project.census.taken:
            what = "no macro means it in other words, for no preprocessor was asked"
            self.conditions.append(Doubt(what))
        for path in project.naming(first.name):
            self.conditions.append(Doubt(f"{path}, which is no C, does not mean it by its name"))
        for path in project.including(first.source.path):
            self.conditions.append(Doubt(f"no program has both {first.source.path} and {path}, which includes it"))
        if any(
            b"__cplusplus" in project.sources[u.place.path].data for u in self.uses if not u.place.path.endswith(".c")
        ):
            self.conditions.append(Doubt("no C++ file includes its header: static calls are for C"))

    def done(self) -> Candidate:
        edits: dict[str, tuple[Edit, ...]] = {}
        for use in self.uses:
            edits[use.place.path] = (*edits.get(use.place.path, ()), *use.edits)
        for path in {use.place.path for use in self.uses if use.role in (Role.DECLARE, Role.DEFINE)}:
            edits[path] = (*spelling.include(self.project.sources[path]), *edits[path])
        kept = {path: each for path, each in edits.items() if each}
        args = (tuple(self.uses), tuple(self.refusals), tuple(self.conditions), tuple(self.notes))
        return Candidate(self.key, self.name, self.place, *args, kept)
