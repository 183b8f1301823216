# SPDX-License-Identifier: MIT
"""The stand-in for the assembler: prepares the compiler's calls in the text, then runs the real one.

A compiler that has been told of it by -B runs it as `as`, with the arguments that are the real one's. That
leaves to the compiler's own driver what it does best: several sources, -pipe, -save-temps, split debug
information, the link, and the code that link-time optimisation makes there.

Run as `python -I -S standin.py SETTINGS -- arguments`, SETTINGS being what assembler.py has written there.
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from instrument.process import put_on_stdin, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.assembly import Left

_REASON = b'\t.pushsection .static_call_reasons, "MS", @progbits, 1\n\t.asciz "%b"\n\t.popsection\n'
_WITH_VALUE = frozenset({"-o", "-I", "--defsym", "-MD", "--MD", "--debug-prefix-map"})


def main(words: Sequence[str]) -> int:
    """Prepare the input that `words` name, and assemble it. The exit status is the assembler's, or 1 for --strict."""
    kind, real, layout, strict, verbose, *arguments = words
    name, output = _files(arguments)
    read = _read(name)
    text = _in_one_syntax(read) if kind == "clang" else read
    prepared = prepare(text, layout, strict == "strict", verbose == "verbose")
    if prepared is None:
        return 1
    if prepared is not read or name is None:
        _write(name, prepared)
    return assemble(real, arguments if kind == "as" else _for_clang(arguments, name), output)


def prepare(text: bytes, layout: str, strict: bool, verbose: bool) -> bytes | None:
    """The text with its calls prepared; None if `strict` and some cannot be. Tells of those on stderr."""
    # Most files of a program have none, and need no expressions then, which take 12 ms to import.
    if b"__SCT__" not in text:
        return text
    from instrument import assembly

    prepared = assembly.prepare(text, layout)
    if verbose:
        told = "its code is made when it is linked" if prepared.lto else f"{len(prepared.sites)} call sites prepared"
        print(f"instrument: {told}, {len(prepared.left)} left", file=sys.stderr)
    for left in prepared.left if strict or verbose else ():
        severity = "error" if strict else "note"
        print(f"instrument: {severity}: '{left.key}': {assembly.WORDS[left.why]} [IN040]", file=sys.stderr)
    return None if strict and prepared.left else prepared.text + _reasons(prepared.left)


def _reasons(left: Sequence[Left]) -> bytes:
    """For `instrument inspect`, as the generated header has them in the other modes; the linker makes one of each."""
    found = sorted({f"{reason.key} IN040:{reason.why.value}" for reason in left})
    return b"".join(_REASON % reason.encode("utf-8", "surrogateescape") for reason in found)


def prepare_file(name: str, layout: str, strict: bool, verbose: bool, to_stdout: bool) -> bool:
    """Prepare the assembly in the file `name`, or put it out; False, and no file, if `strict` finds fault."""
    text = prepare(_read(name), layout, strict, verbose)
    if to_stdout:
        sys.stdout.buffer.write(text or b"")
    elif text is None:
        os.unlink(name)
    elif name != os.devnull:
        with open(f"{name}.{os.getpid()}.part", "wb") as file:
            file.write(text)
        os.replace(file.name, name)
    return text is not None


def assemble(real: str, arguments: list[str], output: str | None) -> int:
    """Run the assembler `real` so that `output` is there whole or not at all: GNU as writes it in place, and who is
    killed meanwhile leaves an object that is newer than its source."""
    if output is None or (os.path.lexists(output) and (os.path.islink(output) or not os.path.isfile(output))):
        return spawn([real, *arguments])
    partial = f"{output}.{os.getpid()}.part"
    at = arguments.index("-o") + 1
    try:
        status = spawn([real, *arguments[:at], partial, *arguments[at + 1 :]])
        if status == 0:
            os.replace(partial, output)
        return status
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def _in_one_syntax(text: bytes) -> bytes:
    """With -masm=intel clang 14 to 19 go over to the other syntax behind an asm in a function, if it is not they
    who assemble the text, and cannot read it themselves then."""
    if b"\t.intel_syntax noprefix\n" not in text[:256]:
        return text
    return text.replace(b"\t.att_syntax\n\t#NO_APP\n", b"\t.intel_syntax noprefix\n\t#NO_APP\n")


def _for_clang(arguments: list[str], name: str | None) -> list[str]:
    """What GNU as is told, for clang as the assembler. Debug information is in the text already."""
    output = arguments[arguments.index("-o") + 1]
    flags: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, "")
        elif word.startswith("-") and word not in ("-", "--64") and not word.startswith("-g"):
            flags.append(f"-Wa,{word}")
    return ["-c", "-x", "assembler", *flags, "-o", output, name or "-"]


def _files(arguments: Sequence[str]) -> tuple[str | None, str | None]:
    """The input, None for standard input, and the output."""
    name = output = None
    rest = iter(arguments)
    for word in rest:
        value = next(rest, "") if word in _WITH_VALUE else None
        if word == "-o":
            output = value
        elif value is None and not word.startswith("-"):
            name = word
    return name, output


def _read(name: str | None) -> bytes:
    if name is None:
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:
        return file.read()


def _write(name: str | None, text: bytes) -> None:
    """The compiler's own temporary file takes the prepared text: with -save-temps that is the one the user sees."""
    if name is not None:
        with open(name, "wb") as file:
            file.write(text)
        return
    put_on_stdin(text)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
