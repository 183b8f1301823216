# SPDX-License-Identifier: MIT
"""A csmith program with a key for each of its functions, and each call turned into a static call.

As one file, where the keys' targets stay static, or as two files and a header, where both files call and define
keys that the header declares. On top of that the program may change its keys while it runs, always between
functions that do the same, so that its checksum stays what it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tests.csmith.program import CALL, GLOBAL, Function, NotCsmith, Program

INCLUDE = "#include <static_call.h>\n"
BEFORE_FIRST_CALL = re.compile(r"^ *crc32_gentab\(\);\n", re.MULTILINE)
BUDGET = 200
"""How many updates a program makes from within its calls: enough for every depth, few enough to end soon."""


class Updates(StrEnum):
    """When the program changes its keys."""

    NEVER = "never"
    INIT = "init"
    """static_call_init() before the first call."""
    BEFORE = "before"
    """Every key leads to a second function before the first call."""
    WITHIN = "within"
    """As before, and the second functions change their own keys from inside their calls."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a program is converted."""

    updates: Updates
    two_files: bool
    define_late: bool
    """DEFINE_STATIC_CALL behind the functions, not in front of them."""


def convert(program: Program, form: Form) -> dict[str, str]:
    """The converted program's files by their names."""
    return _two_files(program, form) if form.two_files else _one_file(program, form)


def _one_file(program: Program, form: Form) -> dict[str, str]:
    functions = program.functions
    early, late = (_declarations(functions), _definitions(functions))
    if not form.define_late:
        early, late = late, ""
    prototypes = "".join(f"{function.head(function.storage, function.name)};\n" for function in functions)
    bodies = _bodies(program, range(len(functions)), static=True)
    text = (INCLUDE, program.types, "\n", _lines(program.globals), prototypes, early, bodies, late)
    return {"main.c": "".join(text) + _others(functions, form) + _main(program, form)}


def _two_files(program: Program, form: Form) -> dict[str, str]:
    """Every second function, and the other half of the keys, in a second file."""
    functions = program.functions
    prototypes = "".join(f"{function.head('', function.name)};\n" for function in functions)
    shared = "".join(f"extern {_declarator(line)};\n" for line in program.globals)
    header = "#ifndef SHARED_H\n#define SHARED_H\n" + INCLUDE + program.types + "\n" + shared + prototypes
    files = {"shared.h": header + _declarations(functions) + "#endif\n"}
    variables = _lines([line.removeprefix("static ") for line in program.globals])
    others = _others(functions, form) + _main(program, form)
    for name, parity, first, last in (("main.c", 0, variables, others), ("more.c", 1, "", "")):
        keys = _definitions(functions[1 - parity :: 2])
        bodies = _bodies(program, range(parity, len(functions), 2), static=False)
        middle = bodies + keys if form.define_late else keys + bodies
        files[name] = '#include "shared.h"\n' + first + middle + last
    return files


def _lines(lines: list[str] | tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _declarator(line: str) -> str:
    match = GLOBAL.fullmatch(line)
    assert match, line
    return match["declarator"]


def _declarations(functions: tuple[Function, ...]) -> str:
    return "".join(f"DECLARE_STATIC_CALL({function.name}, {function.name});\n" for function in functions)


def _definitions(functions: tuple[Function, ...]) -> str:
    return "".join(f"DEFINE_STATIC_CALL({function.name}, {function.name});\n" for function in functions)


def _bodies(program: Program, which: range, static: bool) -> str:
    pieces = []
    for index in which:
        function = program.functions[index]
        head = function.head(function.storage, function.name)
        body = program.bodies[index].removeprefix(head)
        pieces += [function.head(function.storage if static else "", function.name), _calls(body), "\n"]
    return "".join(pieces)


def _calls(text: str) -> str:
    """Every call in the text as a static call; calls in the arguments of calls are ordinary text to this."""
    return CALL.sub(lambda match: f"static_call({match[0]})", text)


def _main(program: Program, form: Form) -> str:
    changes = {
        Updates.NEVER: "",
        Updates.INIT: "    if (static_call_init()) return 98;\n",
        Updates.BEFORE: _updates(program.functions),
        Updates.WITHIN: _updates(program.functions),
    }[form.updates]
    text, count = BEFORE_FIRST_CALL.subn(lambda match: match[0] + changes, _calls(program.main))
    if count != 1:
        raise NotCsmith("main does not begin as csmith's does")
    return text + "\n"


def _updates(functions: tuple[Function, ...]) -> str:
    return "".join(f"    if (static_call_update({f.name}, second_{f.name})) return 99;\n" for f in functions)


def _others(functions: tuple[Function, ...], form: Form) -> str:
    """The further functions that keys are changed to; each hands its arguments on to the first."""
    if form.updates is Updates.BEFORE:
        return "".join(_other(function, "second", "") for function in functions)
    if form.updates is Updates.WITHIN:
        return f"static int budget = {BUDGET};\n" + "".join(map(_turning, functions))
    return ""


def _other(function: Function, name: str, first: str) -> str:
    head = function.head("static __attribute__((noinline)) ", f"{name}_{function.name}")
    return f"{head}\n{{\n{first}    return {function.name}({function.arguments});\n}}\n"


def _turning(function: Function) -> str:
    """Two functions that direct their own key to each other, while they are being called through it."""
    second, third = (
        _other(function, name, f"    if (budget > 0 && budget-- && {update}) __builtin_trap();\n")
        for name, update in (
            ("second", f"static_call_update({function.name}, third_{function.name})"),
            ("third", f"static_call_update({function.name}, second_{function.name})"),
        )
    )
    return f"{function.head('static ', 'third_' + function.name)};\n{second}{third}"
