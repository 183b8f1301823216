# SPDX-License-Identifier: MIT
"""Every command in one table, from which the command line, the completions and the manual pages are made.

Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from instrument.arguments import Parser


class Command(namedtuple("Command", "summary module main parser cleans")):
    """`summary: str`, half a line; `module: str` has the functions `main: str`, of the words behind the command's
    name to the exit status, and `parser: str`; `cleans: bool`: whether it cleans up when a signal stops it."""

    __slots__ = ()

    def run(self) -> Callable[[Sequence[str]], int]:
        """What carries the command out."""
        return self._named(self.main)  # type: ignore[no-any-return]

    def options(self) -> Parser:
        """The command's parser."""
        return self._named(self.parser)()  # type: ignore[no-any-return]

    def _named(self, name: str):  # type: ignore[no-untyped-def]
        from importlib import import_module

        return getattr(import_module(self.module), name)


RUN = Command("make a copy of sources with patched calls", "instrument.options", "", "parser", True)
"""`instrument SRC... -o OUT`, which has no name of its own."""

COMMANDS = {
    "cc": Command("run a compiler, patch its sources' static calls", "instrument.ccparser", "main", "parser", True),
    "completions": Command("print a shell's completions", "instrument.completions", "main", "parser", False),
    "config": Command("show the settings and where each comes from", "instrument.config", "main", "parser", False),
    "doctor": Command("check compilers, kernel and environment", "instrument.doctor", "main", "parser", False),
    "explain": Command("say what a code in a message means", "instrument.explain", "main", "parser", False),
    "inspect": Command("show the call sites of binaries", "instrument.inspect", "main", "parser", False),
    "ps": Command("show what a live process calls", "instrument.ps", "main", "parser", False),
    "report": Command("tell what a run has made of calls", "instrument.reporting.command", "main", "parser", False),
    "suggest": Command("find function pointers that could be static calls", "instrument.suggest.command", "main",
                       "parser", True),
    "trace": Command("print a live process's updates", "instrument.trace", "main", "parser", False),
}  # fmt: skip
