# SPDX-License-Identifier: MIT
"""Programs that are started in place of us, or that we wait for. Knows processes and signals alone."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


DEPENDENCIES = ("DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES")
"""With these set, gcc and clang add to the file that they name whenever they preprocess."""

_kept_stdin = False


def become(command: list[str]) -> NoReturn:
    """Run `command` in our place."""
    sys.stdout.flush()
    _rewind()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        _missing(command[0], error)
        raise SystemExit(127) from None


def spawn(command: list[str], **env: str) -> int:
    """Run `command` with `env` beside our own, and return its exit status; what a signal ends, ends us likewise."""
    import signal

    _rewind()
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # A signal that comes as soon as the child is there has to wait until there is somebody who forwards it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        child = os.posix_spawnp(command[0], command, {**os.environ, **env}, setsigmask=mask)
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _missing(command[0], error)
        return 127

    def forward(number: int, frame: object) -> None:
        os.kill(child, number)

    caught = [number for number in stops if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in caught}
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    status = os.waitpid(child, 0)[1]
    for number, handler in before.items():
        signal.signal(number, handler)
    if os.WIFSIGNALED(status):
        last = os.WTERMSIG(status)
        if last != signal.SIGKILL:
            signal.signal(last, signal.SIG_DFL)
        os.kill(os.getpid(), last)
    return os.waitstatus_to_exitcode(status)


def keep_stdin() -> None:
    """Have standard input hold what it has held, for all who will read it: us and each compiler."""
    global _kept_stdin
    put_on_stdin(sys.stdin.buffer.read())
    _kept_stdin = True


def put_on_stdin(data: bytes) -> None:
    """Have standard input hold `data`."""
    kept = os.memfd_create("stdin", 0)
    with os.fdopen(os.dup(kept), "wb") as file:
        file.write(data)
    os.lseek(kept, 0, os.SEEK_SET)
    os.dup2(kept, 0)


def _rewind() -> None:
    """Who has read it before has left it at its end."""
    if _kept_stdin:
        os.lseek(0, 0, os.SEEK_SET)


def _missing(name: str, error: OSError) -> None:
    print(f"instrument: error: the compiler '{name}' cannot be run: {error.strerror} [IN010]", file=sys.stderr)


def asking() -> dict[str, str]:
    """The environment of a compiler that only answers a question: without what would have it write dependencies."""
    return {name: value for name, value in os.environ.items() if name not in DEPENDENCIES}


def output_of(command: list[str]) -> bytes | None:
    """What `command` prints, None if it cannot be run or fails. (subprocess takes 10 ms to import.)"""
    _rewind()
    reader, writer = os.pipe()
    env = asking()
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    try:
        child = os.posix_spawnp(command[0], command, env, file_actions=actions)
    except OSError:
        os.close(reader)
        return None
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as file:
        text = file.read()
    return None if os.waitpid(child, 0)[1] else text
