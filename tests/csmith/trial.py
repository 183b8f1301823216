# SPDX-License-Identifier: MIT
"""One seed: csmith's program as it is, converted, and instrumented in both modes; all four must print the same."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.csmith.choice import LEVELS, Choice, choose
from tests.csmith.convert import convert
from tests.csmith.program import Program, parse
from tests.toolchain import COMPILERS, INCLUDE, RUNTIME, attempt, instrument, run

CSMITH_INCLUDE = Path("/usr/include/csmith")
MODES = ("inline-asm", "trampoline")
SANITIZER: tuple[str, ...] = (
    "-O1",
    "-fsanitize=undefined,float-cast-overflow",
    # Members of packed structs are misaligned; x86-64 does not mind.
    "-fno-sanitize=alignment",
    "-fno-sanitize-recover=all",
)
FEWEST_CALLS = 2
"""main's call of func_1 and one more; programs with less are nearly always empty."""
GENERATE_SECONDS = 20
ORIGINAL_SECONDS = 2
CONVERTED_SECONDS = 60
"""Far more than the original may take, so that a slow machine is not a mismatch."""
BUILD_SECONDS = 300


class Status(StrEnum):
    """What came of a seed. Everything but SAME and the mismatches is a skipped program."""

    SAME = "same output"
    MISMATCH = "MISMATCH"
    UNDEFINED = "skipped: without static calls already the output depends on the compiler or a sanitizer objects"
    ENDLESS = "skipped: did not end in time as it is"
    CRASHED = "skipped: failed as it is"
    FEW_CALLS = "skipped: too few calls"
    NOT_GENERATED = "skipped: csmith did not end in time"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a seed. `forms` counts the calls by mode and by form with its reason."""

    seed: int
    status: Status
    choice: Choice
    calls: int = 0
    forms: Counter[tuple[str, str]] = field(default_factory=Counter)
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """What a run left."""

    code: int
    text: str


class Mismatch(Exception):
    """The converted program failed somewhere; the message says where."""


class OtherOutput(Mismatch):
    """It was built and ran, but not as the original does: undefined behaviour in that could be the reason."""


def prepare(directory: Path) -> None:
    """Build the runtime, once by each compiler, for the trials whose own directories lie in this one.

    Fails, with what to do, unless csmith and its headers are here.
    """
    for there, package in ((shutil.which("csmith"), "csmith"), (CSMITH_INCLUDE.is_dir(), "libcsmith-dev")):
        if not there:
            raise FileNotFoundError(f"these tests need Debian's package {package}: apt-get install {package}")
    for compiler in COMPILERS:
        run([compiler, "-std=gnu11", "-O2", INCLUDE, "-c", *RUNTIME, "-o", _runtime(directory, compiler)])


def _runtime(directory: Path, compiler: str) -> Path:
    return directory / f"runtime.{compiler}.o"


def run_trial(seed: int, work: Path) -> Result:
    """Generate, convert, instrument, build, run and compare. `work` is the seed's own directory, made here."""
    choice = choose(seed)
    work.mkdir()
    source = work / "original.c"
    try:
        attempt(["csmith", *choice.csmith, "-o", source], work, GENERATE_SECONDS)
    except subprocess.TimeoutExpired:
        return Result(seed, Status.NOT_GENERATED, choice)
    program = parse(source.read_text())
    if program.calls < FEWEST_CALLS:
        return Result(seed, Status.FEW_CALLS, choice)
    expected = _original(source, choice.compiler, choice.flags, work / "original", ORIGINAL_SECONDS)
    if expected is None:
        return Result(seed, Status.ENDLESS, choice)
    if expected.code:
        return Result(seed, Status.CRASHED, choice, detail=f"exit {expected.code}")
    return _compare(seed, choice, program, expected, work)


def _compare(seed: int, choice: Choice, program: Program, expected: Output, work: Path) -> Result:
    forms: Counter[tuple[str, str]] = Counter()
    try:
        _write(program, choice, work / "src")
        _check_run("plain", expected, _build(choice, work / "src", work / "plain"), choice)
        for mode in MODES:
            forms += _instrumented(mode, choice, program.calls, expected, work)
    except Mismatch as error:
        (work / "mismatch").write_text(f"{error}\n")
        excused = isinstance(error, OtherOutput) and not _defined(work, expected)
        status = Status.UNDEFINED if excused else Status.MISMATCH
        return Result(seed, status, choice, program.calls, forms, str(error))
    return Result(seed, Status.SAME, choice, program.calls, forms)


def _write(program: Program, choice: Choice, directory: Path) -> None:
    directory.mkdir()
    for name, text in convert(program, choice.form).items():
        (directory / name).write_text(text)


