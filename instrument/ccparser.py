# SPDX-License-Identifier: MIT
"""What the launcher's options mean, for its help, the completions and the manual page.

The launcher reads its options itself, since argparse takes as long as a small compile; a test holds the two together.
"""

from __future__ import annotations

import argparse

from instrument import ccwords, launcher
from instrument.arguments import Parser

_EPILOG = """\
The environment variable INSTRUMENT_CC holds options that come before these. What neither says, INSTRUMENT_MODE
and its like or the nearest .instrument.toml or pyproject.toml above the source may say (`instrument config`). Under
another name, as a link in a directory that is first in PATH, the command is the compiler of that name.

Exit status: the compiler's; 1 what --strict found; 2 a wrong call or an internal error.
"""

main = launcher.main


def parser() -> Parser:
    made = Parser(
        prog="instrument cc",
        usage="instrument cc [options] -- compiler [arguments]",
        description="Run one compile with the static calls of its sources made patched calls.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--mode", choices=ccwords.MODES, default=ccwords.MODES[0], help="how calls are made (default: %(default)s)")
    add("--layout", choices=ccwords.LAYOUTS, default=ccwords.LAYOUTS[0], help="the bytes of a call site; bare, for "
        "mode direct, are those that the compiler would have put there (default: %(default)s)")  # fmt: skip
    switch = argparse.BooleanOptionalAction
    add("--strict", action=switch, help="the compile fails if any call is on a lower form than asked")
    add("--fallback", action=switch, help="if instrument itself fails, the calls go by their trampolines, and a line "
        "says so")  # fmt: skip
    add("--isolated", action="store_true", help="read no configuration file")
    add("--log", metavar="FILE", help="append a line, a JSON object, for each compile with static calls")
    add("-v", "--verbose", action="store_true", help="tell what became of each key")
    return made
