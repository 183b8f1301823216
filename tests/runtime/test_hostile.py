# SPDX-License-Identifier: MIT
"""Every environment that is hostile to patching (issue 4, point 4). In all of them every call is whole."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.runtime.hosts import FORMS, INTEL, facts, launcher, made, tried
from tests.runtime.linking import ALIGNED, COMPACT, PATIENCE, TRAMPOLINE

STATES = ("a", "b", "null", "far", "ret0", "b", "a")
DONE = " ".join("0" for _ in STATES)
MPROTECT, PWRITE, OPENAT, MEMBARRIER = 10, 18, 257, 324
WRITE_MPROTECT, WRITE_PROC_MEM, WRITE_SLOT = "1", "2", "3"
INLINE = (ALIGNED, COMPACT)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosts")


# ---- SIGTRAP ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["b", "null"])
@pytest.mark.parametrize("protocol", ["auto", "int3-push", "int3-resume", "int3-stub"])
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_a_thread_blocks_sigtrap(folder: Path, form: tuple[str, str], protocol: str, state: str) -> None:
    """`auto` does without int3 where it can; what it cannot do, or was asked to do by int3, is -EBUSY."""
    said = facts(made(folder, "host_blocked", form), state, STATIC_CALL_PROTOCOL=protocol)
    assert said["back"] == said["open"] == "0"
    if protocol != "auto" or form == COMPACT:
        assert said["blocked"] == str(-errno.EBUSY)
        assert int(said["open_int3_pokes"]) > int(said["blocked_int3_pokes"])
        return
    assert said["blocked"] == "0" and said["blocked_int3_pokes"] == said["back_int3_pokes"]
    if form == ALIGNED and state == "null" and INTEL:
        assert said["blocked_without_int3"] == "1" and said["blocked_kept_calls"] != "0"
        assert said["open_without_int3"] == "1" and said["open_int3_pokes"] != said["back_int3_pokes"]


TRAPS = {
    "int3": 0x80,
    "int3-long": 0x80,
    "icebp": 1,
    "step": 2,
    "raise": -6,
    "kill": 0,
    "2": 2,
    "3": 3,
    "4": 4,
    "6": 6,
    "-1": -1,
}
"""Traps of others, and the si_code that each comes with."""


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("owner", ["before", "after", "rude"])
def test_traps_of_others_reach_them(folder: Path, owner: str, kind: str) -> None:
    """Who had SIGTRAP before us, who took it after us and hands on to us, and who took it and hands on nothing."""
    said = facts(made(folder, "host_trap"), owner, kind, STATIC_CALL_PROTOCOL="int3-push")
    assert int(said["code"]) == TRAPS[kind]
    if kind == "step":
        assert int(said["theirs"]) >= 2
    else:
        assert said["theirs"] == ("2" if owner == "after" else "1")


@pytest.mark.parametrize("kind", ["raise", "kill", "-1"])
def test_sigtrap_is_ignored(folder: Path, kind: str) -> None:
    assert facts(made(folder, "host_trap"), "ignored", kind, STATIC_CALL_PROTOCOL="int3-push")["theirs"] == "0"


NOBODYS = [("ignored", "int3"), ("default", "int3"), ("default", "raise"), ("default", "kill")]


@pytest.mark.parametrize(("owner", "kind"), NOBODYS)
def test_a_trap_of_nobody_ends_the_program_as_ever(folder: Path, owner: str, kind: str) -> None:
    done = tried(made(folder, "host_trap"), owner, kind, STATIC_CALL_PROTOCOL="int3-push")
    assert done.returncode == -signal.SIGTRAP, done.stderr


@pytest.mark.parametrize("protocol", ["auto", "int3-push", "int3-resume", "int3-stub"])
@pytest.mark.parametrize("form", INLINE, ids="-".join)
def test_handlers_call_and_update_in_a_storm(folder: Path, form: tuple[str, str], protocol: str) -> None:
    """On alternate stacks, by timers, and in the middle of an update, where another update is -EDEADLK."""
    said = facts(made(folder, "host_handlers", form), "150", STATIC_CALL_PROTOCOL=protocol)
    assert said["wrong"] == said["odd"] == "0"
    assert int(said["by_timer"]) and int(said["in_update"]) and int(said["handler_updates"])


# ---- what the kernel refuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["auto", "int3-push", "int3-resume", "int3-stub"])
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_no_membarrier(folder: Path, form: tuple[str, str], protocol: str) -> None:
    """Each thread is synchronised by a signal, and the statistics say so."""
    confined = (launcher(folder), f"{MEMBARRIER}={errno.ENOSYS}", made(folder, "host_update", form))
    said = facts(*confined, "-r", "3", *STATES, STATIC_CALL_PROTOCOL=protocol)
    assert said["to"] == " ".join([DONE] * 3) and said["wrong"] == "0"
    assert said["signalled"] == said["synchronisations"] != "0"


NO_MPROTECT = {
    "whole": f"{MPROTECT}={errno.EPERM}",
    "exec": f"{MPROTECT}:2:4={errno.EACCES}",
    "write": f"{MPROTECT}:2:2={errno.EACCES}",
}


@pytest.mark.parametrize("protocol", ["auto", "int3-push", "int3-stub"])
@pytest.mark.parametrize("rule", NO_MPROTECT)
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_mprotect_is_refused(folder: Path, form: tuple[str, str], rule: str, protocol: str) -> None:
    program = made(folder, "host_update", form)
    by_proc_mem(facts(program, *STATES, CONFINE=NO_MPROTECT[rule], STATIC_CALL_PROTOCOL=protocol))


def by_proc_mem(said: dict[str, str]) -> None:
    assert said["to"] == DONE and said["wrong"] == "0"
    assert said["write"] == WRITE_PROC_MEM and int(said["without_mprotect"]) >= 6
    assert said["atomic_pokes"] == "0" and said["int3_pokes"] != "0"


NO_WRITING = {
    "not to be opened": f"{MPROTECT}={errno.EACCES} {OPENAT}={errno.EACCES}",
    "not to be written": f"{MPROTECT}={errno.EACCES} {PWRITE}={errno.EIO}",
    "text": f"{MPROTECT}:2:4={errno.EACCES} {PWRITE}={errno.EIO}",
}


@pytest.mark.parametrize("rule", NO_WRITING)
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_all_writing_is_refused(folder: Path, form: tuple[str, str], rule: str) -> None:
    said = facts(made(folder, "host_update", form), *STATES, CONFINE=NO_WRITING[rule])
    # Of the first and the last one, which change nothing, a trampoline's word is not written.
    idle = {"0"} if rule == "text" and form == TRAMPOLINE else set()
    assert set(said["to"].split()) - idle <= {f"-{errno.EACCES:d}", f"-{errno.EIO:d}"} and said["wrong"] == "0"
    assert "mprotect" in said["failure"] and "/proc/self/mem" in said["failure"]


@pytest.mark.parametrize("rule", NO_WRITING)
@pytest.mark.parametrize("form", [ALIGNED, TRAMPOLINE], ids="-".join)
def test_slots_need_no_writing_of_text(folder: Path, form: tuple[str, str], rule: str) -> None:
    program = made(folder, "host_update", form, "gcc-12", "-DSTATIC_CALL_SLOTS")
    said = facts(program, *STATES, CONFINE=NO_WRITING[rule])
    assert said["to"] == DONE and said["wrong"] == "0"
    assert said["write"] == WRITE_SLOT and said["without_mprotect"] != "0"
    said = facts(program, *STATES)
    assert said["to"] == DONE and said["wrong"] == "0" and said["write"] == WRITE_MPROTECT


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_memory_that_gains_no_execute_permission(folder: Path, form: tuple[str, str]) -> None:
    """PR_SET_MDWE, Linux 6.3."""
    by_proc_mem(facts(made(folder, "host_update", form), "-m", *STATES))


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_sealed_text(folder: Path, form: tuple[str, str]) -> None:
    """mseal, Linux 6.10: mprotect is -EPERM. /proc/self/mem still writes (seen on 6.18)."""
    said = facts(made(folder, "host_update", form), "-s", *STATES)
    if said["sealed"] == "1":
        by_proc_mem(said)
    else:
        assert said["to"] == DONE and said["wrong"] == "0"


# ---- what once killed the program, hung it, or was not looked at (host_edges.c) ----------------------------------


def edge(folder: Path, *mode: str, before: tuple[str | Path, ...] = (), **env: str) -> dict[str, str]:
    return facts(*before, made(folder, "host_edges"), *mode, STATIC_CALL_PROTOCOL="int3-push", **env)


def test_threads_are_cancelled_in_the_handler(folder: Path) -> None:
    """PTHREAD_CANCEL_ASYNCHRONOUS: one that was unwound out of it kept its reference, and updates waited for ever."""
    said = edge(folder, "cancel")
    assert said["first"] == "0"
    # And so that chance has no part in it: what the kernel leaves open in the handler, SIGKILL and SIGSTOP among it.
    assert said["open"] == f"{signal.SIGTRAP:d} {signal.SIGKILL:d} {signal.SIGSTOP:d} {signal.SIGSYS:d}"


def test_sandboxes_that_answer_by_sigsys(folder: Path) -> None:
    """SECCOMP_RET_TRAP, of openat and gettid: in updates and in the handler."""
    said = edge(folder, "sigsys")
    assert said["first"] == said["second"] == "0" and said["seen"] != "0"


def test_the_environment_is_read_before_main(folder: Path) -> None:
    """Later setenv() of another thread may free it, and a signal handler may update."""
    said = edge(folder, "environment")
    assert said["first"] == said["late"] == "0" and int(said["early"]) > 0


@pytest.mark.parametrize("left", ["0", "1"])
def test_out_of_files(folder: Path, left: str) -> None:
    """Nothing is taken for granted that could not be read: of targets, of who blocks SIGTRAP or is to be asked."""
    none = str(-errno.EMFILE)
    assert edge(folder, "data", left)["first"] == (none if left == "0" else str(-errno.EFAULT))
    assert edge(folder, "files", left)["second"] == none
    no_membarrier = (launcher(folder), f"{MEMBARRIER}={errno.ENOSYS}")
    said = edge(folder, "polling", left, before=no_membarrier)
    assert said["first"] == none and said["seen"] == "0"


@pytest.mark.parametrize("mode", ["groups", "name"])
def test_who_blocks_sigtrap_is_found(folder: Path, mode: str) -> None:
    """However long /proc's text is, and whatever the thread is called."""
    assert mode != "groups" or os.geteuid() == 0, "setgroups() is for root"
    said = edge(folder, mode)
    assert said["first"] == said["second"] == str(-errno.EBUSY)


