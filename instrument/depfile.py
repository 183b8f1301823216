# SPDX-License-Identifier: MIT
"""Dependency files in the syntax that make, ninja and CMake read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

_UNSPEAKABLE = frozenset("\n\t=;|%*?[")
_PLAIN = re.compile(r"[^ #:$]*")
_ESCAPED = re.compile(r"(\\+)([ #:])")
_WORD = re.compile(r"(?:\\+[ #:]|[^ \n])+")


def speakable(name: str) -> bool:
    """Whether a rule can name it: make has no way to quote some characters."""
    return bool(name) and _UNSPEAKABLE.isdisjoint(name) and name[0] != "~" and name[-1] not in "\\ &"


def escape(name: str) -> str:
    """`name` as one word of a rule. Backslashes double only in front of what is escaped, as make reads them."""
    if _PLAIN.fullmatch(name):
        return name
    out: list[str] = []
    slashes = 0
    for character in name:
        if character in " #:":
            out.append("\\" * (slashes + 1))
        elif character == "$":
            out.append("$")
        out.append(character)
        slashes = slashes + 1 if character == "\\" else 0
    return "".join(out)


def render(target: str, prerequisites: Iterable[str]) -> bytes:
    """A rule for `target`, and an empty one for each prerequisite so that a deleted file stops no build.

    What make cannot name is left out.
    """
    if not speakable(target):
        return b""
    names = [escape(name) for name in sorted(set(prerequisites)) if speakable(name)]
    rule = " \\\n ".join([f"{escape(target)}:", *names])
    phony = "".join(f"\n{name}:\n" for name in names)
    return f"{rule}\n{phony}".encode(errors="surrogateescape")


def without(rules: bytes, name: str) -> bytes:
    """`rules` without the prerequisite `name`, and without the empty rule that -MP has for it."""
    word = re.escape(os.fsencode(escape(name)))
    rules = re.sub(rb"^" + word + rb":\n+", b"", rules, flags=re.MULTILINE)
    return re.sub(rb"(?:[ \t]*\\\n)?[ \t]+" + word + rb"(?=\s|\Z)", b"", rules)


def first(rules: bytes) -> tuple[str, list[str]]:
    """The target of the first of `rules` and what it depends on, if `render` has written it."""
    text = os.fsdecode(rules).partition("\n\n")[0].replace(" \\\n ", " ")
    target, *names = _WORD.findall(text) or [":"]
    return _unescaped(target[:-1]), [_unescaped(name) for name in names]


def _unescaped(word: str) -> str:
    plain = _ESCAPED.sub(lambda found: "\\" * (len(found[1]) // 2) + found[2], word)
    return plain.replace("$$", "$")
