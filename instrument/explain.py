# SPDX-License-Identifier: MIT
"""`instrument explain CODE`: what a code in a message means, how it comes about, what to do.

The texts are the files `explanations/CODE.md`: a title, the cause, `## Example`, `## Fix`. An example's blocks of C
are files, its block of shell is what shows the code when it is run among them; the tests run every one.
docs/diagnostics.md is what `--markdown` prints.
"""

from __future__ import annotations

from pathlib import Path

from instrument import SPDX, terminal
from instrument.meant import meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_TEXTS = Path(__file__).resolve().parent / "explanations"
_LICENCE = f"<!-- {SPDX} -->\n"
_INTRODUCTION = """\
# Diagnostics

Written by `instrument explain --markdown`; do not edit. A message ends with its code, and `instrument explain CODE`
prints what is below. Codes below IN020 are errors, those from IN020 on reasons why a call has a lower form or keeps
its text, and those from IN050 on are about binaries and processes. Codes are stable: none is used again for something
else.
"""


def codes() -> list[str]:
    """All codes, in order."""
    return sorted(path.stem for path in _TEXTS.glob("*.md"))


def text(code: str) -> str:
    """The explanation of `code`: Markdown whose first line is `# title`. Raises OSError for an unknown code."""
    return (_TEXTS / f"{code}.md").read_text(encoding="utf-8").removeprefix(_LICENCE)


def title(code: str) -> str | None:
    """The explanation in half a line; None for a code that this version does not know."""
    try:
        return text(code).partition("\n")[0].removeprefix("# ")
    except OSError:
        return None


def body(code: str) -> str:
    """All but the title, as Markdown; empty for an unknown code."""
    try:
        return text(code).partition("\n")[2].strip("\n")
    except OSError:
        return ""


def cause(code: str) -> str:
    """What stands before the example."""
    return body(code).partition("\n## ")[0].strip("\n")


_TEXT_STAYS = {"IN028", "IN030", "IN031", "IN032", "IN034", "IN036", "IN037", "IN039"}


def kind(code: str) -> str:
    """What the code is about, in half a line."""
    if code < "IN020":
        return "an error"
    if code == "IN033":
        return "a call that is not compiled"
    if code in _TEXT_STAYS:
        return "a reason why a call's text stays"
    if code < "IN050":
        return "a reason for a lower form"
    return "about a process" if code == "IN050" else "about a binary"


def shown(code: str) -> str:
    """The explanation as a terminal shows it."""
    lines = []
    for line in body(code).split("\n"):
        fence = line.startswith("```")
        named = line.partition('title="')[2].partition('"')[0] if fence else ""
        if named:
            lines.append(f"{named}:")
        elif not fence:
            lines.append(line.removeprefix("## ") + ":" if line.startswith("## ") else line)
    return f"{code}: {title(code)} ({kind(code)})\n\n" + "\n".join(lines)


def markdown() -> str:
    """All of it as one document."""
    parts = [_LICENCE + _INTRODUCTION]
    for code in codes():
        head, _, rest = text(code).partition("\n")
        parts.append(f"## {code}: {head.removeprefix('# ')}\n" + rest.replace("\n## ", "\n### "))
    return "\n".join(parts)


def parser() -> argparse.ArgumentParser:
    from instrument.arguments import Parser

    made = Parser(
        prog="instrument explain",
        description="Say what a code in a message means: cause, example, what to do. Without a code: list all.",
        epilog="Exit status: 0 fine; 2 an unknown code.",
    )
    made.add_argument("codes", metavar="CODE", nargs="*", help="as in IN022")
    made.add_argument("--markdown", action="store_true", help="all of it as one document")
    return made


def main(words: Sequence[str]) -> int:
    """The command. argparse is only asked where there are options, so that an answer is there at once."""
    wanted = list(words)
    if any(word.startswith("-") for word in words):
        options = parser().parse_args(words)
        if options.markdown:
            print(markdown(), end="")
            return 0
        wanted = options.codes
    # As they stand in messages, too.
    wanted, known = [word.strip("[]").upper() for word in wanted], codes()
    for word in wanted:
        if word not in known:
            # A well-formed one is no slip: the nearest by its letters would be another matter altogether.
            formed = len(word) == len(known[0]) and word[:2] == "IN" and word[2:].isdecimal()
            near = "; `instrument explain` lists all" if formed else meant(word, known, "IN")
            terminal.say(f"instrument: error: no such code: {word}{near}")
            return 2
    if wanted:
        print("\n\n".join(map(shown, wanted)))
    else:
        print("\n".join(f"{code}: {title(code)} ({kind(code)})" for code in known))
    return 0
