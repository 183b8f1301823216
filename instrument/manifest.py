# SPDX-License-Identifier: MIT
"""The list of files that a run wrote, kept in the output: `static_call/manifest.json`.

It tells an instrumented tree from any other directory, and a file of ours from a user's. Sorted, without
times and without absolute paths, so that equal inputs give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONTROL = "static_call"
"""The directory, below an output tree's root, of everything that is not a copy of an input."""

MANIFEST = f"{CONTROL}/manifest.json"
CENSUS = f"{CONTROL}/census.json"
"""What the run found and decided, for `instrument report`; one of the files that the manifest lists."""

_TOOL = "instrument"
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """`files` maps each path to its content's digest. `version`, `mode` and `layout` say what made them."""

    files: Mapping[str, str]
    version: str
    mode: str
    layout: str

    def render(self) -> bytes:
        value = {
            "tool": _TOOL,
            "schema_version": _SCHEMA,
            "version": self.version,
            "mode": self.mode,
            "layout": self.layout,
            "files": dict(self.files),
        }
        return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def load(tree: Path) -> Manifest | None:
    """The manifest of the instrumented tree `tree`; None if it is no such tree."""
    try:
        value = json.loads((tree / MANIFEST).read_bytes())
        if value["tool"] != _TOOL or value["schema_version"] != _SCHEMA:
            return None
        files = {str(path): str(digest) for path, digest in value["files"].items()}
        return Manifest(files, str(value["version"]), str(value["mode"]), str(value["layout"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
