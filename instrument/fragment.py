# SPDX-License-Identifier: MIT
"""The build fragment of an output tree, `static_call/static_call.mk`."""

from __future__ import annotations

from collections.abc import Iterable

from instrument import depfile, templates
from instrument.manifest import CONTROL

FRAGMENT = f"{CONTROL}/static_call.mk"


def render(sources: Iterable[str]) -> bytes:
    """`sources` are the rewritten .c files, relative to the tree's root."""
    names = [depfile.escape(name) for name in sorted(sources) if depfile.speakable(name)]
    return templates.render("static_call.mk.j2", sources=names)