def test_proc_of_another_pid_namespace(folder: Path) -> None:
    """Its numbers are other threads here: none would be asked."""
    unshare = ("unshare", "-pf", *(() if os.geteuid() == 0 else ("--map-root-user",)))
    no_membarrier = (launcher(folder), f"{MEMBARRIER}={errno.ENOSYS}")
    assert edge(folder, "polling", "60", before=no_membarrier) == {"first": "0", "seen": "3", "to": ""}
    said = edge(folder, "polling", "60", before=(*unshare, *no_membarrier))
    assert said["first"] == str(-errno.EBUSY) and "another pid namespace" in said["why_first"]


def test_a_thread_blocks_sigtrap_after_the_look(folder: Path) -> None:
    """It never answers."""
    said = edge(folder, "late", before=(launcher(folder), f"{MEMBARRIER}={errno.ENOSYS}"))
    assert said["first"] == str(-errno.EBUSY) and "blocks SIGTRAP" in said["why_first"]


@pytest.mark.parametrize("kind", ["timer", "trusted", "ring"])
def test_threads_that_block_sigtrap_and_never_call(folder: Path, kind: str) -> None:
    """The kernel's own are known; glibc's are trusted if the program says so, by a call or by the environment."""
    done = tried(made(folder, "host_edges"), "helpers", kind, STATIC_CALL_PROTOCOL="int3-push")
    assert done.returncode != 77, "no io_uring here"
    busy = str(-errno.EBUSY)
    expected = {"timer": (busy, busy), "trusted": ("0", busy), "ring": ("0", "0")}
    said = edge(folder, "helpers", kind)
    assert (said["first"], said["second"]) == expected[kind]
    assert edge(folder, "helpers", kind, STATIC_CALL_BLOCKED="trust")["first"] == "0"


