# SPDX-License-Identifier: MIT
"""gdb, unwinders and perf in programs whose calls were patched: the right frames and names, no stop for an update."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from instrument import paths
from tests.e2e.obedient import build, running
from tests.toolchain import INCLUDE, attempt, run, runtime_object

GDB = ("gdb", "-nx", "-batch", "-ex", "set style enabled off", "-ex", f"source {paths.GDB_SCRIPT}")

WALK = """\
#define _GNU_SOURCE
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <execinfo.h>
#include <libunwind.h>
#include <stdio.h>
#include <static_call.h>
static void frames(void)
{
	void *found[16];
	int count = backtrace(found, 16);
	unw_context_t context;
	unw_cursor_t cursor;
	Dl_info info;
	char name[64];
	unw_word_t offset;

	for (int i = 1; i < count; i++)
		printf("%s ", dladdr(found[i], &info) && info.dli_sname ? info.dli_sname : "?");
	printf("|");
	unw_getcontext(&context);
	unw_init_local(&cursor, &context);
	while (unw_step(&cursor) > 0)
		printf(" %s", unw_get_proc_name(&cursor, name, sizeof(name), &offset) ? "?" : name);
	printf("\\n");
}
#define SHOWN __attribute__((__noinline__, __visibility__("default")))
SHOWN int first(int x) { frames(); return x + 1; }
SHOWN int second(int x) { frames(); return x + 2; }
DECLARE_STATIC_CALL(hop, first);
DEFINE_STATIC_CALL(hop, first);
SHOWN int calls(int x) { return static_call(hop)(x) + 1; }
SHOWN int tail(int x) { return static_call(hop)(x + 1); }
int main(void)
{
	int sum = calls(1) + tail(1);
	if (static_call_update(hop, second))
		return 1;
	sum += calls(1) + tail(1);
	if (static_call_update(hop, first))
		return 1;
	return sum + calls(1) == 3 + 3 + 4 + 4 + 3 ? 0 : 2;
}
"""


@pytest.mark.parametrize(
    ("mode", "layout", "compiler"),
    [
        ("inline-asm", "aligned", "gcc-12"),
        ("inline-asm", "compact", "clang-16"),
        ("direct", "aligned", "gcc-12"),
        ("direct", "compact", "clang-16"),
        ("direct", "bare", "gcc-12"),
        ("trampoline", "aligned", "gcc-12"),
    ],
)
def test_unwinders_find_the_caller(mode: str, layout: str, compiler: str, tmp_path: Path) -> None:
    """By glibc's backtrace() and by libunwind, neither of which may go by frame pointers: there are none."""
    (tmp_path / "walk.c").write_text(WALK)
    launcher = (sys.executable, "-m", "instrument", "cc", "--mode", mode, "--layout", layout, "--", compiler)
    flags = ("-O2", "-fomit-frame-pointer", "-rdynamic", INCLUDE)
    run(
        [*launcher, *flags, "walk.c", runtime_object(compiler, "-O2"), "-pthread", "-lunwind", "-o", "walk"],
        cwd=tmp_path,
    )
    told = run([tmp_path / "walk"]).splitlines()
    # A tail call has no frame of its caller's, in any mode; an asm in a wrapper makes none.
    through = ["main", "tail main"][mode == "inline-asm"]
    expected = ["first calls main", f"first {through}", "second calls main", f"second {through}", "first calls main"]
    for line, wanted in zip(told, expected, strict=True):
        glibc, libunwind = line.split("|")
        assert f" {glibc}".startswith(f" {wanted} ") or f" {glibc}".startswith(f" frames {wanted} "), line
        assert f" {libunwind.strip()} ".startswith((f" {wanted} ", f" frames {wanted} ")), line


# ---- gdb ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("gdb"))


