# SPDX-License-Identifier: MIT
"""A live process that is looked at, once or again and again, by the descriptions of the runtimes in it.

Puts the process's memory and the readers together; must not know how anything is shown.
"""

from __future__ import annotations

import errno
import time

from instrument import binary, description
from instrument.binary import Binary, Wrong
from instrument.description import Failure, Runtime, UnknownVersionError
from instrument.diagnostics import Finding, InstrumentError
from instrument.live import Process
from instrument.memory import Unreadable
from instrument.space import Names
from instrument.value import replace

_AGAIN = 6
"""Looks that must find the same disagreement before it is one."""
_BETWEEN = 0.002


class Watched:
    """A process and the runtimes in it. Raises InstrumentError where there are none."""

    def __init__(self, pid: int) -> None:
        self.process = Process(pid)
        self._names = Names(self.process)
        self._found = self._find()
        self._keys: dict[int, str] = {}

    def _find(self) -> list[int]:
        found = description.find(self.process.mappings(), self.process.memory())
        if not found:
            raise self._refusal(
                "there is no runtime of static calls in it",
                "it was built without the runtime (instrument --libs), or with one older than this tool",
            )
        return found

    def _refusal(self, why: str, *notes: str) -> InstrumentError:
        finding = Finding("IN050", f"cannot look into process {self.process.name}: {why}", notes=notes)
        return InstrumentError(finding, status=2)

    def counters(self) -> tuple[tuple[int, ...], ...]:
        """Each runtime's statistics."""
        memory = self.process.memory()
        try:
            return tuple(description.updates(memory, at) for at in self._found)
        except Unreadable:
            self.process.refresh()
            raise self._refusal("its runtime went away") from None

    def end(self) -> str:
        """What has become of the process, which could be looked into before."""
        went_on = "runs another program, or has unloaded its runtime"
        return f"process {self.process.pid} {went_on if self.process.alive() else 'has ended'}"

    def look(self, whole: bool = False) -> Binary:
        """What is so now, as far as one moment can be seen; what is mapped is looked at anew."""
        if self.process.refresh():
            self._names = Names(self.process)
            self._found = self._find()
        memory = self.process.memory()
        try:
            runtimes = [description.read(memory, at) for at in self._found]
        except UnknownVersionError as error:
            raise self._refusal(str(error)) from None
        except Unreadable:
            raise self._refusal("its runtime's description leads nowhere: its memory was overwritten") from None
        found = binary.of_runtimes(self.process, self._names, "process", memory, runtimes, whole)
        self._keys = {key.address: key.name for key in found.keys}
        return replace(found, wrong=self._lasting(found.wrong, runtimes)) if found.wrong else found

    def _lasting(self, wrong: tuple[Wrong, ...], runtimes: list[Runtime]) -> tuple[Wrong, ...]:
        """Those that are still so a little later: an update that was just being made looks like damage once."""
        for _ in range(_AGAIN - 1):
            time.sleep(_BETWEEN)
            again = binary.of_runtimes(self.process, self._names, "process", self.process.memory(), runtimes, False)
            wrong = tuple(each for each in wrong if each in again.wrong)
            if not wrong:
                break
        return wrong

    def obstacle(self, failure: Failure) -> str:
        """Why an update failed, in words, as of the last look."""
        name = errno.errorcode.get(-failure.error, str(failure.error))
        key = f", key {self._keys[failure.key]}" if failure.key in self._keys else ""
        where = f", at {self._names.name(failure.address)}" if failure.address else ""
        return f"{failure.what} (-{name}{key}{where})"

    def owner(self, address: int) -> str:
        """The path of the file that the address is of."""
        return self._names.path(address).removesuffix(" (deleted)")
