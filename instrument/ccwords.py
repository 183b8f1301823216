# SPDX-License-Identifier: MIT
"""A compiler's command line, taken apart as far as a launcher must know it.

Knows which flags of gcc and clang take a word of their own and which decide what is made of which input. Must not
know what is done with a call. Imports next to nothing: it is read before every compile.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAUNCHERS = frozenset({"ccache", "distcc", "icecc", "instrument-cc", "sccache"})
"""What may stand before a compiler. The remote ones run it where our files are not."""
REMOTE = frozenset({"distcc", "icecc"})

MODES = ("inline-asm", "trampoline", "direct")
LAYOUTS = ("aligned", "compact", "bare")

LAUNCHER_WITH_VALUE = ("--mode", "--layout", "--log")
"""Our own launcher's options that take a value."""

WITH_VALUE = frozenset({
    "-A", "-B", "-D", "-I", "-L", "-T", "-U", "-arch", "-idirafter", "-imacros", "-imultilib", "-include",
    "-include-pch", "-iprefix", "-iquote", "-isysroot", "-isystem", "-iwithprefix", "-iwithprefixbefore", "-l",
    "-mllvm", "-target", "-u", "-wrapper", "-x", "-z", "-Xassembler", "-Xclang", "-Xlinker", "-Xpreprocessor",
    "--define-macro", "--imacros", "--include", "--include-directory", "--include-directory-after",
    "--include-prefix", "--language", "--param", "--sysroot", "--undefine-macro",
})  # fmt: skip

OUTPUT_WITH_VALUE = frozenset({
    "-MF", "-MJ", "-MQ", "-MT", "-aux-info", "-dumpbase", "-dumpbase-ext", "-dumpdir", "-index-store-path", "-o",
    "-serialize-diagnostics", "--output", "--serialize-diagnostics",
})  # fmt: skip
"""What names an output, and has no bearing on what the text means."""

_SEARCH = ("-I", "-iquote", "-isystem", "-idirafter", "-include", "-imacros")

# What a run ends with, the first to be found of these, and the flags that say so.
_STAGES = (
    ("-E", frozenset({"-E", "--preprocess", "-M", "-MM", "--dependencies", "--user-dependencies"})),
    ("-fsyntax-only", frozenset({"-fsyntax-only", "--analyze", "-emit-ast", "-emit-llvm"})),
    ("-S", frozenset({"-S", "--assemble"})),
    ("-c", frozenset({"-c", "--compile"})),
)

# What writes files; and gcc puts macros out with -g3 and -d.
_UNPREPROCESSED = ("-M", "-Wp,-M", "-save-temps", "--save-temps", "-o", "--output=", "-g", "-d")


