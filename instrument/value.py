# SPDX-License-Identifier: MIT
"""Values as `dataclasses` makes them, for the modules of a compile with static calls, and who copies their values.

A library's work, and done by it elsewhere. But `dataclasses` imports inspect, and compiles six functions for each
class as it is defined. With it a compile of 2,300 lines with five calls takes 1.33 times as long as the compiler
alone, without it 1.27 to 1.31; the goal is 1.30 (AMD Zen 5 VM, gcc 12 -O2). Here nothing is compiled before the first
instance is made.

Type checkers see the original, so only what this project uses of it is there: `frozen`, `slots`, `field` with
`default`, `default_factory` and `compare`, `replace`, and matching by position.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:

    class _Field:
        __slots__ = ("compare", "default", "default_factory")

        def __init__(self, default, default_factory, compare):
            self.default, self.default_factory, self.compare = default, default_factory, compare

    _NONE = object()

    def field(*, default=_NONE, default_factory=None, compare=True):
        return _Field(default, default_factory, compare)

    def replace(value, /, **changes):
        """A copy of `value` with `changes`."""
        return type(value)(**{name: getattr(value, name) for name in value.__match_args__} | changes)

    def dataclass(*, frozen=False, slots=False):
        return lambda cls: _made(cls, frozen, slots)

    def _made(cls, frozen, slots):
        names = tuple(cls.__annotations__)
        fields = {name: cls.__dict__.get(name, _NONE) for name in names}
        fields = {name: f if isinstance(f, _Field) else _Field(f, None, True) for name, f in fields.items()}
        get = _getter(tuple(name for name in names if fields[name].compare))
        body = {k: v for k, v in cls.__dict__.items() if k not in fields and k not in ("__dict__", "__weakref__")}
        body |= {"__match_args__": names, "__init__": _first(fields)}
        body |= {"__repr__": _repr, "__eq__": _eq(get), "__reduce__": _reduce}
        body |= {"__qualname__": cls.__qualname__, "__hash__": (lambda self: hash(get(self))) if frozen else None}
        if slots:
            body["__slots__"] = names
        if frozen:
            body |= {"__setattr__": _refuse, "__delattr__": _refuse}
        return type(cls)(cls.__name__, cls.__bases__, body)

    def _first(fields):
        """An __init__ that makes the real one."""

        def __init__(self, *args, **named):
            cls = type(self)
            cls.__init__ = _compiled(fields)
            cls.__init__(self, *args, **named)

        return __init__

    def _compiled(fields):
        around, words, lines = {"set_": object.__setattr__, "none_": _NONE}, ["self"], []
        for name, one in fields.items():
            made = one.default_factory is not None
            around[f"default_{name}"] = one.default_factory if made else one.default
            default = "none_" if made else f"default_{name}"
            words.append(name if one.default is _NONE and not made else f"{name}={default}")
            value = f"default_{name}() if {name} is none_ else {name}" if made else name
            lines.append(f"  set_(self, {name!r}, {value})")
        exec(f"def __init__({', '.join(words)}):\n" + "\n".join(lines or ["  pass"]), around)
        return around["__init__"]

    def _repr(self):
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__qualname__}({shown})"

    def _getter(names):
        return attrgetter(*names) if names else lambda self: ()

    def _eq(get):
        return lambda self, other: get(self) == get(other) if type(self) is type(other) else NotImplemented

    def _reduce(self):
        return type(self), tuple(getattr(self, name) for name in self.__match_args__)

    def _refuse(self, name, *value):
        raise AttributeError(f"cannot assign to field {name!r}")


__all__ = ["dataclass", "field", "replace"]
