# SPDX-License-Identifier: MIT
"""The recorded edit that turns xxHash's dispatch table into static calls.

    python edit.py XXHASH_SOURCE OUT static     the table becomes keys, its calls become static calls
    python edit.py XXHASH_SOURCE OUT pointer    the code as it is
    python edit.py XXHASH_SOURCE OUT avx2       hard-wired: calls go straight to one implementation

OUT is a flat directory of C files; keys.h or table.h joins the dispatcher, so that the driver can choose the
implementation. The edit is a list of patterns, each with the number of places it must
match: another release of xxHash makes it fail rather than do half of the work.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
DISPATCHER = "xxh_x86dispatch.c"


@dataclass(frozen=True)
class Edit:
    pattern: str
    replacement: str
    count: int


STATIC = (
    # The two tables that hold the chosen pointers become keys.
    Edit(r"static XXH_dispatchFunctions_s XXH_g_dispatch = .*;", "", 1),
    Edit(r"static XXH_dispatch128Functions_s XXH_g_dispatch128 = .*;", '#include "keys.h"', 1),
    # Choosing an implementation updates the keys.
    Edit(r"XXH_g_dispatch = XXH_kDispatch\[vecID\];", "if (xxh_choose(vecID)) abort();", 1),
    Edit(r"XXH_g_dispatch128 = XXH_kDispatch128\[vecID\];", "", 1),
    # The keys' first targets do that when it is needed: no constructor, and no test for NULL at each call.
    Edit(r"static XXH_CONSTRUCTOR void XXH_setDispatch", "static void XXH_setDispatch", 1),
    Edit(r"if \(XXH_DISPATCH_MAYBE_NULL && [^\n]*\n\s*XXH_setDispatch\(\);", "", 8),
    # The calls.
    Edit(r"XXH_g_dispatch(128)?\.(\w+)\(", r"static_call(xxh\1_\2)(", 8),
)


def hard_wired(implementation: str) -> tuple[Edit, ...]:
    return (
        Edit(r"XXH_g_dispatch(?:128)?\.hashLong(64|128)_(\w+)\(", rf"XXHL\1_\2_{implementation}(", 6),
        Edit(r"XXH_g_dispatch(?:128)?\.update\(", f"XXH3_update_{implementation}(", 2),
    )


def apply(text: str, edits: tuple[Edit, ...]) -> str:
    for edit in edits:
        text, count = re.subn(edit.pattern, edit.replacement, text)
        if count != edit.count:
            raise ValueError(f"{edit.pattern!r} matches {count} times, not {edit.count}: is this the pinned release?")
    return text


def write_variant(source: Path, out: Path, variant: str) -> None:
    """Copies what a build needs from the unpacked source archive to `out`, edited, with our own files."""
    out.mkdir(parents=True, exist_ok=True)
    for file in [*(source / "deps/xxhash").glob("*.[ch]"), source / "src/_xxhash.c", *HERE.glob("*.[ch]")]:
        shutil.copyfile(file, out / file.name)
    edits = {"static": STATIC, "pointer": ()}.get(variant)
    text = apply((out / DISPATCHER).read_text(), hard_wired(variant) if edits is None else edits)
    (out / DISPATCHER).write_text(text if variant == "static" else f'{text}\n#include "table.h"\n')


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    write_variant(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