def test_a_trusted_thread_is_not_waited_for(folder: Path) -> None:
    """Where a signal would have to reach it."""
    no_membarrier = (launcher(folder), f"{MEMBARRIER}={errno.ENOSYS}")
    assert edge(folder, "helpers", "trusted", before=no_membarrier)["first"] == "0"


@pytest.mark.parametrize("mode", ["leaps", "probes"])
def test_owners_have_the_mask_they_asked_for(folder: Path, mode: str) -> None:
    """After a longjmp() out of its handler other signals come; a fault in it finds its own handler."""
    assert edge(folder, mode)["seen"] == {"leaps": str(int(signal.SIGUSR1)), "probes": "1"}[mode]


def test_a_vfork_child_calls_after_init(folder: Path) -> None:
    """static_call_init() takes the signal, so the child, whose handlers are those of its beginning, has ours."""
    said = edge(folder, "vfork")
    assert said["first"] == said["second"] == "0"


# ---- file systems -----------------------------------------------------------------------------------------------


def in_a_namespace(script: str, *command: str | Path) -> dict[str, str]:
    """With mounts of its own; as who may not, in a user namespace."""
    unshare = ("unshare", "-m", *(() if os.geteuid() == 0 else ("--map-root-user",)))
    return facts(*unshare, "sh", "-ec", script + '; exec "$@"', "sh", *command)


