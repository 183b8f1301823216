# SPDX-License-Identifier: MIT
"""`instrument completions SHELL`: what the shell needs to complete our words, made from the parsers of the commands.

Written here, not by shtab: that takes its commands from argparse's subparsers, of which there are none, since
they would all be imported for every one of them.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from instrument import SPDX, explain
from instrument.arguments import Parser
from instrument.commands import COMMANDS, RUN

_DIRECTORIES = frozenset({"OUT", "DIR", "BUILD_DIR"})
_PLAIN = frozenset({"N", "NAME", "KEY", "SECONDS", "GLOB", "PID"})
"""The values that are no files."""


@dataclass(frozen=True, slots=True)
class Option:
    """`kind` is that of the option's value: "none", "words" (of `words`), "files", "directories" or "any"."""

    flags: tuple[str, ...]
    help: str
    kind: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A command, for completions: its options, and what stands between them. The run's own has the name ""."""

    name: str
    summary: str
    options: tuple[Option, ...]
    words: tuple[str, ...]


def parser() -> Parser:
    made = Parser(
        prog="instrument completions",
        description="Print what a shell completes instrument's words with.",
        epilog="""\
bash: instrument completions bash >~/.local/share/bash-completion/completions/instrument
zsh:  instrument completions zsh >DIR/_instrument, DIR being one of $fpath
fish: instrument completions fish >~/.config/fish/completions/instrument.fish
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("shell", metavar="SHELL", choices=tuple(_SHELLS), help="bash, zsh or fish")
    return made


def main(words: Sequence[str]) -> int:
    print("\n".join(_SHELLS[parser().parse_args(words).shell](described())))
    return 0


def described() -> list[Described]:
    """All commands, the run first."""
    found = []
    for name, command in (("", RUN), *COMMANDS.items()):
        actions = command.options()._actions
        options = tuple(_option(action) for action in actions if action.option_strings)
        words = [str(word) for action in actions if not action.option_strings for word in action.choices or ()]
        found.append(Described(name, command.summary, options, tuple(words or _WORDS.get(name, tuple)())))
    return found


def _option(action: argparse.Action) -> Option:
    flags, told = tuple(action.option_strings), _help(action)
    if action.nargs == 0:
        return Option(flags, told, "none")
    if action.choices:
        return Option(flags, told, "words", tuple(str(choice) for choice in action.choices))
    metavar = str(action.metavar)
    kind = "directories" if metavar in _DIRECTORIES else "any" if metavar in _PLAIN else "files"
    return Option(flags, told, kind)


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return text.partition(" (default")[0]


def _codes() -> tuple[str, ...]:
    return tuple(explain.codes())


_WORDS: dict[str, Callable[[], tuple[str, ...]]] = {"explain": _codes}

# ---- bash -----------------------------------------------------------------------------------------

_BASH_DIRECTORIES = 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur")'
"""A name with a blank is one, and a slash follows it. (compopt is for bash's own call alone.)"""


def _bash(commands: Sequence[Described]) -> Iterator[str]:
    names = " ".join(command.name for command in commands if command.name)
    yield f"# {SPDX}"
    yield "_instrument() {"
    yield "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word flags= words="
    yield "    COMPREPLY=()"
    # bash takes --mode=direct for three words.
    yield "    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi"
    # What stands behind -- belongs to the compiler, whose name cc wants: files, as bash does by itself.
    yield '    [[ "${COMP_WORDS[1]} $prev" == "cc --" ]] && { COMPREPLY=($(compgen -c -- "$cur")); return; }'
    yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $word == -- ]] && return; done'
    yield "    if ((COMP_CWORD > 1)); then"
    yield f"        case ${{COMP_WORDS[1]}} in {names.replace(' ', '|')}) command=${{COMP_WORDS[1]}};; esac"
    yield "    fi"
    yield "    case $command:$prev in"
    for command in commands:
        for option in command.options:
            patterns = "|".join(f"{command.name}:{flag}" for flag in option.flags)
            if option.kind == "words":
                wanted = f"-W '{' '.join(option.words)}'"
                yield f'        {patterns}) COMPREPLY=($(compgen {wanted} -- "$cur")); return;;'
            elif option.kind == "directories":
                yield f"        {patterns}) {_BASH_DIRECTORIES}; return;;"
            elif option.kind != "none":
                yield f"        {patterns}) return;;"
    yield "    esac"
    yield "    case $command in"
    for command in commands:
        flags = " ".join(flag for option in command.options for flag in option.flags)
        yield f"        '{command.name}') flags='{flags}' words='{' '.join(command.words)}';;"
    yield "    esac"
    yield f"    ((COMP_CWORD == 1)) && words='{names}'"
    yield "    if [[ $cur == -* ]]; then words=$flags; fi"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$cur"))'
    yield "}"
    yield "complete -o bashdefault -o default -F _instrument instrument"


