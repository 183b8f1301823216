# SPDX-License-Identifier: MIT
"""Torn updates: four threads call while one updates as fast as it can; each protocol, transition and layout."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.toolchain import FORMS, attempt, build, instrumented

MILLISECONDS = str(int(float(os.environ.get("STRESS_SECONDS", "0.15")) * 1000))
PROTOCOLS = ("auto", "int3-push", "int3-resume", "atomic")
TRANSITIONS = [
    ("a", "b"),
    ("a", "null"),
    ("a", "ret0"),
    ("a", "far"),
    ("null", "ret0"),
    ("far", "null"),
    ("far", "ret0"),
    ("far", "far2"),
]


@pytest.fixture(scope="session")
def torn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    mode, layout = request.param
    folder = tmp_path_factory.mktemp("torn")
    return build(
        "gcc-12", instrumented("torn", folder / "out", mode, layout), folder / f"torn-{mode}-{layout}", "-O2"
    )


def documented_by_processor() -> bool:
    vendor = re.search(r"vendor_id\s*:\s*(\S+)", Path("/proc/cpuinfo").read_text())
    return vendor is not None and vendor[1] in ("AuthenticAMD", "HygonGenuine")


def refused(binary: Path, protocol: str, transition: tuple[str, str]) -> bool:
    """Whether `atomic` must say no: compact sites always, changes of form where the manual promises nothing."""
    if protocol != "atomic":
        return False
    if "inline-asm-compact" in binary.name:
        return True
    return not documented_by_processor() and transition not in (("a", "b"), ("a", "ret0"))


@pytest.mark.parametrize("transition", TRANSITIONS, ids="-".join)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("torn", FORMS, indirect=True, ids="-".join)
def test_every_call_is_whole(torn: Path, protocol: str, transition: tuple[str, str]) -> None:
    done = attempt([torn, *transition, MILLISECONDS], STATIC_CALL_PROTOCOL=protocol)
    if refused(torn, protocol, transition):
        assert done.returncode == 3, done.stdout + done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    counted = dict(re.findall(r"(\w+) (\d+)", done.stdout))
    assert counted["wrong"] == "0" and int(counted["updates"]) > 10 and int(counted["calls"]) > 1000
    # Three synchronisations an update at the most, however many sites it changes.
    assert int(counted["syncs"]) <= 3 * int(counted["updates"])
    assert counted["sites"] == ("0" if "trampoline" in torn.name else "65")
    if protocol == "atomic":
        assert counted["int3"] == "0"
    if protocol.startswith("int3"):
        assert counted["atomic"] == "0"