@pytest.mark.parametrize("protocol", ["auto", "int3-push"])
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_proc_is_absent(folder: Path, form: tuple[str, str], protocol: str) -> None:
    script = f"mount -t tmpfs none /proc; ! test -e /proc/self; export STATIC_CALL_PROTOCOL={protocol}"
    said = in_a_namespace(script, made(folder, "host_update", form), *STATES)
    assert said["to"] == DONE and said["wrong"] == "0" and said["write"] == WRITE_MPROTECT


def test_proc_and_membarrier_are_absent(folder: Path) -> None:
    """Nobody can be synchronised: an error, and nothing has changed."""
    confined = (launcher(folder), f"{MEMBARRIER}={errno.ENOSYS}", made(folder, "host_update", COMPACT))
    said = in_a_namespace("mount -t tmpfs none /proc", *confined, *STATES[1:])
    assert set(said["to"].split()) == {str(-errno.ENOENT)} and said["wrong"] == "0"


@pytest.mark.parametrize("form", INLINE, ids="-".join)
def test_read_only_file_systems(folder: Path, form: tuple[str, str]) -> None:
    program = made(folder, "host_update", form)
    mounts = f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}; mount -o remount,ro,bind /"
    said = in_a_namespace(f"{mounts}; ! touch {program} 2>/dev/null", program, *STATES)
    assert said["to"] == DONE and said["wrong"] == "0" and said["write"] == WRITE_MPROTECT


# ---- debuggers, emulators, sanitizers ----------------------------------------------------------------------------


def gdb(*arguments: str | Path) -> str:
    return tried("gdb", "-nx", "-batch", *arguments, DEBUGINFOD_URLS="").stdout


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_gdb_sees_no_trap(folder: Path, form: tuple[str, str]) -> None:
    """Compact sites that an int3 would be needed for stay on their trampolines."""
    # To a file: what gdb says may come in the middle of a line of the program's.
    output = folder / "under-gdb"
    arguments = shlex.join(["-r", "5", *STATES])
    said = gdb("-ex", f"run {arguments} > {shlex.quote(str(output))}", made(folder, "host_update", form))
    assert "exited normally" in said and "SIGTRAP" not in said, said
    written = output.read_text()
    assert "\nwrong 0\n" in written and "\ntraps 0\n" in written
    assert len(re.findall(r"^to \w+ 0$", written, re.M)) == 5 * len(STATES)


