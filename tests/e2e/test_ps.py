# SPDX-License-Identifier: MIT
"""`instrument ps` and `instrument trace`: a live process from outside."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from instrument import binary, live, ps, trace, watched
from instrument.diagnostics import InstrumentError
from instrument.value import replace
from tests.e2e.obedient import build, running
from tests.toolchain import INCLUDE, attempt, run, runtime_object

PS = (sys.executable, "-m", "instrument", "ps")
TRACE = (sys.executable, "-m", "instrument", "trace")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("ps"))


def looked(pid: int, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run([*PS, "--json", *options, str(pid)]))
    return found


def keys(found: dict[str, Any]) -> dict[str, tuple[str, dict[str, int]]]:
    return {key["name"]: (key["target"], key["now"]) for key in found["keys"]}


def test_what_keys_call_and_how(program: Path) -> None:
    with running(program) as it:
        before = looked(it.pid)
        assert keys(before) == {
            "hook": ("NULL", {"by trampoline": 1}),
            "step": ("slow", {"by trampoline": 3}),
            "variadic": ("sum", {}),
        }
        assert before["program"] == str(program) and before["runtimes"][0]["write"] == "none"
        assert it.tell("fast") == "0 46 1"
        after = looked(it.pid)
        assert keys(after)["step"] == ("fast", {"direct": 3})
        assert after["left"][0]["key"] == "variadic" and after["disagreements"] == []
        assert [key["on_trampoline"] for key in after["keys"]] == [0, 0, 1]
        assert after == looked(it.pid, "--sites")
        places = {(site["file"], site["line"]) for site in after["sites"] if site["key"] == "step"}
        assert places == {("main.c", 28), ("other.c", 4)}
        (runtime,) = after["runtimes"]
        assert runtime["protocol"] == "auto" and runtime["reason"].startswith("auto: ")
        assert runtime["write"] == "mprotect" and not runtime["sealed"] and runtime["failure"] is None
        assert (runtime["statistics"]["updates"], runtime["statistics"]["sites"]) == (1, 4)
        text = run([*PS, str(it.pid), "--key", "s*"])
        assert re.search(r"^  step +fast +3 +3 direct +prog$", text, re.M) and "hook" not in text
        it.quit()


def test_why_an_update_failed_and_the_seal(program: Path) -> None:
    with running(program, STATIC_CALL_PROTOCOL="int3-push") as it:
        assert it.tell("fail").startswith(f"-{errno.EFAULT} ")
        assert it.tell("seal").startswith("0 ")
        assert it.tell("fast").startswith(f"-{errno.EPERM} ")
        text = run([*PS, str(it.pid)])
        assert "policy: int3-push: asked for" in text and "sealed" in text
        assert "updates 0, failures 2" in text
        obstacle = "last obstacle: static calls are sealed (-EPERM, key step)"
        assert obstacle in text and obstacle in run([*PS, str(it.pid), "-k", "hook"])


def test_stripped_and_deleted(program: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    run(["strip", "-o", bare, program])
    with running(bare) as it:
        it.tell("fast")
        bare.unlink()
        found = looked(it.pid)
        target, now = keys(found)["step"]
        assert re.fullmatch(r"bare\+0x[0-9a-f]+", target) and now == {"direct": 3}
        assert found["runtimes"][0]["statistics"]["updates"] == 1


def test_damage_is_told(program: Path) -> None:
    with running(program) as it:
        os.kill(it.pid, signal.SIGSTOP)
        (hook,) = (key for key in looked(it.pid)["keys"] if key["name"] == "hook")
        with Path(f"/proc/{it.pid}/mem").open("r+b", buffering=0) as memory:
            memory.seek(hook["trampoline"])
            memory.write(bytes([0xCC] * 8))
        done = attempt([*PS, str(it.pid)])
        assert done.returncode == 0
        assert (
            f"{hook['trampoline']:#x}: the trampoline of hook is not one that the runtime wrote [IN051]"
            in done.stderr
        )


def test_an_update_that_is_being_made_is_no_damage(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, looks = binary.of_runtimes, 0

    def once(*told: Any) -> binary.Binary:
        nonlocal looks
        looks += 1
        return replace(real(*told), wrong=(binary.Wrong(1, "an int3"),) if looks < 6 else ())

    monkeypatch.setattr(binary, "of_runtimes", once)
    with running(program) as it:
        assert watched.Watched(it.pid).look().wrong == () and looks == 6


def test_keys_of_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two objects share a key; collected sections leave the runtime's description where it is."""
    monkeypatch.chdir(tmp_path)
    Path("lib.h").write_text("#include <static_call.h>\nint f(int);\nDECLARE_STATIC_CALL(shared, f);\nint g(int);\n")
    Path("lib.c").write_text(
        '#include "lib.h"\nint f(int x) { return x; }\nDEFINE_STATIC_CALL(shared, f);\n'
        "int g(int x) { return static_call(shared)(x); }\n"
    )
    Path("main.c").write_text(
        '#include "lib.h"\n#include <stdio.h>\nstatic int h(int x) { return x + 7; }\n'
        "int main(void) { int e = static_call_update(shared, h);\n"
        'printf("ready\\n%d %d\\n", e, static_call(shared)(1) + g(1)); fflush(stdout);\n'
        "while (getchar() != EOF) ; return 0; }\n"
    )
    launcher = (sys.executable, "-m", "instrument", "cc", "--mode", "direct", "--", "gcc-12", "-O1", INCLUDE)
    runtime = runtime_object("gcc-12", "-O2", "-fPIC", "-ffunction-sections", "-fdata-sections")
    run([*launcher, "-fPIC", "-shared", "lib.c", runtime, "-pthread", "-Wl,--gc-sections", "-o", "lib.so"])
    run([*launcher, "main.c", "./lib.so", "-o", "main"])
    with running(tmp_path / "main") as it:
        assert it.tell("") == "0 16"
        found = looked(it.pid)
        assert [key["object"] for key in found["keys"]] == [str(tmp_path / "lib.so")]
        # The library is further than 2 GiB away from the program's function.
        assert keys(found) == {"shared": ("h", {"by trampoline": 1, "direct": 1})}
        assert found["runtimes"][0]["statistics"]["far_targets"] == 1


