# SPDX-License-Identifier: MIT
"""What is run of docs/model/site.pml: each case is a choice of the model's switches and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

THREADS = 2
UPDATES = 3

DEFAULTS = MappingProxyType(
    {
        "THREADS": THREADS,
        "UPDATES": UPDATES,
        "CORE": 0,
        "MIXED": 0,
        "MISSING": 0,
        "ORDERED": 0,
        "FINISH": 0,
        "STRAIGHT": 0,
        "SLOT": 0,
        "TAIL": 0,
        "RETRY": 1,
        "AGAIN": 1,
        "REFERENCES": 1,
        "COUNT_FIRST": 0,
    }
)


@dataclass(frozen=True)
class Case:
    name: str
    protocol: str
    store: str
    fetch: str
    switches: dict[str, int] = field(default_factory=dict)
    fault: str | None = None
    """The property that the search must find violated; None if it must find nothing."""

    @property
    def defines(self) -> list[str]:
        assert self.switches.keys() <= DEFAULTS.keys()
        chosen = {**DEFAULTS, **self.switches, "PROTOCOL": self.protocol, "STORE": self.store, "FETCH": self.fetch}
        return [f"-D{name}={value}" for name, value in chosen.items()]


def _straddling(name: str, protocol: str, fault: str | None = None, **switches: int) -> Case:
    """A site anywhere: every byte stored and fetched for itself, every transition."""
    return Case(name, protocol, "BYTE", "BYTE", {"CORE": 1, **switches}, fault)


def _aligned(name: str, protocol: str, fault: str | None = None, **switches: int) -> Case:
    """The displacement is one aligned word, stored and fetched whole."""
    return Case(name, protocol, "DISPLACEMENT", "DISPLACEMENT", switches, fault)


RIGHT = (
    _aligned("resume", "RESUME"),
    _aligned("resume, the handler stores", "RESUME", FINISH=1),
    _straddling("push", "PUSH"),
    _aligned("push aligned", "PUSH", CORE=1),
    Case("push, one store of the word", "PUSH", "WORD", "BYTE", {"CORE": 1}),
    _straddling("push at a tail call", "PUSH", TAIL=1),
    _straddling("int3 on a trampoline", "PUSH", CORE=0, SLOT=1),
    _aligned("atomic", "STORES"),
    Case("atomic core, documented", "STORES", "WORD", "WORD", {"CORE": 1}),
)

UNNECESSARY = (
    _aligned("resume without sync 1", "RESUME", MISSING=1),
    _aligned("resume without sync 2", "RESUME", MISSING=2),
    _aligned("resume without sync 3", "RESUME", MISSING=4),
    _straddling("push without sync 3", "PUSH", MISSING=4),
    _straddling("push without sync 2, fetch in order", "PUSH", MISSING=2, ORDERED=1),
)
"""Found right although something is left out: what the model does not show to be necessary."""

FAULTY = (
    _aligned("resume changes the core", "RESUME", "whole", CORE=1),
    _aligned("resume, then push changes the core", "RESUME", "whole", CORE=1, MIXED=1),
    Case("resume straddling", "RESUME", "BYTE", "BYTE", fault="whole"),
    Case("resume, displacement torn", "RESUME", "DISPLACEMENT", "BYTE", fault="whole"),
    _aligned("resume without syncs 2 and 3", "RESUME", "timely", MISSING=6),
    _straddling("push without sync 1", "PUSH", "whole", MISSING=1),
    _straddling("push without sync 1, fetch in order", "PUSH", "whole", MISSING=1, ORDERED=1),
    _straddling("push without sync 2", "PUSH", "whole", MISSING=2),
    _straddling("push straight to the target", "PUSH", "timely", STRAIGHT=1),
    _aligned("atomic without sync", "STORES", "timely", MISSING=1),
    Case("atomic, displacement torn", "STORES", "DISPLACEMENT", "BYTE", fault="whole"),
    Case("atomic straddling", "STORES", "BYTE", "BYTE", fault="whole"),
    Case("atomic core, undocumented", "STORES", "WORD", "DISPLACEMENT", {"CORE": 1}, "whole"),
    _straddling("no look at the byte", "PUSH", "ours", RETRY=0),
    _straddling("no second look", "PUSH", "ours", AGAIN=0),
    _straddling("counted before it can be found", "PUSH", "ours", COUNT_FIRST=1),
    _straddling("no references", "PUSH", "alive", REFERENCES=0),
    _aligned("resume, no references", "RESUME", "alive", REFERENCES=0),
)

CASES = RIGHT + UNNECESSARY + FAULTY
