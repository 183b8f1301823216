# SPDX-License-Identifier: MIT
"""A small program with a call of every sort, its run, and its reports."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from instrument import cli
from tests.toolchain import instrument

MARKUP = '"</script><script>document.title=`broken`</script><b id=injected>"'

MAIN = f"""\
#include <static_call.h>
#include "hooks.h"

int narrow(int x) {{ return x; }}
int say(const char *format, ...) {{ return *format; }}
DEFINE_STATIC_CALL(narrow, narrow);
DEFINE_STATIC_CALL(say, say);

int inlined(int x)
{{
	return static_call(narrow)(x) + /* ünï */ static_call(narrow)(x + 1);
}}

int variadic(void)
{{
	return static_call(say)({MARKUP}, 1);
}}

int by_macro(void) {{ return CALL_NARROW(3); }}

#if 0
int dead(void) {{ return static_call(narrow)(4); }}
#endif

void change(void) {{ static_call_update(narrow, inlined); }}
"""
HOOKS = """\
#ifndef HOOKS_H
#define HOOKS_H
int narrow(int x);
DECLARE_STATIC_CALL(narrow, narrow);
#define CALL_NARROW(x) static_call(narrow)(x)
#endif
"""
LINES = {"src/main.c": MAIN.splitlines(), "src/hooks.h": HOOKS.splitlines()}


def lay(folder: Path, **more: str) -> Path:
    """The program's sources, and `more` files beside them, run into `folder`/out."""
    (folder / "src").mkdir(parents=True)
    for name, text in {"main.c": MAIN, "hooks.h": HOOKS, **more}.items():
        (folder / "src" / name).write_text(text)
    return folder


def run(folder: Path, *words: str) -> int:
    done = instrument("src", "-o", "out", "-q", *words, cwd=folder)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode


def said(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and error of `instrument report` in `folder`. In this process, for speed."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(["report", *words])
    out.flush()
    return status, out.buffer.getvalue().decode(), err.getvalue()  # type: ignore[attr-defined]


def report(folder: Path, *words: str) -> str:
    """The report of `folder`/out on standard output; nothing is complained about."""
    status, out, err = said(folder, "out", *words)
    assert (status, err) == (0, ""), err
    return out


def as_json(folder: Path) -> dict[str, Any]:
    value = json.loads(report(folder, "--format", "json"))
    assert isinstance(value, dict)
    return value