def gdb(*arguments: str | Path, **env: str) -> str:
    done = attempt([*GDB, *arguments], timeout=60, DEBUGINFOD_URLS="", **env)
    assert "Traceback" not in done.stderr and "Python Exception" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def test_gdb_names_keys_and_sites(program: Path, tmp_path: Path) -> None:
    asked = (
        "-ex",
        "info static-calls",
        "-ex",
        "static-call step",
        "-ex",
        "info static-calls v*",
        "-ex",
        "static-call no",
        "-ex",
        "info static-calls none*",
    )
    with running(program) as it:
        it.tell("fast")
        told = gdb("-p", str(it.pid), *asked)
        bare = tmp_path / "bare"
        run(["gcore", "-o", tmp_path / "core", str(it.pid)])
    assert re.search(r"^hook +NULL +1 +1 call trampoline$", told, re.M), told
    assert re.search(r"^step +fast +3 +3 call fast$", told, re.M)
    assert len(re.findall(r"^variadic +sum +0 +-$", told, re.M)) == 2
    assert re.search(r"^step calls fast; trampoline 0x[0-9a-f]+$", told, re.M)
    # Where the calls are, not where the key is declared, whose line the wrapper's instruction has.
    places = re.findall(r"^0x[0-9a-f]+ +call fast +aligned +(main|twice)\+\d+ +(?:\S*/)?(\S+):(\d+)$", told, re.M)
    assert places == [("main", "main.c", "28"), ("twice", "other.c", "4"), ("twice", "other.c", "4")], told
    assert "No key 'no'" in told and "No key 'none*'" in told
    assert "Has the program been started?" in gdb(program, "-ex", "info static-calls")
    # Of a core, and of one whose program was stripped.
    assert re.search(r"^step +fast +3 +3 call fast$", gdb(program, tmp_path / f"core.{it.pid}", *asked), re.M)
    run(["strip", "-o", bare, program])
    with running(bare) as it:
        assert re.search(r"^step +0x[0-9a-f]+ +3 +3 call trampoline$", gdb("-p", str(it.pid), *asked), re.M)


def test_gdb_shows_the_frames_of_a_patched_call(program: Path) -> None:
    (program.parent / "input").write_text("fast\n")
    words = ("break fast", f"run < {program.parent / 'input'} > /dev/null", "bt", "finish", "delete 2", "continue")
    told = gdb(program, *(word for line in words for word in ("-ex", line)))
    frames = re.findall(r"^#\d .*?(\w+) \(.*\) at (?:\S*/)?(\S+)$", told, re.M)
    # The wrapper is a frame of its own to who has debug information: an inlined function.
    assert frames == [("fast", "main.c:5"), ("__SCW__step", "keys.h:4"), ("main", "main.c:28")], told
    assert re.search(r"^Value returned is \$1 = 42$", told, re.M) and "exited normally" in told


LOOP = """\
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <static_call.h>
#include <static_call_runtime.h>
/* Every synchronisation takes a while, in which the int3s of an update stay. */
long syscall(long number, ...)
{
	long result, a[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_membarrier)
		usleep(3000);
	register long fourth __asm__("r10") = a[3], fifth __asm__("r8") = a[4], sixth __asm__("r9") = a[5];
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2])
		, "r"(fourth), "r"(fifth), "r"(sixth) : "rcx", "r11", "memory");
	return result;
}
int __attribute__((__noinline__)) one(int x) { return x + 1; }
int __attribute__((__noinline__)) two(int x) { return x + 2; }
DECLARE_STATIC_CALL(hop, one);
DEFINE_STATIC_CALL(hop, one);
static volatile int stop;
static int wrong;
static void *loop(void *unused)
{
	while (!stop) {
		int found = static_call(hop)(5);
		wrong += found != 6 && found != 7;
	}
	return unused;
}
void __attribute__((__noinline__)) marked(int i) { __asm__ volatile("" : : "r"(i)); }
int main(int argc, char **argv)
{
	struct static_call_statistics s;
	pthread_t thread;

	if (pthread_create(&thread, NULL, loop, NULL))
		return 1;
	for (int i = 0; i < 20; i++) {
		if (static_call_update(hop, i % 2 ? one : two))
			return 2;
		if (i % 10 == 9)
			marked(i);
	}
	if (argc > 1)
		__asm__ volatile("int3");
	stop = 1;
	pthread_join(thread, NULL);
	static_call_statistics(&s);
	printf("wrong %d, int3s %lu, traps %lu\\n", wrong, s.int3_pokes, s.traps);
	return !argv;
}
"""


