# SPDX-License-Identifier: MIT
"""A static call does what an ordinary call does, whatever the function type: a bounded run, the same every time.

`python -m tests.abi.fuzz` does the same with other types for as long as one likes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument.model import Layout
from tests.abi import trial
from tests.abi.function import Function
from tests.abi.fuzz import generate
from tests.abi.matrix import COMPILERS, FLAGS
from tests.abi.ordinary import must_be_inline

SIZE = 12
LEAST_INLINE = 0.4
"""Half of the types are ones that every compiler passes alike; most of those have to fit the inline form."""


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return trial.support(tmp_path_factory.mktemp("abi"))


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_same_as_an_ordinary_call(
    compiler: str, flags: tuple[str, ...], tmp_path: Path, objects: tuple[Path, ...]
) -> None:
    number = COMPILERS.index(compiler) * len(FLAGS) + FLAGS.index(flags)
    layout = (Layout.ALIGNED, Layout.COMPACT)[number % 2]
    made = trial.Trial(compiler, flags, layout, generate(compiler, SIZE, number))
    verdict = trial.run(made, tmp_path, objects)
    assert not verdict.failures, f"{tmp_path}/program.c:\n" + "\n".join(verdict.failures)
    assert verdict.inline >= LEAST_INLINE * SIZE


def test_the_types_are_worth_it() -> None:
    """What `generate` draws has both what must be inline and what must not."""
    drawn: list[Function] = [fn for number in range(3) for fn in generate("gcc-12", 40, number)]
    share = sum(map(must_be_inline, drawn)) / len(drawn)
    assert 0.3 < share < 0.9
    assert any(fn.variadic for fn in drawn)