# ---- zsh ------------------------------------------------------------------------------------------


def _zsh(commands: Sequence[Described]) -> Iterator[str]:
    yield "#compdef instrument"
    yield f"# {SPDX}"
    for command in commands:
        yield f"_instrument_{command.name or 'run'}() {{"
        yield "    _arguments -S \\"
        for option in command.options:
            yield from (f"        {shlex.quote(spec)} \\" for spec in _zsh_option(option))
        rest = f"*:word:({' '.join(command.words)})" if command.words else "*:file:_files"
        rest = "*:::compiler:_normal" if command.name == "cc" else rest
        yield f"        {shlex.quote(rest)}"
        yield "}"
    yield "_instrument() {"
    yield "    local -a commands=("
    for command in commands:
        if command.name:
            yield f"        {shlex.quote(f'{command.name}:{command.summary}')}"
    yield "    )"
    yield "    if ((CURRENT == 2)) && [[ $PREFIX != -* ]]; then"
    yield "        _describe command commands"
    yield "        _files"
    yield "        return"
    yield "    fi"
    yield "    if ((CURRENT > 2 && $+functions[_instrument_${words[2]}])); then"
    yield "        local name=${words[2]}"
    yield "        shift words"
    yield "        ((CURRENT--))"
    yield '        "_instrument_$name"'
    yield "    else"
    yield "        _instrument_run"
    yield "    fi"
    yield "}"
    yield 'if [[ $funcstack[1] == _instrument ]]; then _instrument "$@"; else compdef _instrument instrument; fi'


def _zsh_option(option: Option) -> Iterator[str]:
    told = option.help.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    value = {
        "none": "",
        "words": f":value:({' '.join(option.words)})",
        "files": ":file:_files",
        "directories": ":directory:_files -/",
        "any": ":value: ",
    }[option.kind]
    for flag in option.flags:
        yield f"*{flag}{'=' if value and flag.startswith('--') else ''}[{told}]{value}"


# ---- fish -----------------------------------------------------------------------------------------


def _fish(commands: Sequence[Described]) -> Iterator[str]:
    names = " ".join(command.name for command in commands if command.name)
    yield f"# {SPDX}"
    for command in commands:
        if command.name:
            first = "complete -c instrument -n '__fish_is_nth_token 1'"
            yield f"{first} -a {command.name} -d {_fish_word(command.summary)}"
    for command in commands:
        seen = f"__fish_seen_subcommand_from {command.name or names}"
        when = f"-n '{seen}'" if command.name else f"-n 'not {seen}'"
        for option in command.options:
            spelt = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.flags)
            value = {
                "none": "",
                "words": f" -x -a '{' '.join(option.words)}'",
                "files": " -r -F",
                "directories": " -x -a '(__fish_complete_directories)'",
                "any": " -x",
            }[option.kind]
            yield f"complete -c instrument {when} {spelt}{value} -d {_fish_word(option.help)}"
        if command.words:
            yield f"complete -c instrument {when} -f -a '{' '.join(command.words)}'"


def _fish_word(text: str) -> str:
    """In quotes, in which fish knows two escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
