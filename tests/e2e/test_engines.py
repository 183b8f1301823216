# SPDX-License-Identifier: MIT
"""The launcher beside what users already build with: caches, compilers on other machines, an editor's server.

Each is the real one, from Debian. An object may not tell how it came about: whatever stands before or behind the
launcher, it is the one that the launcher and the compiler alone make.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.toolchain import INCLUDE, attempt, instrument, run

TOOL = Path(sys.executable).with_name("instrument")
MODES = ("inline-asm", "direct")
CC = "gcc-12"

FILES = {
    "keys.h": "#include <static_call.h>\nint add(int, double);\nDECLARE_STATIC_CALL(key, add);\n",
    "calls.c": '#include "keys.h"\nDEFINE_STATIC_CALL(key, add);\n'
    "int twice(int a) { return static_call(key)(a, 5.0) + static_call(key)(a, 6.0); }\n",
    "target.c": '#include "keys.h"\nint add(int a, double b) { return a + (int)b; }\n',
    "none.c": '#include <stdio.h>\nint none(int x) { return printf("%d", x); }\n',
}
SOURCES = tuple(name for name in FILES if name.endswith(".c"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with sources, which is the working directory, a TMPDIR of its own, and `links/gcc-12`, which is the
    launcher."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    for name in [*os.environ]:
        if name.startswith(("INSTRUMENT_", "CCACHE_", "SCCACHE_", "DISTCC_", "ICECC_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "project"
    (folder / "links").mkdir(parents=True)
    (folder / "links" / CC).symlink_to(TOOL)
    (folder / "distcc").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


def launcher(mode: str) -> list[str]:
    return [str(TOOL), "cc", "--mode", mode, "--"]


def built(command: Sequence[str | Path], flags: Sequence[str] = (), **env: str) -> dict[str, bytes]:
    """The objects of all sources, by `command`, which has nothing to say."""
    objects = {}
    for source in SOURCES:
        name = Path(source).with_suffix(".o")
        done = attempt([*command, "-O2", *flags, INCLUDE, "-c", source, "-o", name], **env)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
        objects[source] = name.read_bytes()
        name.unlink()
    return objects


def wanted(mode: str, compiler: str = CC, flags: Sequence[str] = ()) -> dict[str, bytes]:
    """The objects that the launcher and the compiler alone make; the calls in them are not the compiler's."""
    objects = built([*launcher(mode), compiler], flags)
    plain = built([compiler], flags)
    assert objects["calls.c"] != plain["calls.c"] and objects["none.c"] == plain["none.c"]
    return objects


# ---- caches ---------------------------------------------------------------------------------------

Engine = tuple[list[str | Path], Mapping[str, str]]


def after_us(mode: str, project: Path) -> Engine:
    return [*launcher(mode), "ccache", CC], {}


def prefix(mode: str, project: Path) -> Engine:
    """ccache takes each word of its prefix for a program, so there is a script."""
    script = project / "prefix"
    script.write_text(f'#!/bin/sh\nexec {TOOL} cc -- "$@"\n')
    script.chmod(0o755)
    return ["ccache", CC], {"CCACHE_PREFIX": str(script), "INSTRUMENT_CC": f"--mode {mode}", "CCACHE_NAMESPACE": mode}


def link(mode: str, project: Path) -> Engine:
    return ["ccache", project / "links" / CC], {"INSTRUMENT_CC": f"--mode {mode}", "CCACHE_NAMESPACE": mode}


def link_in_path(mode: str, project: Path) -> Engine:
    return ["ccache", CC], {**link(mode, project)[1], "PATH": f"{project / 'links'}{os.pathsep}{os.environ['PATH']}"}


def counted() -> tuple[int, int]:
    """ccache's hits and misses since the last time."""
    words = run(["ccache", "--print-stats"]).split()
    run(["ccache", "-z"])
    count = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    return count["direct_cache_hit"] + count["preprocessed_cache_hit"], count["cache_miss"]


