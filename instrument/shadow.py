# SPDX-License-Identifier: MIT
"""A copy of the source tree in which every call token has a name of its own.

Knows the file system and which of a compiler's flags name directories. Must not know C beyond the spans that
it is given, and runs no compiler.

Call number i is spelled `__scs_i` in the copy, so that the preprocessor's output shows which calls are live
and with which key. All other files are symbolic links in real directories: a compiler looks for "x.h" beside
the file that includes it, and through a linked directory `..` would lead back to the tree with the old names.
The tree's own links stay links. What lies beside the tree lies beside the copy too, for `#include "../x.h"`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from instrument import ccflags, ccwords
from instrument.model import Scanned, Token, Unit
from instrument.value import dataclass, field

SITE = "__scs_"

# gcc would take a precompiled header for the header itself, and with it the old names.
_PRECOMPILED = (".gch", ".pch")

_CROWD = 2000


@dataclass(frozen=True, slots=True)
class Site:
    """One call token of one file, relative to the root."""

    path: str
    token: Token


@dataclass(frozen=True, slots=True)
class Shadow:
    """The copy of `root` at `top`; `scratch` is a directory for what is made from it; both go away together.

    `links` are the tree's own, `including` the files whose own text has an #include of static_call.h. An `empty` copy
    is searched by nobody: the compiler reads the tree itself.
    """

    root: Path
    top: Path
    scratch: Path
    sites: tuple[Site, ...]
    links: Mapping[str, str] = field(default_factory=dict)
    including: frozenset[str] = frozenset()
    empty: bool = False

    def main(self, unit: Unit) -> str:
        """The path to compile in place of the unit's source."""
        return self._mapped(str(unit.source), unit.cwd)

    def flags(self, unit: Unit) -> list[str]:
        """The unit's command with every search path that lies in the tree led to the copy."""
        mapped: list[str] = []
        for option in ccwords.options(unit.command):
            if (search := ccflags.search(option)) is None:
                mapped += option
            elif len(option) > 1:
                mapped += (search[0], self._mapped(search[1], unit.cwd))
            else:
                mapped.append(search[0] + self._mapped(search[1], unit.cwd))
        return mapped

    def inside(self, path: str, cwd: Path) -> str | None:
        """`path`, as a compiler run in `cwd` wrote it, relative to the root; None if it lies outside."""
        whole = os.path.normpath(cwd / path)
        for top in (self.top, self.root):
            if whole.startswith(f"{top}{os.sep}"):
                return whole[len(str(top)) + 1 :]
        return None

    def source(self, unit: Unit) -> str:
        """The unit's source relative to the root, or where it lies if that is outside."""
        return self.inside(str(unit.source), unit.cwd) or str(unit.source)

    def name(self, path: str, cwd: Path) -> str | None:
        """Like `inside`, with the tree's own links followed: the name by which the file is one of the tree's."""
        inside = self.inside(path, cwd)
        if inside is None:
            return None
        whole = self.top / inside
        found = os.path.relpath(whole.parent.resolve() / whole.name, self.top)
        if found in self.links:
            return os.path.normpath(Path(found).parent / self.links[found])
        return found

    def _mapped(self, path: str, cwd: Path) -> str:
        relative = None if self.empty else _relative(cwd / path, self.root)
        if relative is None:
            return path
        copy = self.top / relative
        return str(copy) if copy.exists() else path

    def original(self, text: str) -> str:
        """A compiler's message as the user's own compiler would have put it."""
        for copy, own in zip((self.top, *self.top.parents), (self.root, *self.root.parents), strict=False):
            if copy == self.scratch.parent:
                break
            text = text.replace(str(copy), str(own))
        return re.sub(rf"{SITE}(\d+)", lambda m: self._name(int(m[1])), text)

    def _name(self, number: int) -> str:
        return self.sites[number].token.api.value if number < len(self.sites) else f"{SITE}{number}"


@contextmanager
def shadow(
    root: Path,
    files: Iterable[str],
    scanned: Mapping[str, Scanned],
    contents: Mapping[str, bytes],
    links: Mapping[str, str],
    ups: int = 0,
    folders: Iterable[str] = (),
) -> Iterator[Shadow]:
    """A shadow of `root` for as long as the context lasts; its files may include others from `ups` directories up.

    It has `files`, and `folders` whether or not there is anything in them.
    """
    import shutil
    import tempfile

    root = root.resolve()
    temporary = Path(tempfile.mkdtemp(prefix="instrument-")).resolve()
    try:
        top, scratch = _beside(root, temporary / "tree", ups), temporary / "scratch"
        scratch.mkdir()
        sites = tuple(Site(path, t) for path in sorted(scanned) for t in scanned[path].tokens if t.is_call)
        _fill(root, top, files, folders, _renamed(sites, contents), links)
        including = frozenset(path for path, found in scanned.items() if found.includes)
        yield Shadow(root, top, scratch, sites, links, including, empty=not (files or sites or links))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(root: Path, place: Path, ups: int) -> Path:
    """A new directory in `place` for the copy of `root`, with links beside it to what lies beside `root`."""
    place.mkdir()
    for folder, name in reversed([(p.parent, p.name) for p in (root, root.parent)[:ups] if p.name]):
        for sibling in _entries(folder):
            if sibling != name:
                (place / sibling).symlink_to(folder / sibling)
        place /= name
        place.mkdir()
    return place


def _entries(folder: Path) -> list[str]:
    """What is in `folder`, if it can be read and is not so much that no one means it to be included from."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return []
    return names if len(names) <= _CROWD else []


def _renamed(sites: Sequence[Site], contents: Mapping[str, bytes]) -> dict[str, bytes]:
    pieces: dict[str, list[bytes]] = {}
    end: dict[str, int] = {}
    for number, site in enumerate(sites):
        data, name = contents[site.path], site.token.name
        # A spliced name keeps its lines, so that every place in a message stays right.
        splices = b"\\\n" * data.count(b"\n", name.start, name.end)
        pieces.setdefault(site.path, []).extend(
            (data[end.get(site.path, 0) : name.start], f"{SITE}{number}".encode(), splices)
        )
        end[site.path] = name.end
    return {path: b"".join((*parts, contents[path][end[path] :])) for path, parts in pieces.items()}


def _fill(
    root: Path,
    top: Path,
    files: Iterable[str],
    folders: Iterable[str],
    renamed: Mapping[str, bytes],
    links: Mapping[str, str],
) -> None:
    wanted = {path for path in (*files, *renamed) if not path.endswith(_PRECOMPILED)}
    for folder in {*folders, *(path.rpartition("/")[0] for path in (*wanted, *links))}:
        (top / folder).mkdir(parents=True, exist_ok=True)
    for path in wanted:
        if path in renamed:
            (top / path).write_bytes(renamed[path])
        else:
            (top / path).symlink_to(root / path)
    for path, target in links.items():
        # A file that was named by a path through a linked directory has made that directory a real one.
        if not os.path.lexists(top / path):
            (top / path).symlink_to(target)


def _relative(path: Path, root: Path) -> Path | None:
    """`path` relative to `root`. The last part is not followed: the tree's own links belong to the tree."""
    for whole in (Path(os.path.normpath(path)), path.parent.resolve() / path.name):
        if whole == root or root in whole.parents:
            return whole.relative_to(root)
    return None
