# SPDX-License-Identifier: MIT
"""How a person is told: names that cannot steer a terminal, colours in diagnostics, how far a long run has come.

Colours and the bar go to no file or pipe, unless FORCE_COLOR asks for colours; NO_COLOR and TERM=dumb are honoured.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TextIO, TypeVar

    T = TypeVar("T")

_PATIENCE = 1.0
"""Seconds before a bar is shown."""
_REDRAWN = 0.1
_BAR = 24

_RESET, _BOLD = "\x1b[0m", "\x1b[1m"
_SEVERITIES = {"error": "\x1b[1;31m", "warning": "\x1b[1;35m", "note": "\x1b[1;36m"}
_GREEN = "\x1b[1;32m"


class _State:
    quiet = False


def hush() -> None:
    """Show no bars from now on: --quiet."""
    _State.quiet = True


def moves(stream: TextIO) -> bool:
    """Whether the stream's reader understands more than lines."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def coloured(stream: TextIO) -> bool:
    """Whether colours are wanted there."""
    return not os.environ.get("NO_COLOR") and (moves(stream) or bool(os.environ.get("FORCE_COLOR")))


_TURNING = frozenset(
    "\u061c\u200e\u200f\u2028\u2029" + "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
)


def visible(text: str) -> str:
    """`text` as a terminal may be given it: what moves its cursor, colours it, ends a line or turns the direction of
    writing is spelled out, as in <U+202E>. A tab stays."""
    if text.isprintable():
        return text
    return "".join(f"<U+{ord(c):04X}>" if _steers(c) else c for c in text)


def _steers(c: str) -> bool:
    return c in _TURNING or (c < " " and c != "\t") or "\x7f" <= c <= "\x9f"


def show(lines: Iterable[str]) -> None:
    """Print lines with names in them that came from files, and may be anything, also what has no encoding."""
    written = "\n".join(map(visible, lines)).encode(sys.stdout.encoding, "backslashreplace")
    print(written.decode(sys.stdout.encoding))


def say(text: str) -> None:
    """Print diagnostics, as Finding.render() has them, to standard error."""
    text = "\n".join(map(visible, text.split("\n")))
    print(painted(text) if coloured(sys.stderr) else text, file=sys.stderr)


def painted(text: str) -> str:
    """Diagnostics in colours: place and severity, carets, notes and fixes."""
    return "\n".join(map(_line, text.split("\n")))


def _line(line: str) -> str:
    stripped = line.strip()
    if stripped == "^":
        return line.replace("^", f"{_GREEN}^{_RESET}")
    if stripped.startswith("fix: ") and line.startswith("  "):
        return line.replace("fix:", f"{_GREEN}fix:{_RESET}", 1)
    if line.startswith("  note: "):
        return line.replace("note:", f"{_SEVERITIES['note']}note:{_RESET}", 1)
    if line.startswith("  "):
        return line
    import re  # which a launcher need not have

    found = re.match(r"(.*?:) (error|warning|note):", line)
    if not found:
        return line
    place, severity = found.groups()
    return f"{_BOLD}{place}{_RESET} {_SEVERITIES[severity]}{severity}:{_RESET}{line[found.end() :]}"


def tracked(
    items: Iterable[T], total: int, what: str, now: Callable[[], float] = time.monotonic, stream: TextIO | None = None
) -> Iterator[T]:
    """`items`, of which `total` will come; if that takes longer than a second, a bar on the terminal tells of it."""
    out = stream or sys.stderr
    if total < 2 or _State.quiet or not moves(out):
        yield from items
        return
    shown, next_at = 0, now() + _PATIENCE
    try:
        for count, item in enumerate(items, 1):
            yield item
            if now() >= next_at:
                filled = _BAR * count // total
                line = f"instrument: {what} [{'#' * filled}{'.' * (_BAR - filled)}] {count}/{total}"
                # What is wider than the terminal would begin a line each time.
                line = line[: _columns(out) - 1]
                out.write(f"\r{line}")
                out.flush()
                shown, next_at = len(line), now() + _REDRAWN
    finally:
        if shown:
            out.write("\r" + " " * shown + "\r")
            out.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
