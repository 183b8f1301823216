# SPDX-License-Identifier: MIT
"""What a misspelt word was to be. Imports difflib only where there is something to tell."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a message about the unknown `word`: the nearest one of `known`; empty if none is near."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
