# SPDX-License-Identifier: MIT
"""Work on many items, spread over processes. Knows processes; must not know what the work is.

`fork` and a pipe for each, no pool: a pool has threads, and waits for ever for a worker that the kernel has killed.
Nobody may call this while threads of ours run.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_WORTH = 500
"""A process and its answer cost about as much as this many small files."""


def spread(
    work: Callable[[Sequence[_Item]], list[_Result]], items: Sequence[_Item], jobs: int, worth: int = _WORTH
) -> list[_Result]:
    """The results of `work`, one for each of `items` in their order; it is given parts of at least `worth` items.

    Raises what `work` raises, and ChildProcessError if one of the processes is killed.
    """
    shares = min(jobs, len(items) // worth)
    if shares < 2:
        return work(items)
    answers: list[list[_Result]] = []
    children: list[_Child] = []
    try:
        # Every n-th item, since the large ones of a tree lie together.
        for share in range(1, shares):
            children.append(_start(work, items[share::shares]))
        answers.append(work(items[::shares]))
        answers += [child.answer() for child in children]
    finally:
        for child in children:
            child.end()
    results: list[Any] = [None] * len(items)
    for share, answer in enumerate(answers):
        results[share::shares] = answer
    return results


@dataclass(frozen=True, slots=True)
class _Child:
    process: int
    pipe: BinaryIO

    def answer(self) -> Any:
        text = self.pipe.read()
        if not text:
            raise ChildProcessError("a process that was to help has died")
        fine, value = pickle.loads(text)
        if not fine:
            raise value
        return value

    def end(self) -> None:
        """It has ended already, unless we are to stop early."""
        self.pipe.close()
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGTERM)
        os.waitpid(self.process, 0)


def _start(work: Callable[[Sequence[_Item]], list[_Result]], items: Sequence[_Item]) -> _Child:
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        os.close(writer)
        return _Child(process, os.fdopen(reader, "rb"))
    try:
        # What stops us, the handlers that the parent has set say: the work cleans up behind itself.
        try:
            answer: tuple[bool, Any] = True, work(items)
        except BaseException as error:
            answer = False, error
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
    finally:
        os._exit(0)