class Call:
    """One call of a compiler.

    `before` are launchers that stand before it, `compiler` its name, `words` what follows, as it was given;
    `expanded` are the same with response files read.
    `sources` are the inputs in C, "-" for standard input; `preprocessed` those that have been preprocessed; `headers`
    those to be precompiled; `others` are the inputs in other languages, objects among them.
    `stage` is what the run ends with: -E, -S, -c, -fsyntax-only for nothing at all, or "" for a linked program.
    `output` is the word behind -o, `search` the flags that name directories and files to include, with their values,
    `reaches` what reach.py has answered.
    """

    __slots__ = (
        "before", "compiler", "expanded", "headers", "others", "output", "preprocessed", "reaches", "search",
        "sources", "stage", "words",
    )  # fmt: skip

    def __init__(self, command: Sequence[str]) -> None:
        start = compiler_at(command)
        self.before = list(command[:start])
        self.compiler = command[start]
        self.words = list(command[start + 1 :])
        self.sources: list[str] = []
        self.preprocessed: list[str] = []
        self.headers: list[str] = []
        self.others: list[str] = []
        self.search: list[tuple[str, str]] = []
        self.output: str | None = None
        self.reaches: bool | None = None
        self.stage = ""
        self.expanded = expanded(self.words)
        self._read()

    def name(self) -> str:
        """The compiler's base name."""
        return self.compiler.rpartition("/")[2]

    def is_remote(self) -> bool:
        """Whether the compiler may run on a machine that does not have our files."""
        return any(word.rpartition("/")[2] in REMOTE for word in self.before)

    def has(self, prefix: str) -> bool:
        """Whether any word begins so."""
        return any(word.startswith(prefix) for word in self.expanded)

    def preprocessing(self) -> list[str]:
        """The words that put the sources out preprocessed, on standard output, and write nothing."""
        kept = (
            word
            for option in options(self.expanded)
            if option[0] not in OUTPUT_WITH_VALUE and not option[0].startswith(_UNPREPROCESSED)
            for word in option
            if word not in ("-c", "-S")
        )
        return [*kept, "-E", "-w", "-P"]

    def without_output(self) -> list[str]:
        """The words but for those that name the output."""
        return [word for option in options(self.expanded) if _output(option) is None for word in option]

    def has_any(self, flags: Sequence[str]) -> bool:
        """Whether one of `flags` is among the words."""
        return not set(flags).isdisjoint(self.expanded)

    def _read(self) -> None:
        language, seen = "", set()
        for option in options(self.expanded):
            word, value = option[0], option[1] if len(option) > 1 else None
            output = _output(option)
            if word in ("-x", "--language") or (value is None and word.startswith("-x") and word[2:3].islower()):
                language = word[2:] if value is None else value
            elif output is not None:
                self.output = output
            elif word == "-" or not word.startswith("-"):
                self._input(word, "" if language == "none" else language)
            else:
                seen.add(word)
                self._directory(word, value)
        self.stage = next((stage for stage, flags in _STAGES if not flags.isdisjoint(seen)), "")

    def _input(self, word: str, language: str) -> None:
        suffix = word.rpartition(".")[2] if "." in word else ""
        if language == "c" or (not language and suffix == "c"):
            self.sources.append(word)
        elif language == "cpp-output" or (not language and suffix == "i"):
            self.preprocessed.append(word)
        elif language == "c-header" or (not language and suffix == "h"):
            self.headers.append(word)
        else:
            self.others.append(word)

    def _directory(self, word: str, value: str | None) -> None:
        for flag in _SEARCH:
            if word == flag and value is not None:
                self.search.append((flag, value))
            elif value is None and word.startswith(flag) and word != flag:
                self.search.append((flag, word[len(flag) :]))
            else:
                continue
            return


def options(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words, those that belong together together: a flag with the word that is its value."""
    rest = iter(words)
    for word in rest:
        value = next(rest, None) if word in WITH_VALUE or word in OUTPUT_WITH_VALUE else None
        yield (word,) if value is None else (word, value)


def _output(option: tuple[str, ...]) -> str | None:
    """What the option names as the output."""
    if len(option) > 1:
        return option[1] if option[0] in ("-o", "--output") else None
    if option[0].startswith("--output="):
        return option[0][len("--output=") :]
    return option[0][2:] if option[0].startswith("-o") and not option[0].startswith(("-objc", "-object")) else None


def compiler_at(command: Sequence[str]) -> int:
    """Where the compiler stands behind launchers and their settings: `ccache compiler_check=content gcc -O2`,
    `instrument cc --mode direct -- gcc -O2`."""
    at = 0
    while at + 1 < len(command):
        name = command[at].rpartition("/")[2]
        if name == "instrument" and command[at + 1] == "cc":
            at = _behind_options(command, at + 2)
        elif name in LAUNCHERS:
            at += 1
            while at + 1 < len(command) and "=" in command[at] and not command[at].startswith("-"):
                at += 1
        else:
            break
    return at


def _behind_options(command: Sequence[str], at: int) -> int:
    """Where our launcher's options, which begin at `at`, end."""
    while at + 1 < len(command) and command[at].startswith("-"):
        if command[at] == "--":
            return at + 1
        at += 2 if command[at] in LAUNCHER_WITH_VALUE else 1
    return at


def expanded(words: Sequence[str]) -> Sequence[str]:
    """`words` with the contents of response files: for reading only, what is run keeps the files' names, since a
    command line may be too long without them (ccache #95 and #390)."""
    if not any(word.startswith("@") for word in words):
        return words
    from pathlib import Path

    from instrument import ccflags

    return ccflags.expanded(words, Path.cwd())
