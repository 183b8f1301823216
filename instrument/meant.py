# SPDX-License-Identifier: MIT
"""What a misspelt word was to be. Imports difflib only where there is something to tell."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def meant(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The end of a message about the unknown `word`: the nearest one of `known`, or the only one that begins so.

    Empty if none is near. A `prefix` that all of them have makes none nearer; upper and lower case are the same."""
    from difflib import get_close_matches

    bare = {name.removeprefix(prefix).lower(): name for name in known}
    word = word.removeprefix(prefix).lower()
    longer = [name for name in bare if len(word.strip("-")) > 2 and name.startswith(word)]
    close = longer if len(longer) == 1 else get_close_matches(word, bare, n=1)
    return f"; did you mean {bare[close[0]]}?" if close else ""
