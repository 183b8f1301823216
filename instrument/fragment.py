# SPDX-License-Identifier: MIT
"""The build fragment of an output tree, `static_call/static_call.mk`."""

from __future__ import annotations

from collections.abc import Iterable

from instrument import depfile, paths
from instrument.manifest import CONTROL

FRAGMENT = f"{CONTROL}/static_call.mk"


def render(sources: Iterable[str]) -> bytes:
    """`sources` are the rewritten .c files, relative to the tree's root."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(paths.TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    names = [depfile.escape(name) for name in sorted(sources) if depfile.speakable(name)]
    return environment.get_template("static_call.mk.j2").render(sources=names).encode(errors="surrogateescape")
