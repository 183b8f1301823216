# SPDX-License-Identifier: MIT
"""`.pre-commit-hooks.yaml`: its own example, run by pre-commit in a repository, with the commands that are installed
already (test_package.py installs them anew)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.toolchain import ROOT, attempt, run
from tests.unit.fakes import lay

MANIFEST = ROOT / ".pre-commit-hooks.yaml"
KEY = "#include <static_call.h>\nint one(int);\nDECLARE_STATIC_CALL(op, one);\n"
FILES = {
    "include/key.h": KEY,
    "src/one.c": '#include "key.h"\nint one(int x) { return x; }\nDEFINE_STATIC_CALL(op, one);\n',
    "src/call.c": '#include "key.h"\nint call(int x) { return static_call(op)(x); }\n',
}
ME = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One with the example's configuration, in which all is committed and fine."""
    hooks = {hook["id"]: hook for hook in yaml.safe_load(MANIFEST.read_text())}
    example = "".join(re.findall(r"^# ?(  .*\n)", MANIFEST.read_text(), re.MULTILINE))
    (asked,) = yaml.safe_load(example)
    local = [hooks[hook["id"]] | {"language": "system"} | hook for hook in asked["hooks"]]
    config = yaml.safe_dump({"repos": [{"repo": "local", "hooks": local}]})
    lay(tmp_path, {**FILES, ".pre-commit-config.yaml": config})
    words = ["src", "include", "-o", "instrumented", "-q", "--", "-Iinclude"]
    run([sys.executable, "-m", "instrument", *words], cwd=tmp_path)
    run(["git", "init", "-q", "."], cwd=tmp_path)
    run(["git", "add", "."], cwd=tmp_path)
    run(["git", "commit", "-q", "-m", "all"], cwd=tmp_path, **ME)
    return tmp_path


def commit(repository: Path, name: str, text: str) -> tuple[int, str]:
    """What pre-commit says of a change to one file."""
    (repository / name).write_text(text)
    run(["git", "add", "."], cwd=repository)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = attempt(
        [sys.executable, "-m", "pre_commit", "run", "--color=never"],
        repository,
        PATH=path,
        PRE_COMMIT_HOME=str(repository.parent / "cache"),
        **ME,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_manifest_is_one() -> None:
    run([sys.executable, "-m", "pre_commit", "validate-manifest", MANIFEST])


def test_a_change_passes_with_its_copy_and_is_told_without(repository: Path) -> None:
    more = FILES["src/call.c"] + "int more(int x) { return static_call(op)(x + 1); }\n"
    status, said = commit(repository, "src/call.c", more)
    assert status == 1 and "can be instrumented" in said and "instrument: would write src/call.c" in said
    assert said.count("Passed") == 1 and said.count("Failed") == 1
    words = ["src", "include", "-o", "instrumented", "-q", "--", "-Iinclude"]
    run([sys.executable, "-m", "instrument", *words], cwd=repository)
    assert commit(repository, "src/call.c", more)[0] == 0


def test_a_call_on_a_lower_form_fails(repository: Path) -> None:
    wide = (
        KEY + "int wide(int, ...);\nDECLARE_STATIC_CALL(all, wide);\nint f(void) { return static_call(all)(1, 2); }\n"
    )
    status, said = commit(repository, "src/wide.c", wide)
    assert status == 1 and "src/wide.c:6:22: error: static_call(all) is left on the trampoline form" in said
