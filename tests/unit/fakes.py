# SPDX-License-Identifier: MIT
"""Small stand-ins for the steps between reading and writing, so that what is around them is tested alone.

`static_call(k)` is a call in the fake language, `#include "static_call.h"` the fake API. The key `slow` is
variadic. Run as a script, it is the `instrument` command with these steps and the C runtime in its first word.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from instrument.diagnostics import Finding
from instrument.model import (
    Api,
    Fate,
    Form,
    Include,
    Key,
    KeyPlan,
    Layout,
    Mode,
    Place,
    Refusal,
    Resolution,
    Scanned,
    SitePlan,
    Span,
    Token,
    Unit,
    Use,
)

_CALL = re.compile(rb"\b(static_call|DECLARE_STATIC_CALL)\((\w+)[^)]*\)(\()?")
_HEADER = re.compile(rb'#include ("static_call.h")')
VARIADIC = Refusal("IN022", "the function is variadic")


MAIN = '#include "static_call.h"\n#include "ops.h"\nint main(void) { return static_call(go)(ZERO); }\n'
OPS = '#include "ops.h"\nint go(int x) { return x; }\n'
HEADER = "#define ZERO 0\nint go(int);\n"
PROJECT = {"main.c": MAIN, "ops.c": OPS, "ops.h": HEADER}


def token(path: str, data: bytes, match: re.Match[bytes]) -> Token:
    line = data.count(b"\n", 0, match.start()) + 1
    column = match.start() - data.rfind(b"\n", 0, match.start())
    return Token(
        api=Api(match[1].decode()),
        place=Place(path, line, column),
        name=Span(*match.span(1)),
        parens=Span(match.end(1), match.end() - bool(match[3])),
        key=match[2].decode(),
        key_span=Span(*match.span(2)),
        rest=None,
        called=match[3] is not None,
        macro=None,
        directive=None,
    )


def scan(data: bytes, path: str = "") -> Scanned:
    tokens = tuple(token(path, data, match) for match in _CALL.finditer(data))
    spans = (Span(*match.span(1)) for match in _HEADER.finditer(data))
    includes = tuple(Include(Place(path, 1, 1), span, "static_call.h") for span in spans)
    return Scanned(tokens, includes)


def resolve(
    root: Path,
    files: Sequence[str],
    scanned: Mapping[str, Scanned],
    contents: Mapping[str, bytes],
    units: Sequence[Unit],
    include_dir: Path,
    jobs: int,
    links: Mapping[str, str],
    ups: int,
    folders: Iterable[str],
) -> Any:
    bad = {path: token for path, found in scanned.items() for token in found.tokens if token.key == "bad"}
    findings = (Finding("IN002", "bad is not declared", Place(path, bad[path].place.line, 1)) for path in sorted(bad))
    if any(token.key == "crash" for found in scanned.values() for token in found.tokens):
        raise RuntimeError("a bug\nof ours")
    resolution = Resolution(reached=frozenset(str(unit.source.relative_to(root)) for unit in units))
    return SimpleNamespace(
        resolution=resolution, findings=tuple(findings), failed=frozenset(bad), outside=frozenset()
    )


def plan(
    scanned: Mapping[str, Scanned], contents: Mapping[str, bytes], resolution: Resolution, mode: Mode, *_: object
) -> Any:
    sites = {path: tuple(_site(t, mode) for t in found.tokens if t.is_call) for path, found in scanned.items()}
    names = sorted({site.token.key for plans in sites.values() for site in plans})
    keys = tuple(KeyPlan(Key(name, None), *_form(name, mode)) for name in names)
    return SimpleNamespace(keys=keys, sites=sites)


def _form(key: str, mode: Mode) -> tuple[Form, None, Refusal | None]:
    if mode is Mode.TRAMPOLINE or key == "slow":
        return Form.TRAMPOLINE, None, VARIADIC if key == "slow" else None
    return Form.INLINE, None, None


def _site(call: Token, mode: Mode) -> SitePlan:
    form, _, refusal = _form(call.key, mode)
    assert call.parens is not None
    span = Span(call.name.start, call.parens.end)
    return SitePlan(call, Use((call.key,)), Fate.REWRITTEN, (form,), refusal, span=span, text=f"fake_{call.key}")


def rewrite(data: bytes, scanned: Scanned, sites: Sequence[SitePlan], folder: str) -> bytes:
    edits = [(site.span, site.text) for site in sites if site.span]
    edits += [(include.header, f'"{folder}/{include.name}"') for include in scanned.includes]
    for span, text in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
        data = data[: span.start] + text.encode() + data[span.end :]
    return data


def headers(planned: Any, mode: Mode, layout: Layout, included: Any) -> dict[str, bytes]:
    lines = [f"/* {mode} {layout} */", '#include "runtime/include/static_call.h"']
    lines += [f"#define fake_{plan.key.name} {plan.key.name}" for plan in planned.keys]
    return {"static_call.h": "\n".join([*lines, ""]).encode()}


STEPS: dict[str, dict[str, Any]] = {
    "scan": {"mentions": lambda data: b"static_call" in data, "scan": scan},
    "resolve": {"resolve": resolve},
    "plan": {"plan": plan},
    "rewrite": {"rewrite": rewrite},
    "render": {"headers": headers},
}


def modules() -> dict[str, ModuleType]:
    """The fake steps by their names in the package."""
    made = {name: ModuleType(f"instrument.{name}") for name in STEPS}
    for name, members in STEPS.items():
        vars(made[name]).update(members)
    return made


def runtime(directory: Path) -> Path:
    """A C runtime for the fake language, with the real instrument.mk."""
    from instrument import paths

    (directory / "include").mkdir(parents=True)
    (directory / "src").mkdir()
    (directory / "include/static_call.h").write_text("int runtime(void);\n#define static_call(key) key\n")
    (directory / "static_call_runtime.c").write_text("int runtime(void) { return 0; }\n")
    (directory / "instrument.mk").write_bytes(paths.MAKEFILE.read_bytes())
    return directory


def install(runtime_dir: Path, put: Any = setattr) -> None:
    """Put the fakes in place by `put(object, name, value)`."""
    import instrument
    from instrument import paths

    for name, module in modules().items():
        put(instrument, name, module)
    put(paths, "C_RUNTIME", runtime_dir)
    put(paths, "INCLUDE_DIR", runtime_dir / "include")
    put(paths, "RUNTIME_SOURCE", runtime_dir / "static_call_runtime.c")
    put(paths, "MAKEFILE", runtime_dir / "instrument.mk")


def lay(root: Path, files: Mapping[str, str]) -> Path:
    """Files by name below `root`."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def command(runtime_dir: Path) -> list[str]:
    """The words that start `instrument` with the fake steps in a process of its own."""
    return [sys.executable, __file__, str(runtime_dir)]


if __name__ == "__main__":
    from instrument import cli

    sys.modules.update({f"instrument.{name}": module for name, module in modules().items()})
    install(Path(sys.argv[1]))
    sys.exit(cli.main(sys.argv[2:]))
