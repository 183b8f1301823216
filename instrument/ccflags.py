# SPDX-License-Identifier: MIT
"""A compiler's flags: which take a word of their own, and which a question must not be asked with.

Knows gcc's and clang's command lines. Must not know what is asked of the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from instrument.ccwords import OUTPUT_WITH_VALUE, options

# What would write files of its own, stop early, hide the line markers, or make a warning an error.
_DROPPED = re.compile(
    r"--|-[cCEHPQSv]|-CC|-o.+|-d[ADHIMNPUapx]+|-time(?:=.*)?|--output=.*|--dump=.*"
    r"|--(?:assemble|comments(?:-in-macros)?|compile|no-line-commands|preprocess|trace-includes|verbose)"
    r"|-M[MDGPV]?|-MMD|-M[FTQJ].+|-dependency-file|--(?:print-missing-file-|(?:write-)?(?:user-)?)dependencies"
    r"|-Wp,(?:.*,)?-M.*|-Wa,(?:.*,)?-(?:[ao]|-?MD).*|--?save-temps.*|-fsyntax-only|--?analyze|-emit-(?:ast|llvm)"
    r"|-f(?:directives-only|preprocessed|pch-preprocess|rewrite-includes)"
    r"|-Werror.*|-?-pedantic-errors|-Wfatal-errors|--?coverage|-ftest-coverage|-f(?:cs-)?profile-.*|-fcoverage-.*"
    r"|-f(?:callgraph-info|deps-|diagnostics-|dump|opt-info|optimization-record|proc-stat-report).*"
    r"|-f(?:save-optimization-record|stack-usage|time-report|time-trace).*"
)
_SEARCH = (
    "-I",
    "-iquote",
    "-isystem",
    "-idirafter",
    "-include",
    "-imacros",
    "--include-directory",
    "--include-directory-after",
    "--include",
    "--imacros",
)
_JOINED = re.compile(
    r"(-I|-i(?:quote|system|dirafter)|--i(?:nclude(?:-directory(?:-after)?)?|macros)=)(.+)", re.DOTALL
)
_PASSED_ON = {"-Xassembler": "-Wa,", "-Xclang": "", "-Xpreprocessor": "-Wp,"}

_WORD = re.compile(r"(?:\\.|'(?:\\.|[^'\\])*+'?|\"(?:\\.|[^\"\\])*+\"?|[^\s'\"\\])+", re.DOTALL)
_PIECE = re.compile(r"'((?:\\.|[^'\\])*+)'?|\"((?:\\.|[^\"\\])*+)\"?|((?:\\.|[^'\"\\])+)", re.DOTALL)
_DEPTH = 20
"""A response file may name itself; gcc gives up as well, only later."""


def quiet(words: Sequence[str], cwd: Path) -> tuple[str, ...]:
    """`words` with response files read, and without what has effects of its own: it only tells of the text."""
    kept: list[str] = []
    passed = ""
    for option in options(expanded(words, cwd)):
        name, value = option[0], option[-1]
        if name in _PASSED_ON:
            # What follows a flag that is passed on may be its value, which is passed on likewise.
            drop = _dropped(value) or _dropped(_PASSED_ON[name] + value) or (name == passed and value[:1] != "-")
        else:
            drop = _dropped(name)
        passed = name if drop else ""
        if not drop:
            kept += option
    return tuple(kept)


def compile_flags(words: Sequence[str], source: Path, directory: Path) -> tuple[str, ...]:
    """`words` without what names the input or an output, and without what stops the compiler early."""
    return tuple(
        word
        for option in options(quiet(words, directory))
        if len(option) > 1 or option[0].startswith("-") or (directory / option[0]).resolve() != source
        for word in option
    )


def expanded(words: Sequence[str], cwd: Path) -> list[str]:
    """`words` with response files read."""
    return list(_expanded(words, cwd, _DEPTH))


def search(option: tuple[str, ...]) -> tuple[str, str] | None:
    """The flag and the path of an option that names where to look for headers, or one to include first."""
    if len(option) > 1:
        return (option[0], option[1]) if option[0] in _SEARCH else None
    joined = _JOINED.fullmatch(option[0])
    return (joined[1], joined[2]) if joined else None


def _dropped(word: str) -> bool:
    return word in OUTPUT_WITH_VALUE or _DROPPED.fullmatch(word) is not None


def _expanded(words: Sequence[str], cwd: Path, depth: int) -> Iterator[str]:
    """`words` with the contents in place of each `@file` that there is, as gcc reads it."""
    for word in words:
        text = _response(cwd / word[1:]) if depth and word.startswith("@") else None
        if text is None:
            yield word
        else:
            yield from _expanded([_unquoted(m[0]) for m in _WORD.finditer(text)], cwd, depth - 1)


def _response(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def _unquoted(word: str) -> str:
    """A backslash takes the next character as it is, in quotes of either kind too."""
    pieces = ("".join(m.groups("")) for m in _PIECE.finditer(word))
    return "".join(re.sub(r"\\(.)", r"\1", piece, flags=re.DOTALL) for piece in pieces)
