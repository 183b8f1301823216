# SPDX-License-Identifier: MIT
"""A program that updates its keys when it is told to, for who looks at it meanwhile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.toolchain import INCLUDE, run, runtime_object

HEADER = """\
#include <static_call.h>
#include <static_call_runtime.h>
int slow(int);
DECLARE_STATIC_CALL(step, slow);
void nothing(void);
DECLARE_STATIC_CALL(hook, nothing);
int sum(int, ...);
DECLARE_STATIC_CALL(variadic, sum);
int twice(int);
"""
MAIN = """\
#include <stdio.h>
#include <string.h>
#include "keys.h"
int __attribute__((__noinline__)) slow(int x) { return x + 1; }
static int __attribute__((__noinline__)) fast(int x) { return x + 2; }
void nothing(void) {}
int sum(int n, ...) { return n; }
DEFINE_STATIC_CALL(step, slow);
DEFINE_STATIC_CALL_NULL(hook, nothing);
DEFINE_STATIC_CALL(variadic, sum);
static int data;
int main(void)
{
	char line[80];
	int error = 0;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "fast\\n"))
			error = static_call_update(step, fast);
		else if (!strcmp(line, "slow\\n"))
			error = static_call_update(step, slow);
		else if (!strcmp(line, "fail\\n"))
			error = __static_call_update(&STATIC_CALL_KEY(step), &STATIC_CALL_TRAMP(step), (static_call_fn)&data);
		else if (!strcmp(line, "seal\\n"))
			error = static_call_seal();
		static_call_cond(hook)();
		printf("%d %d %d\\n", error, static_call(step)(40) + twice(0), static_call(variadic)(1, 2));
		fflush(stdout);
	}
	return 0;
}
"""
OTHER = '#include "keys.h"\nint twice(int x)\n{\n\treturn static_call(step)(x) + static_call(step)(x);\n}\n'
LINES = {"step": {("main.c", 28), ("other.c", 4)}, "hook": {("main.c", 27)}}
"""Where the calls are."""


def build(
    folder: Path, mode: str = "inline-asm", *flags: str, compiler: str = "gcc-12", layout: str = "aligned"
) -> Path:
    """The program in `folder`, its objects beside it."""
    for name, text in (("keys.h", HEADER), ("main.c", MAIN), ("other.c", OTHER)):
        (folder / name).write_text(text)
    runtime = runtime_object(compiler, "-O2")
    launcher = (sys.executable, "-m", "instrument", "cc", "--mode", mode, "--layout", layout, "--")
    for name in ("main", "other"):
        run([*launcher, compiler, "-g", "-O1", *flags, INCLUDE, "-c", f"{name}.c"], cwd=folder)
    run([compiler, *flags, "main.o", "other.o", runtime, "-pthread", "-o", "prog"], cwd=folder)
    return folder / "prog"


class Program:
    """The running program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.pid = process, process.pid
        assert self._line() == "ready"

    def tell(self, word: str) -> str:
        """Have it done; its answer: the update's result, and what two calls return."""
        assert self.process.stdin
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self._line()

    def quit(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(20) == 0

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextmanager
def running(program: Path, **env: str) -> Iterator[Program]:
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env or None
    ) as process:
        try:
            yield Program(process)
        finally:
            process.kill()