@pytest.mark.parametrize("order", [after_us, prefix, link, link_in_path])
def test_ccache(order: Callable[[str, Path], Engine], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All hits in the second build, and no object of another mode or of none: they share a cache here."""
    monkeypatch.setenv("CCACHE_DIR", str(project / "cache"))
    built(["ccache", CC], ["-g"])
    assert counted() == (0, len(SOURCES))
    for mode in MODES:
        objects = wanted(mode, flags=["-g"])
        command, env = order(mode, project)
        assert built(command, ["-g"], **env) == objects
        assert counted()[1] > 0
        assert built(command, ["-g"], **env) == objects
        assert counted() == (len(SOURCES), 0)


def test_ccache_sees_a_changed_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCACHE_DIR", str(project / "cache"))
    command = after_us("inline-asm", project)[0]
    before = built(command)
    (project / "keys.h").write_text(FILES["keys.h"].replace("double", "long"))
    (project / "target.c").write_text(FILES["target.c"].replace("double", "long"))
    changed = built(command)
    assert changed["calls.c"] != before["calls.c"]
    assert changed == wanted("inline-asm")


def test_sccache(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCCACHE_DIR", str(project / "cache"))
    monkeypatch.setenv("SCCACHE_SERVER_PORT", str(free_port()))
    monkeypatch.setenv("SCCACHE_IDLE_TIMEOUT", "60")
    run(["sccache", "--start-server"])
    try:
        for mode in MODES:
            objects = wanted(mode)
            for _ in range(2):
                run(["sccache", "--zero-stats"])
                assert built([*launcher(mode), "sccache", CC]) == objects
            stats = json.loads(run(["sccache", "--show-stats", "--stats-format", "json"]))["stats"]
            assert sum(stats["cache_hits"]["counts"].values()) == len(SOURCES)
            assert sum(stats["cache_misses"]["counts"].values()) == 0
    finally:
        run(["sccache", "--stop-server"])


# ---- other machines -------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def daemon(command: Sequence[str | Path], log: Path, **env: str) -> Iterator[int]:
    """`command` with all that it starts, killed at the end. Its process id."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **env},
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        # iceccd is a leader of its group already, and ends its children itself on SIGTERM.
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, None)):
            os.killpg(process.pid, number)
            try:
                process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue


def until(text: str, log: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while text not in log.read_text(errors="replace"):
        assert time.monotonic() < end, f"no '{text}' in:\n{log.read_text(errors='replace')}"
        time.sleep(0.05)


@contextmanager
def distccd(log: Path, **env: str) -> Iterator[str]:
    """A distcc server on loopback; its name for DISTCC_HOSTS."""
    port = free_port()
    # It will not run as root, and another user may not be able to read our Python: so it is root by another name.
    other = ["unshare", "--user", "--map-user=1", "--map-group=1"] if os.geteuid() == 0 else []
    serve = ["distccd", "--daemon", "--no-detach", "--log-stderr", "--enable-tcp-insecure", "--jobs", "2"]
    where = ["--listen", "127.0.0.1", "--allow", "127.0.0.1", "--port", str(port)]
    with daemon([*other, *serve, *where], log, **env):
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"


def compiled_by(log: Path) -> list[str]:
    """The sources that a distcc server has compiled."""
    return re.findall(r"COMPILE_OK .* (\S+\.c)$", log.read_text(), re.MULTILINE)


def test_distcc_after_us(project: Path) -> None:
    logs = [project / "one.log", project / "two.log"]
    with distccd(logs[0]) as one, distccd(logs[1]) as two:
        for mode, hosts in zip(MODES, (f"{one} {two}", f"{two} {one}"), strict=True):
            env = {"DISTCC_HOSTS": hosts, "DISTCC_FALLBACK": "0", "DISTCC_DIR": str(project / "distcc")}
            assert built([*launcher(mode), "distcc", CC], **env) == wanted(mode)
    assert [compiled_by(log) for log in logs] == [list(SOURCES), list(SOURCES)]


def test_distcc_before_us(project: Path) -> None:
    """The launcher is the compiler on both sides: here it preprocesses, there it prepares what the compiler makes."""
    path = f"{project / 'links'}{os.pathsep}{os.environ['PATH']}"
    for mode in MODES:
        log, settings = project / f"{mode}.log", {"PATH": path, "INSTRUMENT_CC": f"--mode {mode}"}
        with distccd(log, **settings) as host:
            # distcc would look for the compiler by the name with the machine's triplet, of which there is no link.
            env = {"DISTCC_HOSTS": host, "DISTCC_FALLBACK": "0", "DISTCC_DIR": str(project / "distcc")}
            assert built(["distcc", CC], **settings, **env, DISTCC_NO_REWRITE_CROSS="1") == wanted(mode)
        assert compiled_by(log) == list(SOURCES)


@contextmanager
def icecream(folder: Path) -> Iterator[dict[str, str]]:
    """A scheduler and two machines: the environment of a client on the first, for which the second compiles with
    nothing but what it is sent."""
    folder.chmod(0o755)
    scheduler, ports = folder / "scheduler.log", (free_port(), free_port())
    # As icecream's own tests have it: all by loopback, and however busy this machine is.
    common = {"ICECC_TESTS": "1", "ICECC_TEST_SCHEDULER_PORTS": f"{ports[0]}:{ports[1]}"}
    machines: dict[str, tuple[list[str], dict[str, str]]] = {}
    for name, more in (("one", ["--no-remote"]), ("two", ["-p", str(free_port())])):
        (folder / name).mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder / name, "icecc", "icecc")
        serve = ["iceccd", "-n", "tests", "-m", "2", "-s", f"localhost:{ports[0]}", "-vvv", "-N", name]
        env = {**common, "ICECC_TEST_SOCKET": str(folder / name / "socket")}
        machines[name] = ([*serve, "-b", str(folder / name), *more], env)
    with (
        daemon(["icecc-scheduler", "-n", "tests", "-p", str(ports[0]), "-vvv"], scheduler, **common),
        daemon(machines["one"][0], folder / "one.log", **machines["one"][1]),
        daemon(machines["two"][0], folder / "two.log", **machines["two"][1]),
    ):
        run(["icecc", "--build-native", "gcc"], cwd=folder, ICECC_ENV_COMPRESSION="none")
        (toolchain,) = folder.glob("*.tar*")
        for name in machines:
            until(f"login {name} ", scheduler)
        # Without its own -fdirectives-only, which leaves macros to be expanded there.
        client = {"ICECC_VERSION": str(toolchain), "ICECC_PREFERRED_HOST": "two", "ICECC_REMOTE_CPP": "0"}
        yield {**machines["one"][1], **client, "ICECC_TEST_REMOTEBUILD": "1"}


