# SPDX-License-Identifier: MIT
"""`suggest` over three real packages: what it proposes, and what their own tests say of the ten first proposals.

python -m tests.suggest.run [PACKAGE...]

Each package is built and tested as it is, with the edits and static_call.h alone, and instrumented. Exit status 1 if
fewer of its tests pass with the edits than without.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.suggest.packages import PACKAGES, Flavour, Package, Result
from tests.toolchain import run

_TOP = 10
_INSTRUMENT = str(Path(sys.executable).with_name("instrument"))


def flavours() -> list[Flavour]:
    """With the edits: plain calls through a pointer, then each way of `instrument cc`."""
    flags = tuple(shlex.split(run([_INSTRUMENT, "--cflags"])))
    runtime = tuple(shlex.split(run([_INSTRUMENT, "--libs"])))
    source = (*runtime[:1], *flags, *runtime[1:])
    modes = ("inline-asm", "direct")
    return [
        Flavour("header alone", flags=flags),
        *(Flavour(mode, (_INSTRUMENT, "cc", "--mode", mode, "--", "gcc-12"), flags, source) for mode in modes),
    ]


def _suggest(package: Package, tree: Path, *words: str) -> str:
    sources = [str(tree / source) for source in package.sources]
    command = [_INSTRUMENT, "suggest", *sources, "--whole-program", "--top", str(_TOP), *words]
    return run([*command, "--", *package.flags(tree)], cwd=tree, CC="gcc-12", timeout=600)


def _tried(package: Package, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Result]]:
    original = folder / "original"
    package.prepare(original)
    found = json.loads(_suggest(package, original, "--json"))["candidates"]
    results = {}
    for number, flavour in enumerate([Flavour("as it is"), *flavours()]):
        tree = folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        # With the times of the files: configure's output must not look older than its input.
        shutil.copytree(original, tree, symlinks=True)
        if number:
            _suggest(package, tree, "--apply", "--in-place")
        results[flavour.name] = package.test(tree, flavour)
    return found, results


def _reasons(found: list[dict[str, Any]]) -> list[str]:
    return [f"{c['name']} ({c['path']}:{c['line']}): {c['refusals'][0]['what']}" for c in found if not c["proposed"]]


def _show(package: Package, found: list[dict[str, Any]], results: dict[str, Result]) -> None:
    good = [c for c in found if c["proposed"]]
    print(f"### {package.name}\n")
    print(
        f"{len(found)} pointers called by name, {len(good)} proposed ({sum(bool(c['conditions']) for c in good)} with"
    )
    print(f"conditions), {sum(c['applied'] for c in found)} applied:\n")
    for number, c in enumerate((c for c in found if c["applied"]), 1):
        uses = [use["role"] for use in c["uses"]]
        about = f"called at {uses.count('called')}, assigned at {uses.count('assigned')}"
        print(f"{number}. `{c['name']}`, {about}{', with conditions' if c['conditions'] else ''}")
    print("".join(f"\nnot proposed: {reason}" for reason in _reasons(found)))
    print("\n| its own tests | passed | call sites |\n| --- | --- | --- |")
    for name, result in results.items():
        print(f"| {name} | {result.passed} of {result.total} | {result.sites} |")
    print(flush=True)


def main(names: list[str]) -> int:
    wrong = 0
    for package in PACKAGES:
        if names and package.name not in names:
            continue
        with tempfile.TemporaryDirectory(prefix="suggest-") as folder:
            found, results = _tried(package, Path(folder))
        _show(package, found, results)
        base = results["as it is"]
        wrong += sum(result.passed != base.passed or not result.total for result in results.values())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
