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


def kind(code: str) -> str:
    """What the codes of this range have in common."""
    return "an error" if code < "IN020" else "a reason for a lower form" if code < "IN050" else "about a binary"


def shown(code: str) -> str:
    """The explanation as a terminal shows it."""
    body = text(code).partition("\n")[2].strip("\n")
    lines = []
    for line in body.split("\n"):
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
        head, _, body = text(code).partition("\n")
        parts.append(f"## {code}: {head.removeprefix('# ')}\n" + body.replace("\n## ", "\n### "))
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
    wanted, known = [word.upper() for word in wanted], codes()
    for word in wanted:
        if word not in known:
            terminal.say(f"instrument: error: no such code: {word}{meant(word, known, 'IN')}")
            return 2
    if wanted:
        print("\n\n".join(map(shown, wanted)))
    else:
        print("\n".join(f"{code}: {title(code)} ({kind(code)})" for code in known))
    return 0
