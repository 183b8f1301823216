# SPDX-License-Identifier: MIT
"""instrument.putoff, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def told(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


PUT_OFF = "from instrument.putoff import put_off\n"


def test_a_package_is_run_when_more_than_its_modules_is_asked_for() -> None:
    program = (
        "put_off('pycparser')\nfrom pycparser import c_ast\nfrom pycparser.c_generator import CGenerator\n"
        "assert 'pycparser.c_parser' not in sys.modules\n"
        "import pycparser\nassert pycparser.CParser().parse('int x;').ext[0].name == 'x'\n"
        "assert pycparser.c_ast is c_ast and 'pycparser.c_parser' in sys.modules\nprint(pycparser.__version__)"
    )
    assert told(PUT_OFF + program) == told("import pycparser; print(pycparser.__version__)")


def test_a_module_is_run_when_it_is_used() -> None:
    program = (
        "put_off('pdb')\nimport pdb\nassert 'cmd' not in sys.modules\nprint(pdb.Pdb.__name__, 'cmd' in sys.modules)"
    )
    assert told(PUT_OFF + program) == "Pdb True"


def test_what_is_not_there_stays_so() -> None:
    program = (
        "put_off('no_such_module', 'pdb')\n"
        "try: import no_such_module\nexcept ModuleNotFoundError: print('none')\n"
        "import pdb\nprint(hasattr(pdb, 'no_such_thing'))"
    )
    assert told(PUT_OFF + program).split() == ["none", "False"]


def test_what_is_there_stays_as_it_is() -> None:
    assert told(f"import json\n{PUT_OFF}put_off('json')\nprint(sys.modules['json'] is json)") == "True"


def test_a_compile_with_calls_imports_no_parser_and_no_debugger(tmp_path: Path) -> None:
    include = Path(__file__).resolve().parents[2] / "c_runtime/include"
    source = tmp_path / "a.c"
    source.write_text(
        "#include <static_call.h>\nint f(int);\nDECLARE_STATIC_CALL(k, f);\n"
        "int g(void) { return static_call(k)(1); }\n"
    )
    command = ["gcc-12", f"-I{include}", "-c", str(source), "-o", f"{source}.o"]
    launcher = [sys.executable, "-X", "importtime", "-m", "instrument", "cc", "--strict", "--"]
    done = subprocess.run([*launcher, *command], capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"jinja2.environment", "elftools.dwarf.dwarfinfo", "pycparser.c_generator"} <= imported
    heavy = {"bdb", "pycparser.c_parser", "jinja2.bccache", "subprocess", "logging", "concurrent.futures"}
    assert not imported & heavy
