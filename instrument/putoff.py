# SPDX-License-Identifier: MIT
"""Imports of others' modules put off until something in them is used, for who starts once a compile.

What the libraries import for their debuggers, parsers and caches takes as long as the rest of them, and nothing of it
is used here. importlib.util.LazyLoader does this as well, but runs all of a package as soon as a module in it is
imported. Not for a process with several threads.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any


def put_off(*names: str) -> None:
    """Have each of these modules run when something is first asked of it; a package's own modules do not count."""
    for name in names:
        if name not in sys.modules:
            _put_off(name)


def _put_off(name: str) -> None:
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        return
    module, loader = module_from_spec(spec), spec.loader

    def first(attribute: str) -> Any:
        if spec.submodule_search_locations is not None and not attribute.startswith("__"):
            try:
                return import_module(f"{name}.{attribute}")
            except ModuleNotFoundError:
                pass
        if module.__dict__.pop("__getattr__", None):
            loader.exec_module(module)
        return getattr(module, attribute)

    module.__dict__["__getattr__"] = first
    sys.modules[name] = module
