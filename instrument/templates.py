# SPDX-License-Identifier: MIT
"""The templates, rendered. An undefined name is an error; what is rendered is C or make, so nothing is escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from instrument import paths

if TYPE_CHECKING:
    import jinja2


@cache
def environment() -> jinja2.Environment:
    import jinja2  # 60 ms: only where there is something to render

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(name: str, **values: object) -> bytes:
    """The template `name` with `values`; paths may hold bytes that are no text."""
    return environment().get_template(name).render(values).encode(errors="surrogateescape")
