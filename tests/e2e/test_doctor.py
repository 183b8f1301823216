# SPDX-License-Identifier: MIT
"""`instrument doctor`: what it finds well here, and that it finds what is wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from instrument import doctor, kernel
from tests.toolchain import ROOT, attempt, instrument


def checks(cwd: Path, **env: str) -> tuple[int, dict[str, tuple[str, str]]]:
    done = instrument("doctor", "--json", cwd=cwd, **env)
    assert not done.stderr
    return done.returncode, {c["subject"]: (c["state"], c["said"]) for c in json.loads(done.stdout)["checks"]}


def test_all_is_well_here(tmp_path: Path) -> None:
    status, found = checks(tmp_path, CC="gcc-12")
    assert status == 0 and not [subject for subject, (state, _) in found.items() if state == "wrong"]
    assert found["compiler"][1].startswith("gcc-12: gcc-12 (") and "GNU" in found["assembler"][1]
    assert found["protocol"][1].startswith("auto: ") and found["a program"][0] == "ok"
    done = instrument("doctor", cwd=tmp_path, CC="gcc-12", STATIC_CALL_PROTOCOL="int3-stub")
    assert (
        done.returncode == 0 and "int3-stub: asked for" in done.stdout and len(done.stdout.splitlines()) == len(found)
    )


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    links, home = tmp_path / "links", tmp_path / "home"
    links.mkdir()
    home.mkdir()
    own = Path(sys.executable).parent
    (links / "c99").symlink_to(own / "instrument")
    (links / "cc").symlink_to(own / "instrument")
    (home / ".instrument.toml").write_text("modus = 1\n")
    env = {"CC": "no-such-compiler", "INSTRUMENT_MOD": "direct", "STATIC_CALL_PROTCOL": "auto", "TMPDIR": "/proc",
           "INSTRUMENT_CC": "--strickt", "INSTRUMNET_MODE": "direct", "INSTRUMENT_CC_ACTIVE": "1",
           "STATIC_CALL_BLOCKED": "truts"}  # fmt: skip
    status, found = checks(home, PATH=f"{links}:{own}:/nowhere", **env)
    wrong = {subject: said for subject, (state, said) in found.items() if state == "wrong"}
    assert status == 1
    assert wrong["compiler"] == "no command no-such-compiler in PATH" and wrong["a program"].startswith(
        "cannot compile one"
    )
    assert wrong["INSTRUMENT_MOD"] == "nobody knows this variable; did you mean INSTRUMENT_MODE?"
    assert found["INSTRUMNET_MODE"] == ("note", "nothing of ours; did you mean INSTRUMENT_MODE?")
    assert wrong["INSTRUMENT_CC_ACTIVE"].endswith("unset it")
    assert wrong["STATIC_CALL_PROTCOL"].endswith("did you mean STATIC_CALL_PROTOCOL?")
    assert wrong["STATIC_CALL_BLOCKED"] == "takes trust, not 'truts'; did you mean trust?"
    assert wrong["INSTRUMENT_CC"] == "unknown option: --strickt; did you mean --strict?"
    assert wrong["configuration"] == ".instrument.toml:1: unknown setting 'modus'; did you mean mode? [IN016]"
    assert "there is no other c99 in PATH" in wrong["link c99"] and "set TMPDIR" in wrong["TMPDIR"]
    status, found = checks(tmp_path, PATH=f"{links}{os.pathsep}{os.environ['PATH']}", CC="gcc-12")
    assert found["link cc"][0] == "ok" and "stands before" in found["link cc"][1]


def test_what_lies_in_the_working_directory_is_not_run(tmp_path: Path) -> None:
    for name in ("json.py", "runpy.py", "instrument/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('not this one')\n")
    done = attempt([Path(sys.executable).parent / "instrument", "doctor"], cwd=tmp_path, CC="gcc-12")
    assert done.returncode == 0 and "a program           ok" in done.stdout


def test_what_a_compiler_cannot_do_is_told_by_its_own_words(tmp_path: Path) -> None:
    status, found = checks(tmp_path, CC="aarch64-linux-gnu-gcc", TMPDIR=str(tmp_path / "none"))
    assert status == 1 and found["target"][1].endswith("[IN005]")
    assert found["TMPDIR"] == ("note", f"/tmp; there is no directory {tmp_path}/none") and not list(
        tmp_path.iterdir()
    )
    _, found = checks(tmp_path, CC="gcc-12 -std=c90 -pedantic-errors")
    assert re.search(r"one with a static call: \S+:\d+:\d+: error: ", found["a program"][1])
    _, found = checks(tmp_path, CC="/bin/false")
    assert found["compiler"] == ("wrong", "`/bin/false --version` fails: exit status 1")
    _, found = checks(tmp_path, CC="/bin/true")
    assert found["a program"] == ("wrong", "the compiler says that all is well, and makes no program")


def test_packages_are_held_to_what_the_project_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert sorted(asked) == sorted(name + versions for name, (_, versions) in doctor.PACKAGES.items())
    monkeypatch.setattr(doctor.metadata, "version", {"pycparser": "2.21", "jinja2": "4.0"}.get)
    monkeypatch.setattr(doctor.sys, "prefix", doctor.sys.base_prefix)
    found = {check.subject: check for check in doctor._packages(("pycparser", "jinja2"))}
    old = f"2.21, which is too old; {sys.executable} -m pip install --target {ROOT} 'pycparser>=3.0,<4'"
    assert (found["pycparser"].state, found["pycparser"].said) == (doctor.State.WRONG, old)
    assert found["jinja2"].state is doctor.State.NOTE and "newer" in found["jinja2"].said


@pytest.mark.parametrize("probe", ["membarrier", "mdwe", "shadow_stack", "procmap_query", "proc_mem"])
def test_a_probe_answers_or_tells_the_kernels_error(probe: str) -> None:
    try:
        assert getattr(kernel, probe)() in (True, False)
    except kernel.Refused as error:
        assert str(error).startswith("E")


def test_mdwe_is_seen_where_it_is_in_force() -> None:
    program = (
        "import ctypes, sys; from instrument import kernel\n"
        "refused = ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)\n"
        "try: sys.exit(kernel.mdwe() == bool(refused))\n"
        "except kernel.Refused: sys.exit(not refused)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