def test_icecream_after_us(project: Path) -> None:
    # Its servers give up root, so their directory is not in pytest's, which is ours alone.
    with tempfile.TemporaryDirectory(prefix="icecream-", dir="/tmp") as folder, icecream(Path(folder)) as env:
        for mode in MODES:
            assert built([*launcher(mode), "icecc", "gcc"], **env) == wanted(mode, "gcc")
        told = (Path(folder) / "scheduler.log").read_text()
        assert len(re.findall(r"END \d+ status=0 .* server=two", told)) == len(MODES) * len(SOURCES), told


# ---- compile_commands.json ------------------------------------------------------------------------


def database(folder: Path, compiler: Sequence[str | Path], names: Sequence[str]) -> Path:
    folder.mkdir()
    command = [*map(str, compiler), "-O2", "-Wall", INCLUDE, "-c"]
    entries = [{"directory": str(Path.cwd()), "file": name, "arguments": [*command, name]} for name in names]
    (folder / "compile_commands.json").write_text(json.dumps(entries))
    return folder


def diagnostics(source: str, commands: Path) -> list[str]:
    """What clangd finds in a source."""
    told = attempt(["clangd", f"--check={source}", f"--compile-commands-dir={commands}"]).stderr
    assert "Compile command from CDB" in told, told
    return re.findall(r"^E\[[^]]*\] (.*)", told, re.MULTILINE)


def test_clangd(project: Path) -> None:
    names = [*SOURCES, "broken.c"]
    (project / "broken.c").write_text(
        '#include "keys.h"\nint broken(void) { return static_call(key)(unknown, 1.0); }\n'
    )
    plain = database(project / "plain", [CC], names)
    expected = {name: diagnostics(name, plain) for name in names}
    assert [name for name in names if expected[name]] == ["broken.c"]
    linked = database(project / "linked", [project / "links" / CC], names)
    assert {name: diagnostics(name, linked) for name in names} == expected

    # Instrumented by -p, the sources and what clangd reads are as they were.
    tree = [project / name for name in FILES]
    before = (plain / "compile_commands.json").read_bytes()
    done = instrument(*tree, "-p", plain, "-o", project.parent / "out", "-q")
    assert done.returncode == 0, done.stderr
    assert (plain / "compile_commands.json").read_bytes() == before
    assert {name: diagnostics(name, plain) for name in names} == expected


@pytest.mark.parametrize(
    "launched", [("cc", "--"), ("cc", "--mode", "direct", "--"), ("cc", "--", "ccache")], ids=" ".join
)
def test_commands_that_go_through_the_launcher_are_read(launched: tuple[str, ...], project: Path) -> None:
    """`instrument -p` makes of them what it makes of the compiler's own."""
    outs = []
    for name, words in (("plain", [CC]), ("launched", [TOOL, *launched, CC])):
        out = project.parent / f"out-{name}"
        done = instrument(*map(Path, FILES), "-p", database(project / name, words, SOURCES), "-o", out, "-q")
        assert done.returncode == 0, done.stderr
        made = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        # The dependency file names the output.
        outs.append({str(path): text for path, text in made.items() if path.suffix != ".d"})
    assert set(FILES) < outs[0].keys() and outs[0]["calls.c"] != FILES["calls.c"].encode()
    assert outs[0] == outs[1]
