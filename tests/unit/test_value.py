# SPDX-License-Identifier: MIT
"""instrument.value makes what dataclasses makes."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from types import ModuleType
from typing import Any

import pytest

from instrument import model, value
from instrument.model import Base, Content, Encoding, Field, Pointer, Void


def made(by: ModuleType) -> tuple[Any, Any]:
    """A frozen class, and one that is not."""

    @by.dataclass(frozen=True, slots=True)
    class Frozen:
        """What it is."""

        name: str
        size: int = 4
        found: dict[str, int] = by.field(default_factory=dict)
        line: int = by.field(default=0, compare=False)

        @property
        def twice(self) -> int:
            return 2 * self.size

    @by.dataclass(slots=True)
    class Open:
        used: list[int] = by.field(default_factory=list)

    return Frozen, Open


@pytest.mark.parametrize("by", [dataclasses, value])
def test_what_the_project_uses_of_dataclasses(by: ModuleType) -> None:
    frozen, free = made(by)
    one = frozen("a")
    assert (one.name, one.size, one.found, one.line, one.twice) == ("a", 4, {}, 0, 8)
    assert frozen("a", 4, {}, line=7) == one != frozen("b")
    assert one != ("a", 4, {}, 0)
    assert repr(one).endswith("Frozen(name='a', size=4, found={}, line=0)")
    assert frozen.__doc__ == "What it is."
    assert one.found is not frozen("a").found
    assert by.replace(one, size=5, line=3) == frozen("a", 5)
    assert copy.copy(one) == one
    with pytest.raises(AttributeError):
        one.name = "b"
    with pytest.raises(AttributeError):
        del one.name
    with pytest.raises(AttributeError):
        free().other = 1
    for wrong in ((), ("a", 1, {}, 2, 3)):
        with pytest.raises(TypeError):
            frozen(*wrong)
    with pytest.raises(TypeError):
        frozen("a", other=1)
    match one:
        case frozen(name, size):
            assert (name, size) == ("a", 4)
        case _:
            pytest.fail("it has no positions")
    used = free()
    used.used.append(1)
    assert used == free([1]) and free.__hash__ is None


def test_values_can_be_keys_and_can_be_sent() -> None:
    t = Pointer(Base("char", 1, Encoding.SIGNED))
    assert {t: 1}[Pointer(Base("char", 1, Encoding.SIGNED))] == 1
    assert hash(Void()) == hash(Void()) and Void() == Void()
    one, other = (Content((Field(t, 0, 64),), lines=(line,)) for line in (1, 2))
    assert one == other and hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one


def test_every_class_of_the_model_is_made_here() -> None:
    classes = [one for one in vars(model).values() if isinstance(one, type) and one.__module__ == model.__name__]
    assert sum(hasattr(one, "__match_args__") for one in classes) > 20
    assert not any(map(dataclasses.is_dataclass, classes))
