# SPDX-License-Identifier: MIT
"""Preprocessed text without what comes from system headers: most of it, and nothing there is for us.

Knows line marks and byte spans; must not know C.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from instrument.markers import Mark
from instrument.model import Edit, Unit
from instrument.shadow import SITE, Shadow
from instrument.value import dataclass

_FOLD = b"\n#instrument "
_KEY = b"__SCK__"


@dataclass(frozen=True, slots=True)
class Folded:
    """Preprocessed text in which a directive of our own stands for each part that is hidden."""

    text: bytes
    hidden: Sequence[bytes]

    def unfold(self, text: bytes) -> bytes:
        """`text`, made from the folded one, with the hidden parts back in their places."""
        head, *parts = text.split(_FOLD)
        pairs = (part.partition(b"\n") for part in parts)
        return head + b"".join(self.hidden[int(number)] + rest for number, _, rest in pairs)


def fold(unit: Unit, tree: Shadow, text: bytes, marks: Sequence[Mark]) -> Folded:
    """`text` without what is in system headers: most of it, and to lex it would take most of the time."""
    foreign = {path for path in {m.path for m in marks if m.system} if not tree.inside(path, unit.cwd)}
    parts: list[bytes] = [text[: marks[0].start] if marks else text]
    hidden: list[bytes] = []
    for mark, end in zip(marks, [*(m.start for m in marks[1:]), len(text)], strict=True):
        part = text[mark.start : end]
        # A macro of the tree can be expanded in a system header, if hardly. Where -isystem leads to static_call.h,
        # what its macros expand to is a system header's text, in a file that need not lie in the tree.
        if mark.system and mark.path in foreign and SITE.encode() not in part and _KEY not in part:
            parts.append(b"%b%d\n" % (_FOLD, len(hidden)))
            hidden.append(part)
        else:
            parts.append(part)
    return Folded(b"".join(parts), hidden)


def replaced(text: bytes, edits: Iterable[Edit]) -> bytes:
    """`text` with the edits made; of two that overlap the outer, which comes first, counts."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda e: (e.span.start, -e.span.end)):
        if edit.span.start >= at:
            parts += [text[at : edit.span.start], edit.text]
            at = edit.span.end
    return b"".join((*parts, text[at:]))
