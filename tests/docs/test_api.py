# SPDX-License-Identifier: MIT
"""docs/api.md is what docs/api.py makes of the headers, and has every function and type of theirs."""

from __future__ import annotations

import re
import runpy

from tests.toolchain import ROOT


def test_the_page_is_that_of_the_headers() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "api.py"))["page"]()
    assert (ROOT / "docs" / "api.md").read_text() == page, "python docs/api.py"
    header = (ROOT / "c_runtime" / "include" / "static_call_runtime.h").read_text()
    declared = re.findall(r"^(?:int|void|const char \*) ?\*?(\w+)\(|^((?:struct|enum) \w+) \{", header, re.MULTILINE)
    assert len(declared) >= 15
    for names in declared:
        assert re.search(rf"^###.*`{''.join(names)}`", page, re.MULTILINE), names


def test_names_are_code_and_lists_stay_lists() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "api.py"))["page"]()
    assert "`STATIC_CALL_FOLD=1`" in page and "### `struct static_call_key`" in page
    assert "\n    -EPERM       sealed; or the kernel refuses what an update needs\n" in page
    assert "__SC_VISIBLE" not in page