def _instrumented(mode: str, choice: Choice, calls: int, expected: Output, work: Path) -> Counter[tuple[str, str]]:
    out = work / mode
    options = ("-o", str(out), "--mode", mode, "--layout", choice.layout, "--json", "-q")
    arguments = ("src", *options, "--", *choice.flags, f"-I{CSMITH_INCLUDE}")
    _note(work, ["python", "-m", "instrument", *arguments], f"CC={choice.compiler} ")
    done = instrument(*arguments, cwd=work, CC=choice.compiler)
    if done.returncode:
        raise Mismatch(f"{mode}: instrument: exit {done.returncode}\n{done.stderr}")
    forms = _forms(mode, done.stdout)
    if sum(forms.values()) != calls:
        raise Mismatch(f"{mode}: {sum(forms.values())} calls rewritten of {calls}")
    _check_run(mode, expected, _build(choice, out, work / f"{mode}.prog"), choice)
    return forms


def _forms(mode: str, report: str) -> Counter[tuple[str, str]]:
    """The rewritten calls by form and reason, with the names of csmith's types folded together."""
    calls = [token for token in json.loads(report)["tokens"] if token["kind"] == "call"]
    return Counter((mode, _form(call)) for call in calls if call["fate"] == "rewritten")


def _form(call: dict[str, object]) -> str:
    keys = call["keys"]
    assert isinstance(keys, dict)
    reason = re.sub(r"argument \d+|\((?:const |volatile )*(struct|union) \w+\)|\d+", r"\1", str(call["reason"] or ""))
    return " ".join([*keys.values(), str(call["code"] or ""), reason]).strip()


def _original(source: Path, compiler: str, flags: Sequence[str], binary: Path, seconds: float) -> Output | None:
    """csmith's program as it is; None if it does not end in time. That it compiles is taken for granted."""
    run([compiler, *flags, f"-I{CSMITH_INCLUDE}", source, "-o", binary, "-lm"], timeout=BUILD_SECONDS)
    try:
        return _output(binary, seconds, "auto")
    except subprocess.TimeoutExpired:
        return None


def _build(choice: Choice, directory: Path, binary: Path) -> Path:
    """Build the C files that lie directly in the directory, with the runtime."""
    flags = (*choice.flags, INCLUDE, f"-I{CSMITH_INCLUDE}")
    sources = map(str, sorted(directory.glob("*.c")))
    runtime = _runtime(binary.parent.parent, choice.compiler)
    command = [choice.compiler, *flags, *sources, str(runtime), "-pthread", "-o", str(binary), "-lm"]
    _note(binary.parent, command)
    done = attempt(command, timeout=BUILD_SECONDS)
    if done.returncode:
        raise Mismatch(f"{binary.name}: does not compile\n{done.stderr}")
    return binary


def _check_run(name: str, expected: Output, binary: Path, choice: Choice) -> None:
    try:
        output = _output(binary, CONVERTED_SECONDS, choice.protocol)
    except subprocess.TimeoutExpired:
        raise OtherOutput(f"{name}: not done after {CONVERTED_SECONDS} s") from None
    if output != expected:
        raise OtherOutput(f"{name}: exit {output.code}, {_last(output)}; as it is: {_last(expected)}")


def _output(binary: Path, seconds: float, protocol: str) -> Output:
    """With the argument 1 the program prints the checksum after every variable: a mismatch says where it began."""
    done = attempt([binary, "1"], binary.parent, seconds, STATIC_CALL_PROTOCOL=protocol)
    return Output(done.returncode, done.stdout)


def _last(output: Output) -> str:
    return output.text.strip().rpartition("\n")[2] or "no output"


def _defined(work: Path, expected: Output) -> bool:
    """Whether csmith's program, without a static call, prints the same from every compiler at every level.

    csmith's programs are meant to be free of undefined behaviour, but not all of them are: with --float some
    convert values that do not fit, which the compilers do differently from one build to the next. gcc's sanitizer
    takes part as one more compiler, which prints nothing once it has found something.
    """
    source = work / "original.c"
    builds = [(compiler, (level,)) for compiler in COMPILERS for level in LEVELS] + [("gcc-12", SANITIZER)]
    for number, (compiler, choice) in enumerate(builds):
        flags = ("-std=gnu11", "-w", *choice)
        if _original(source, compiler, flags, work / f"original.{number}", CONVERTED_SECONDS) != expected:
            return False
    return True


def _note(work: Path, command: Sequence[str], environment: str = "") -> None:
    """Keep the command, for whoever looks into a mismatch."""
    with (work / "commands").open("a") as file:
        file.write(f"{environment}{shlex.join(command)}\n")
