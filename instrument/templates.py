# SPDX-License-Identifier: MIT
"""The templates, rendered. An undefined name is an error; C, make and text are as they are, a page is escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from instrument import paths

if TYPE_CHECKING:
    from jinja2.environment import Environment


@cache
def environment() -> Environment:
    # Only where there is something to render; and not all of the package, which is twice as much.
    from jinja2.environment import Environment
    from jinja2.loaders import FileSystemLoader
    from jinja2.runtime import StrictUndefined

    return Environment(
        loader=FileSystemLoader(paths.TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(name: str, **values: object) -> bytes:
    """The template `name` with `values`; paths may hold bytes that are no text."""
    return environment().get_template(name).render(values).encode(errors="surrogateescape")


def page(name: str, **values: object) -> bytes:
    """The HTML template `name` with `values`, which are text that must not become markup."""
    return environment().overlay(autoescape=True).get_template(name).render(values).encode(errors="replace")
