# SPDX-License-Identifier: MIT
"""Lua 5.4: each allocation goes through a hook. Its calls are few in the text and many at run time."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bench.build import run
from bench.real.program import MODES, WORK, Case, Goal, Program, edit_files
from examples.demo import fetch
from examples.xxhash.edit import Edit

HERE = Path(__file__).parent

CALL = r"\(\*g->frealloc\)"
INCLUDES = r'(?m)^#include "lstate\.h"$'
STATIC = {
    "lmem.c": (
        Edit(
            INCLUDES,
            r'\g<0>\n#include "allocator.h"\n\n'
            "DEFINE_STATIC_CALL_NULL(lua_frealloc, __typeof__(*(lua_Alloc)0));",
            1,
        ),
        Edit(CALL, "static_call(lua_frealloc)", 1),
    ),
    "lstate.c": (
        Edit(INCLUDES, r'\g<0>\n#include "allocator.h"', 1),
        Edit(CALL, "static_call(lua_frealloc)", 1),
        # A new state comes with its allocator. The main block is its own already.
        Edit(
            r"  g->frealloc = f;",
            r"\g<0>\n  if (choose_allocator(f)) {\n    (*f)(ud, l, sizeof(LG), 0);\n    return NULL;\n  }",
            1,
        ),
    ),
    "lapi.c": (
        Edit(INCLUDES, r'\g<0>\n#include "allocator.h"', 1),
        Edit(
            r"  G\(L\)->ud = ud;\n  G\(L\)->frealloc = f;",
            r'  if (choose_allocator(f))\n    luaG_runerror(L, "the allocator cannot be changed");\n\g<0>',
            1,
        ),
    ),
}
DECLARED = r"\g<0>\nextern void *l_alloc (void *ud, void *ptr, size_t osize, size_t nsize);"
HARD_WIRED = {
    "lmem.c": (Edit(INCLUDES, DECLARED, 1), Edit(CALL, "l_alloc", 1)),
    "lstate.c": (Edit(INCLUDES, DECLARED, 1), Edit(CALL, "l_alloc", 1)),
    "lauxlib.c": (Edit(r"static void \*l_alloc", "extern void *l_alloc", 1),),
}
COMMON = """
    lbaselib lcode lcorolib lctype ldblib ldebug ldo ldump lfunc lgc linit liolib llex lmathlib loadlib lobject
    lopcodes loslib lparser lstring lstrlib ltable ltablib ltm lundump lutf8lib lvm lzio
"""


class Lua(Program):
    name = "lua"
    cflags = ("-O2", "-DLUA_USE_LINUX", "-fno-stack-protector", "-fno-common")
    libs = ("-Wl,-E", "-lm", "-ldl")
    common = tuple(f"{name}.c" for name in COMMON.split())
    dispatching = ("lapi.c", "lauxlib.c", "lmem.c", "lstate.c")
    programs = {"lua": ("lua.c",)}  # noqa: RUF012
    cases = (Case("binary trees", "ms"), Case("objects and closures", "ms"))
    goals = (Goal("binary trees", 0.87),)

    def upstream(self) -> Path:
        # LUPA_NO_BUNDLE: or pip would have LuaJIT built only to ask the archive for its name.
        return fetch(HERE / "lua.txt", WORK / self.name / "archive", LUPA_NO_BUNDLE="true") / "third-party" / "lua54"

    def write(self, form: str, out: Path) -> None:
        shutil.copytree(self.upstream(), out)
        shutil.copy(HERE / "allocator.h", out)
        edit_files(out, STATIC if form in MODES else HARD_WIRED if form == "hard-wired" else {})

    def test(self, form: str) -> str:
        """Without the parts that take long or want C libraries built; the others write files where they are."""
        folder = WORK / self.name / "tests" / form
        shutil.copytree(self.upstream() / "testes", folder, dirs_exist_ok=True)
        said = run([self.bin(form, "plain") / "lua", "-e", "_U=true", "all.lua"], cwd=folder)
        (verdict,) = re.findall(r"(?m)^final OK", said)
        return f"{said.count('***** FILE')} files, {verdict}"

    def time(self, programs: Path) -> list[float]:
        return [float(run([programs / "lua", HERE / script])) for script in ("binary_trees.lua", "objects.lua")]
