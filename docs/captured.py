# SPDX-License-Identifier: MIT
"""Run the commands in a document's console blocks and put their output there.

    python docs/captured.py docs/inspect.md

They run in a directory with the program of tests/e2e/obedient.py, built (`prog`) and running ($PID). A comment
`tell: WORD` before a block is said to the running program first; `later: WORD...` while the block's command runs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e.obedient import Program, build, running  # noqa: E402

_STEP = re.compile(
    r"<!-- (?P<when>tell|later): (?P<words>[^>]*) -->|```console\n\$ (?P<command>[^\n]*)\n.*?```", re.DOTALL
)


def captured(text: str, folder: Path, program: Program) -> str:
    """The document with every block's output as it is now."""
    environment = {
        **os.environ,
        "PID": str(program.pid),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    later: list[str] = []

    def step(found: re.Match[str]) -> str:
        if found["when"] == "tell":
            program.tell(found["words"])
        elif found["when"] == "later":
            later.extend(found["words"].split())
        else:
            teller = threading.Thread(target=_tell, args=(program, [*later]))
            later.clear()
            teller.start()
            done = subprocess.run(
                found["command"], shell=True, cwd=folder, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            teller.join()
            shown = done.stdout.replace(f"{folder}/", "").replace(f"{ROOT}/", "").rstrip()
            return f"```console\n$ {found['command']}\n{shown}\n```"
        return found[0]

    return _STEP.sub(step, text)


def _tell(program: Program, words: list[str]) -> None:
    for word in words:
        time.sleep(1.2)
        program.tell(word)


def again(path: Path) -> str:
    """The document at `path` with every block's output as it is now."""
    with tempfile.TemporaryDirectory() as folder, running(build(Path(folder))) as program:
        return captured(path.read_text(), Path(folder), program)


def main(names: list[str]) -> int:
    for name in names:
        Path(name).write_text(again(Path(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