@pytest.mark.parametrize("passing", [True, False])
def test_gdb_comes_when_an_int3_is_needed(folder: Path, passing: bool) -> None:
    """
    Compact sites that were patched before have no way but int3. gdb stops a thread that runs into one, as for any
    SIGTRAP, and throws the signal away: the call is whole all the same, since the rest of the site is an instruction.
    Told to pass it, it does not stop. (`handle SIGTRAP pass` from the start would pass gdb's own breakpoints' too.)
    """
    told = ("-ex", "handle SIGTRAP nostop noprint pass") if passing else ()
    command = [str(made(folder, "host_stub", COMPACT)), "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout and program.stdout.readline() == "patched\n"
        said = gdb(*told, "-ex", "continue", "-p", str(program.pid))
        ended = program.communicate(timeout=PATIENCE)[0]
    assert ("received signal SIGTRAP" in said) is not passing, said
    assert program.returncode == 0 and "\nelsewhere 0\n" in ended and "traps 0\n" not in ended


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_valgrind(folder: Path, form: tuple[str, str]) -> None:
    """Updates take effect without --smc-check=all."""
    valgrind = ("valgrind", "-q", "--error-exitcode=9", "--fair-sched=yes")
    said = facts(*valgrind, made(folder, "host_update", form), *STATES)
    assert said["to"] == DONE and said["wrong"] == "0"


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_qemu_user_mode(folder: Path, form: tuple[str, str]) -> None:
    """
    Its default processor is AMD's, so aligned sites change by stores. It has a thread of its own that blocks all
    signals, which looks like one of the program's: what needs an int3 is -EBUSY then, or done without.
    """
    said = facts("qemu-x86_64", made(folder, "host_update", form), *STATES)
    assert said["wrong"] == "0" and int(said["calls"]) > 0
    if form == COMPACT:
        assert set(said["to"].split()) <= {"0", str(-errno.EBUSY)} and "0" in said["to"].split()
    else:
        assert said["to"] == DONE


@pytest.mark.parametrize(
    ("cc", "sanitizer", "form"),
    [
        ("gcc-12", "thread", COMPACT),
        ("gcc-12", "address,undefined", ALIGNED),
        ("clang-14", "thread", ALIGNED),
        ("clang-14", "address,undefined", COMPACT),
    ],
)
def test_sanitizers(folder: Path, cc: str, sanitizer: str, form: tuple[str, str]) -> None:
    flags = ("-DFEW_SITES", "-O1", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=undefined")
    program = made(folder, "host_update", form, cc, *flags)
    for protocol in ("auto", "int3-push", "int3-resume"):
        said = facts(program, "-r", "5", *STATES, STATIC_CALL_PROTOCOL=protocol, TSAN_OPTIONS="exitcode=66")
        assert set(said["to"].split()) == {"0"} and said["wrong"] == "0"


# ---- shadow stacks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", INLINE, ids="-".join)
def test_a_shadow_stack_sends_traps_to_the_stub(folder: Path, form: tuple[str, str]) -> None:
    """The target sees where it will return: in the stub if there is a shadow stack (pretended), or if asked for."""
    plain = made(folder, "host_stub", form)
    shadow = made(folder, "host_stub", form, "gcc-12", "-O1", "-DSTATIC_CALL_SHADOW_STACK=1")
    pushed = facts(plain, STATIC_CALL_PROTOCOL="int3-push")
    assert pushed["traps"] != "0" and pushed["in_stubs"] == pushed["elsewhere"] == "0"
    for program, protocol in ((shadow, "int3-push"), (plain, "int3-stub")):
        stubbed = facts(program, STATIC_CALL_PROTOCOL=protocol)
        assert stubbed["in_stubs"] != "0" and stubbed["elsewhere"] == "0"


@pytest.mark.parametrize("form", INLINE, ids="-".join)
def test_a_real_shadow_stack(folder: Path, form: tuple[str, str]) -> None:
    """Where processor and kernel have one; elsewhere the program finds that it cannot be had."""
    done = tried(made(folder, "host_stub", form), "shadow", STATIC_CALL_PROTOCOL="int3-push")
    if " user_shstk" not in Path("/proc/cpuinfo").read_text():
        assert done.returncode == 5
        return
    assert done.returncode == 0, done.stderr
    assert "\nelsewhere 0\n" in done.stdout and "in_stubs 0\n" not in done.stdout