def test_gdb_does_not_stop_for_updates(tmp_path: Path) -> None:
    """
    Without gdb the loop runs into them, and the runtime's handler gets it on. With it no trap reaches the handler,
    and nothing stops the program but breakpoints, steps, and an int3 of its own.
    """
    (tmp_path / "loop.c").write_text(LOOP)
    launcher = (sys.executable, "-m", "instrument", "cc", "--layout", "compact", "--", "gcc-12", "-O1", "-g")
    run([*launcher, INCLUDE, "loop.c", runtime_object("gcc-12", "-O2"), "-pthread", "-o", "loop"], cwd=tmp_path)
    traps = re.fullmatch(
        r"wrong 0, int3s \d{2,}, traps (\d+)\n", run([tmp_path / "loop"], STATIC_CALL_PROTOCOL="int3-push")
    )
    assert traps and int(traps[1]) > 10
    # Into a file: what gdb says may come in the middle of a line of the program's.
    output = tmp_path / "output"
    script = [
        "break marked", f"run yes > {output}", "next", "next", "continue", "delete 2", "continue",
        "x/i $pc - 1", "continue",
    ]  # fmt: skip
    words = [word for line in script for word in ("-ex", line)]
    told = gdb(*words, tmp_path / "loop", STATIC_CALL_PROTOCOL="int3-push")
    assert len(re.findall(r"hit Breakpoint 2, marked \(i=\S*?(?:9|19)\)", told)) == 2, told
    assert "received signal" not in told
    assert len(re.findall(r"hit Catchpoint 1 \(signal SIGTRAP\)", told)) == 1
    assert re.search(r"^ +0x[0-9a-f]+ <main\+\d+>:\s+int3$", told, re.M)
    assert "exited normally" in told
    assert re.fullmatch(r"wrong 0, int3s \d{2,}, traps 0\n", output.read_text())


# ---- perf ---------------------------------------------------------------------------------------------


def test_perf_charges_the_callers(tmp_path: Path) -> None:
    (tmp_path / "busy.c").write_text(
        "#include <static_call.h>\n"
        "int __attribute__((__noinline__)) one(int x) { for (volatile int i = 0; i < 2000; i++) x += i; return x; }\n"
        "int __attribute__((__noinline__)) two(int x) { for (volatile int i = 0; i < 2000; i++) x -= i; return x; }\n"
        "DECLARE_STATIC_CALL(hop, one);\nDEFINE_STATIC_CALL(hop, one);\n"
        "int __attribute__((__noinline__)) calls(int x) { return static_call(hop)(x) + 1; }\n"
        "int main(void) { int x = 0; if (static_call_update(hop, two)) return 1;\n"
        "for (int i = 0; i < 60000; i++) x = calls(x); return x == 1; }\n"
    )
    launcher = (sys.executable, "-m", "instrument", "cc", "--", "gcc-12", "-O2", "-fno-omit-frame-pointer")
    run([*launcher, INCLUDE, "busy.c", runtime_object("gcc-12", "-O2"), "-pthread", "-o", "busy"], cwd=tmp_path)
    run(["perf", "record", "-q", "-e", "task-clock:u", "-g", "-o", "data", "./busy"], cwd=tmp_path)
    told = run(["perf", "script", "-i", "data", "-F", "ip,sym"], cwd=tmp_path)
    stacks = [re.findall(r"^\s*[0-9a-f]+ (\S+)", stack, re.M) for stack in told.split("\n\n")]
    inside = [stack for stack in stacks if stack[:1] == ["two"]]
    assert len(inside) > 20 and not any("one" in stack for stack in stacks)
    right = sum(stack[1:3] == ["calls", "main"] for stack in inside)
    # All but those that were hit in its first instructions, where no frame pointer is set up yet.
    assert right > 0.9 * len(inside), (right, len(inside))


def test_the_script_is_where_the_command_says() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "instrument", "--gdb"], capture_output=True, text=True, check=True
    ).stdout
    assert Path(told.strip()).name == "static_call-gdb.py" and os.access(told.strip(), os.R_OK)
