# SPDX-License-Identifier: MIT
"""One program: written, instrumented, compiled, run and judged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from instrument import pipeline
from instrument.model import Form, KeyPlan, Layout, Mode, Piece, Signature
from tests import toolchain
from tests.abi import entries, ordinary, program
from tests.abi.function import Function, Shape
from tests.abi.types import any_atom

HERE = Path(__file__).resolve().parent / "c"
WARNINGS = ("-std=gnu11", "-w", "-Werror=implicit-function-declaration", f"-I{HERE}")


@dataclass(frozen=True, slots=True)
class Trial:
    compiler: str
    flags: tuple[str, ...]
    layout: Layout
    functions: tuple[Function, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`failures` are sentences; `inline` counts the keys whose calls have the inline form.

    `excused` are what the same program without the tool fails with too: clang stores 32- and 64-byte vectors to a
    stack that it has not aligned for them, say. A program that crashes so compares none of its signatures.
    """

    signatures: int
    inline: int
    failures: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)


def support(directory: Path) -> tuple[Path, ...]:
    """The objects that every program is linked with, compiled once."""
    sources = (HERE / "harness.c", HERE / "record.S", Path(toolchain.RUNTIME[0]))
    objects = tuple(directory / f"{source.stem}.o" for source in sources)
    for source, made in zip(sources, objects, strict=True):
        if not made.exists():
            part = made.with_suffix(f".{os.getpid()}")
            toolchain.run(["gcc-12", "-O2", "-std=gnu11", toolchain.INCLUDE, "-c", source, "-o", part])
            part.replace(made)
    return objects


def run(trial: Trial, directory: Path, objects: Sequence[Path]) -> Verdict:
    """Everything that is wrong with the program; its files stay in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    written = directory / "program.c"
    written.write_text(program.source(trial.functions))
    keys = _instrument(trial, written, directory / "out")
    failures = _plans(trial, keys)
    (directory / "claims").write_text(_claims(trial.functions, keys))
    excused: list[str] = []
    if said := _execute(trial, directory / "out" / "program.c", directory, objects, directory / "claims"):
        plain = _execute(trial, written, directory, objects)
        excused = [line for line in said if line in plain or (_crashed(line) and any(map(_crashed, plain)))]
        failures += [line for line in said if line not in excused]
    compared = 0 if any(map(_crashed, excused)) else len(trial.functions) - len(excused)
    refused: dict[str, int] = {}
    for key in keys.values():
        if key.refusal:
            refused[key.refusal.code] = refused.get(key.refusal.code, 0) + 1
    inline = sum(key.form is Form.INLINE for key in keys.values())
    return Verdict(compared, inline, tuple(failures), tuple(excused), refused)


def _instrument(trial: Trial, written: Path, out: Path) -> dict[int, KeyPlan]:
    options = pipeline.Options(
        sources=(written,),
        out=out,
        mode=Mode.INLINE_ASM,
        layout=trial.layout,
        flags=(*WARNINGS, *trial.flags),
    )
    with mock.patch.dict(os.environ, CC=trial.compiler):
        outcome = pipeline.run(options, pipeline.gather(options))
    if outcome.failed:
        raise RuntimeError("\n".join(map(str, outcome.findings)))
    pipeline.write(options, outcome)
    return {int(key.key.name.removeprefix("k_")): key for key in outcome.keys}


def _plans(trial: Trial, keys: dict[int, KeyPlan]) -> list[str]:
    """Every key is there, and what can be inline is."""
    found = []
    for number, fn in enumerate(trial.functions):
        key = keys.get(number)
        if key is None:
            found.append(f"signature {number}: no such key")
        elif key.form is not Form.INLINE and ordinary.must_be_inline(fn):
            why = key.refusal.reason if key.refusal else "no reason"
            found.append(f"signature {number}: not inline: {why}")
    return found


def _claims(functions: Sequence[Function], keys: dict[int, KeyPlan]) -> str:
    """What harness.c reads: number, parameter, register, offset, size."""
    lines = []
    for number, key in sorted(keys.items()):
        if key.signature is None:
            continue
        unknown = _unknown(functions[number])
        pieces = [(param, piece) for param, piece in _pieces(key.signature) if param not in unknown]
        lines += [f"{number} {param} {piece.register} {piece.offset} {piece.size}" for param, piece in pieces]
        if key.signature.in_memory:
            lines.append(f"{number} -1 memory 0 0")
    return "".join(f"{line}\n" for line in lines)


def _unknown(fn: Function) -> set[int]:
    """The parameters whose values harness.c does not know: another call's result, the address of a local."""
    if fn.shape is Shape.NESTED:
        return {fn.nested}
    return {n for n, t in enumerate(fn.values) if fn.shape is Shape.GROWN and any_atom(t, "live")}


def _pieces(signature: Signature) -> list[tuple[int, Piece]]:
    found = [(n, piece) for n, value in enumerate(signature.params) for piece in value.pieces]
    if signature.result is not None:
        found += [(-1, piece) for piece in signature.result.pieces]
    return found


def _crashed(line: str) -> bool:
    return line.startswith("exit status -")


def _execute(trial: Trial, source: Path, directory: Path, objects: Sequence[Path], *claims: Path) -> list[str]:
    """What goes wrong with `source` built and run: the instrumented program with claims, or the one as it is."""
    asm, binary = directory / "entries.s", directory / "program"
    asm.write_text(entries.assembly(trial.functions, trial.flags))
    toolchain.run(["gcc-12", "-c", asm, "-o", directory / "entries.o"])
    command: list[str | Path] = [trial.compiler, *WARNINGS, *trial.flags, toolchain.INCLUDE, source]
    command += [directory / "entries.o", *objects, "-pthread", "-o", binary]
    built = toolchain.attempt(command)
    if built.returncode:
        return [f"does not build: {built.stdout}{built.stderr}"]
    done = toolchain.attempt([binary, *claims], ASAN_OPTIONS="detect_leaks=0")
    if done.returncode == 0:
        return []
    told = list(dict.fromkeys(line for line in done.stdout.splitlines() if line.startswith("signature")))
    if done.returncode != 1 or not told:
        told.append(f"exit status {done.returncode}: {done.stderr[-3000:]}")
    return told