def test_watch_ends_with_the_process(program: Path) -> None:
    with (
        running(program) as it,
        subprocess.Popen(
            [*PS, str(it.pid), "--json", "--watch", "0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as watch,
    ):
        assert watch.stdout and watch.stderr
        assert keys(json.loads(watch.stdout.readline()))["step"][0] == "slow"
        it.tell("fast")
        while keys(json.loads(watch.stdout.readline()))["step"][0] == "slow":
            pass
        it.quit()
        assert watch.wait(20) == 0 and "has ended" in watch.stderr.read()


def test_a_key_that_is_not_there_is_told(program: Path) -> None:
    said = "--key stpe: there is no such key; did you mean step? [IN011]\n"
    with running(program) as it:
        done = attempt([*PS, str(it.pid), "-k", "stpe"])
        assert (done.returncode, done.stderr) == (2, f"instrument: error: {said}")
        trace = subprocess.Popen([*TRACE, str(it.pid), "-k", "stpe"], stderr=subprocess.PIPE, text=True)
        assert trace.stderr and trace.stderr.readline() == f"instrument: warning: {said}"
        it.quit()
        assert trace.wait(20) == 0 and "watching 0 keys" in trace.stderr.read()


ODD = """\
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <static_call.h>
int f(int x) { return x; }
DEFINE_STATIC_CALL(key, f);
static void *answer(void *self)
{
	puts("ready");
	fflush(stdout);
	getchar();
	execl("/bin/sleep", "sleep", "60", (char *)0);
	return self;
}
int main(void)
{
	pthread_t thread;
	pthread_create(&thread, 0, answer, 0);
	pthread_exit(0);
}
"""


def test_a_first_thread_that_has_ended_and_another_program(tmp_path: Path) -> None:
    (tmp_path / "odd.c").write_text(ODD)
    runtime = runtime_object("gcc-12", "-O2")
    launcher = (sys.executable, "-m", "instrument", "cc", "--", "gcc-12", "-O1", INCLUDE)
    run([*launcher, "odd.c", runtime, "-pthread", "-o", "odd"], cwd=tmp_path)
    with running(tmp_path / "odd") as it:
        while "State:\tZ" not in Path(f"/proc/{it.pid}/status").read_text():
            time.sleep(0.001)
        assert keys(looked(it.pid)) == {"key": ("f", {})}
        with subprocess.Popen([*TRACE, str(it.pid)], stderr=subprocess.PIPE, text=True) as trace:
            assert trace.stderr and "watching 1 key of" in trace.stderr.readline()
            assert it.process.stdin
            it.process.stdin.write("\n")
            it.process.stdin.flush()
            assert f"process {it.pid} runs another program" in trace.stderr.readline()
            assert trace.wait(20) == 0


@pytest.mark.parametrize(("term", "moves"), [("dumb", False), ("xterm", True)])
def test_watch_on_a_terminal(term: str, moves: bool, program: Path) -> None:
    ours, theirs = os.openpty()
    with (
        running(program) as it,
        subprocess.Popen(
            [*PS, "--watch", str(it.pid)], stdout=theirs, stderr=subprocess.DEVNULL, env={**os.environ, "TERM": term}
        ) as watch,
    ):
        text = b""
        while b"variadic" not in text:
            text += os.read(ours, 4096)
        watch.terminate()
    os.close(ours)
    os.close(theirs)
    assert (b"\x1b[H" in text) == moves == (b"every 1 s" in text)


def test_a_low_screen_is_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "5")
    monkeypatch.setenv("COLUMNS", "30")
    drawn = ps._drawn(["a" * 70, "b", "c", "d"], False)
    assert drawn.replace("\x1b[K", "").split("\n") == [
        "\x1b[H" + "a" * 30, "a" * 30, "a" * 10, "... 3 more lines; a higher win", "\x1b[J",
    ]  # fmt: skip
    assert "more lines" not in ps._drawn(["a", "b", "c", "d"], False)


def test_trace_tells_each_change(program: Path) -> None:
    with (
        running(program) as it,
        subprocess.Popen(
            [*TRACE, str(it.pid), "--json", "--interval", "0.005"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as trace,
    ):
        assert trace.stdout and trace.stderr
        assert "watching 3 keys" in trace.stderr.readline()
        seen = []
        for word in ("fast", "slow", "fail"):
            it.tell(word)
            seen.append(json.loads(trace.stdout.readline()))
        assert [(change.get("key"), change.get("from"), change.get("to")) for change in seen] == [
            ("step", "slow", "fast"), ("step", "fast", "slow"), (None, None, None),
        ]  # fmt: skip
        assert seen[0]["sites"] == "3 direct" and seen[2]["failures"] == 1
        assert re.search(r"executable.*\(-EFAULT, key step", seen[2]["what"])
        it.quit()
        assert trace.wait(20) == 0


def test_the_time_of_a_change_is_not_rounded_up() -> None:
    change = {"time": 59.9996, "key": "step", "from": "slow", "to": "fast", "sites": "", "updates": 1}
    assert trace._line(change).split("  ")[0].endswith(":59.999")


def test_what_cannot_be_looked_into() -> None:
    for pid, why in ((str(os.getpid()), "no runtime of static calls"), ("4194999", "no such process")):
        done = attempt([*PS, pid])
        assert done.returncode == 2 and why in done.stderr and "[IN050]" in done.stderr and not done.stdout
    for wrong, why in (
        (("prog",), "prog is not the number of a process"),
        ((), "required: PID"),
        (("1", "--watch", "0"), "0 is not a number of seconds"),
        (("1", "--nonsense"), "unknown option: --nonsense"),
        (("1", "2"), "one argument too many: 2"),
    ):
        done = attempt([*PS, *wrong])
        assert done.returncode == 2 and why in done.stderr


def refused(number: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said where the kernel's answer to a look at this process is an error."""

    def refuse(self: live.Process) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(live.Process, "_read_maps", refuse)
    with pytest.raises(InstrumentError) as caught:
        live.Process(os.getpid())
    assert caught.value.status == 2
    return caught.value.findings[0].render()


def test_permission_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = tmp_path / "ptrace_scope"
    monkeypatch.setattr(live, "_YAMA", scope)
    owner = Path("/proc/self").stat().st_uid
    assert "the kernel refuses it" in refused(errno.EPERM, monkeypatch)
    scope.write_text("3\n")
    assert "ptrace_scope is 3, so that only nobody may" in refused(errno.EACCES, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 4711)
    assert "it belongs to " in refused(errno.EACCES, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: owner or 1)
    monkeypatch.setattr(live.Path, "stat", lambda path: os.stat_result((0, 0, 0, 0, owner or 1, 0, 0, 0, 0, 0)))
    monkeypatch.setattr(live.Path, "exists", lambda path: True)
    scope.write_text("1\n")
    said = refused(errno.EPERM, monkeypatch)
    assert "only its parents may" in said and "PR_SET_PTRACER" in said


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_without_process_vm_readv(
    number: int, program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(pid: int) -> Callable[[int, int], bytes]:
        def read(address: int, length: int) -> bytes:
            raise OSError(number, os.strerror(number))

        return read

    monkeypatch.setattr(live, "_vm_reader", none)
    with running(program) as it:
        assert ps.main(["--json", str(it.pid)]) == 0
    assert keys(json.loads(capsys.readouterr().out))["step"] == ("slow", {"by trampoline": 3})
