# SPDX-License-Identifier: MIT
"""The header that a translation unit is compiled with in the modes inline-asm and trampoline: what the compiler
itself tells of the unit's keys, as the wrappers of their calls.

Knows how the unit is asked and how the compiler is given the answer. Each unit is asked by itself, so nothing is
shared between compiles.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from instrument import assembler, compiler, kept, paths, process, terminal, whole
from instrument.ccflags import compile_flags
from instrument.ccwords import Call
from instrument.diagnostics import Finding, InstrumentError
from instrument.model import Form, KeyPlan, Layout, Mode, Unit

_NAME = "static_call_keys.h"
# In what is no C (assembly with #include, C++) the macros would say nothing.
_HEAD = b"#if !defined __ASSEMBLER__ && !defined __cplusplus\n#define STATIC_CALL_INSTRUMENTED 1\n"
_DEPENDENCIES = ("-MD", "-MMD", "--write-dependencies", "--write-user-dependencies")


def _templates() -> None:
    from instrument import templates

    templates.environment().get_template(f"{_NAME}.j2")


# In the order in which they are needed: they take as long as the compilers that are asked meanwhile.
_AHEAD: tuple[Callable[[], object], ...] = (
    *(partial(import_module, f"instrument.{name}") for name in ("resolve", "dwarf", "plan", "render")),
    _templates,
)


class Given(NamedTuple):
    """What the compiler is given: `flags`, and the header that they name. Neither where there is nothing to do."""

    flags: tuple[str, ...] = ()
    header: str | None = None


def flags(call: Call, mode: str, layout: str, strict: bool, verbose: bool) -> Given:
    """How the compiler is to be called for the sources of `call`.

    Raises InstrumentError: with the findings on the sources; or, if `strict`, with the calls on a lower form.
    """
    here = Path.cwd()
    units = [_unit(call, source, here) for source in call.sources]
    compiler.meanwhile += _AHEAD
    compiler.preprocess_early(units[0], paths.INCLUDE_DIR)
    from instrument import resolve

    asked = resolve.resolve(here, (), {}, {}, units, paths.INCLUDE_DIR, 1, copied=False)
    codes = {finding.code for finding in asked.findings}
    if codes - {"IN001", "IN005"}:
        raise InstrumentError(*asked.findings)
    if "IN001" in codes:
        # The compiler tells better what is wrong, and if it finds nothing the calls go by their trampolines.
        if strict and _accepted(call):
            raise InstrumentError(*asked.findings)
        return Given(("-DSTATIC_CALL_DIRECT",))
    if codes or not (asked.resolution.hidden or asked.resolution.defined):
        return Given()
    from instrument import plan, render

    planned = plan.plan({}, {}, asked.resolution, Mode(mode))
    called = [key for key in planned.keys if key.key.name in asked.resolution.hidden]
    _tell(call, called, mode, strict, verbose)
    text = render.header(_NAME, planned, Mode(mode), Layout(layout))
    path = kept.keep(_NAME, _HEAD + text + b"#endif\n")
    # First, so that it is there before anything of the user's; and in debug information, without our directory.
    return Given(("-include", path, f"-ffile-prefix-map={os.path.dirname(path)}=static_call"), path)  # noqa: PTH120


def _accepted(call: Call) -> bool:
    """Whether the compiler finds nothing wrong with what it did not take when it was asked about keys."""
    words = (word for word in call.preprocessing() if word not in ("-E", "-P"))
    return process.output_of([call.compiler, "-DSTATIC_CALL_DIRECT", *words, "-fsyntax-only"]) is not None


def forget(call: Call, path: str) -> None:
    """Take the header out of the dependency files of `call`: make would miss it on the next machine.

    Raises InstrumentError, status 2, where one cannot be written; what was compiled is gone then, or the next build
    would take it for done.
    """
    from instrument import depfile

    for name in _depfiles(call):
        try:
            rule = Path(name).read_bytes()
        except OSError:
            continue
        without = depfile.without(rule, path)
        if without != rule:
            try:
                whole.write(name, without)
            except OSError as error:
                for made in map(Path, assembler.outputs(call)):
                    made.unlink(missing_ok=True)
                raise InstrumentError(Finding("IN008", f"cannot write {name}: {error.strerror}"), status=2) from None


def _unit(call: Call, source: str, here: Path) -> Unit:
    if source == "-":
        text = Path("/proc/self/fd/0").read_bytes()
        path = Path(kept.keep("stdin.c", text))
        return Unit(path, (call.compiler, f"-iquote{here}", *compile_flags(call.words, path, here)), here)
    path = Path(os.path.normpath(here / source))
    words = [word for word in call.expanded if word not in {*call.sources, *call.others}]
    return Unit(path, (call.compiler, *compile_flags(words, path.resolve(), here)), here)


def _tell(call: Call, called: Sequence[KeyPlan], mode: str, strict: bool, verbose: bool) -> None:
    lower = [key for key in called if key.refusal and key.form is not Form.INLINE and mode == Mode.INLINE_ASM]
    if strict and lower:
        raise InstrumentError(*(_finding(call, key) for key in lower))
    if verbose:
        forms = ", ".join(f"{key.key.name} {key.form}" for key in called) or "none"
        print(f"instrument: {' '.join(call.sources)}: keys called: {forms}", file=sys.stderr)
        for key in lower:
            terminal.say(_finding(call, key, "note").render())


def _finding(call: Call, key: KeyPlan, severity: str = "error") -> Finding:
    assert key.refusal is not None
    what = f"calls of '{key.key.name}' in {' '.join(call.sources)} are left on the trampoline: {key.refusal.reason}"
    return Finding(key.refusal.code, what, severity=severity)


def _depfiles(call: Call) -> list[str]:
    """Where the compiler may have written dependencies: as it was told, or by the rules of gcc 12 and clang 19."""
    words = call.expanded
    names: list[str] = []
    asked = False
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word == "-MF":
            names.append(after)
        elif word.startswith("-MF"):
            names.append(word[3:].removeprefix("="))
        elif word.startswith(("-Wp,-MD,", "-Wp,-MMD,")):
            names.append(word.split(",")[2])
        asked = asked or word in _DEPENDENCIES
    for variable in process.DEPENDENCIES:
        names += os.environ.get(variable, "").split()[:1]
    return names + (_default_depfiles(call) if asked else [])


def _default_depfiles(call: Call) -> list[str]:
    bases = [Path(source).stem for source in call.sources]
    names = [f"{base}.d" for base in bases]
    if call.output:
        names.append(os.path.splitext(call.output)[0] + ".d")  # noqa: PTH122
        names.append(f"{call.output}.d")
        names += [f"{call.output}-{base}.d" for base in bases]
    else:
        names += [f"a-{base}.d" for base in bases]
    return names
