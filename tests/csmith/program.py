# SPDX-License-Identifier: MIT
"""What csmith prints, taken apart: types, globals, prototypes, function bodies.

csmith's output is regular, one prototype, one definition's head and one global a line, so lines and names are
enough; text that does not look like that is refused rather than guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PROTOTYPE = re.compile(
    r"(?P<storage>(?:(?:static|inline) +)+)(?P<result>[^=(;]*?)(?P<name>\bfunc_\d+)\((?P<parameters>[^()]*)\);"
)
GLOBAL = re.compile(r"static (?P<declarator>[^=(;]*\bg_\d+[^=(;]*) = .*;")
CALL = re.compile(r"\bfunc_\d+(?=\()")


class NotCsmith(ValueError):
    """The text is not laid out as csmith lays it out."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function, by its prototype; `storage` and `result` keep the spaces behind them."""

    storage: str
    result: str
    name: str
    parameters: str

    @property
    def arguments(self) -> str:
        """The names of the parameters, to hand them on."""
        return ", ".join(re.findall(r"\bp_\d+\b", self.parameters))

    def head(self, storage: str, name: str) -> str:
        return f"{storage}{self.result}{name}({self.parameters})"


@dataclass(frozen=True, slots=True)
class Program:
    """One program of csmith's. `bodies` are whole definitions, in the order of `functions`."""

    types: str
    globals: tuple[str, ...]
    functions: tuple[Function, ...]
    bodies: tuple[str, ...]
    main: str

    @property
    def calls(self) -> int:
        """How often a function is called, in source text."""
        heads = len(self.bodies)
        return sum(len(CALL.findall(text)) for text in (*self.bodies, self.main)) - heads


def parse(text: str) -> Program:
    """Take csmith's output apart."""
    before, functions, rest = _split_at_prototypes(text.splitlines())
    definitions, main = _split_at_main(rest)
    first_global = next((index for index, line in enumerate(before) if GLOBAL.fullmatch(line)), len(before))
    variables = tuple(line for line in before[first_global:] if line.strip())
    strange = [line for line in variables if not GLOBAL.fullmatch(line)]
    if strange:
        raise NotCsmith(f"not a global variable: {strange[0]}")
    return Program("\n".join(before[:first_global]), variables, functions, _bodies(functions, definitions), main)


def _split_at_prototypes(lines: list[str]) -> tuple[list[str], tuple[Function, ...], list[str]]:
    matches = [(index, match) for index, line in enumerate(lines) if (match := PROTOTYPE.fullmatch(line))]
    if not matches or matches[-1][0] - matches[0][0] != len(matches) - 1:
        raise NotCsmith("no block of prototypes")
    functions = tuple(Function(*match.group("storage", "result", "name", "parameters")) for _, match in matches)
    return lines[: matches[0][0]], functions, lines[matches[-1][0] + 1 :]


def _split_at_main(lines: list[str]) -> tuple[list[str], str]:
    starts = [index for index, line in enumerate(lines) if line.startswith("int main (")]
    if len(starts) != 1:
        raise NotCsmith("no main")
    return lines[: starts[0]], "\n".join(lines[starts[0] :])


def _bodies(functions: tuple[Function, ...], lines: list[str]) -> tuple[str, ...]:
    heads = {function.head(function.storage, function.name): function.name for function in functions}
    starts = [index for index, line in enumerate(lines) if line in heads]
    if [heads[lines[index]] for index in starts] != [function.name for function in functions]:
        raise NotCsmith("definitions and prototypes differ")
    if any(line.strip() and not line.startswith("/*") for line in lines[: starts[0]]):
        raise NotCsmith("text before the first definition")
    ends = [*starts[1:], len(lines)]
    return tuple("\n".join(lines[start:end]) for start, end in zip(starts, ends, strict=True))
