# SPDX-License-Identifier: MIT
"""The parser of every command: an unknown option is told with the one that was meant."""

from __future__ import annotations

import argparse
import os
from typing import Any, NoReturn

from instrument.meant import meant

_UNKNOWN = "unrecognized arguments: "


class Parser(argparse.ArgumentParser):
    """No abbreviations: an option that is added later would make them mean something else."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def flags(self) -> list[str]:
        """All option strings."""
        return [flag for action in self._actions for flag in action.option_strings]

    def error(self, message: str) -> NoReturn:
        if message.startswith(_UNKNOWN):
            word = message.removeprefix(_UNKNOWN).split()[0]
            message = f"unknown option: {word}{meant(word.partition('=')[0], self.flags())}"
            message = message if word.startswith("-") else f"one argument too many: {word}"
        super().error(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            said = f"takes one of {', '.join(known)}, not '{value}'{meant(str(value), known)}"
            raise argparse.ArgumentError(action, said)


def jobs(text: str) -> int:
    """The value of --jobs."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of compilers, which is at least 1")
    return int(text)


def processors() -> int:
    """The default of --jobs."""
    return len(os.sched_getaffinity(0))
