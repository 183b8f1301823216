# SPDX-License-Identifier: MIT
"""A path -> what is there: a program, library or object, an archive's members, a core.

Knows how each is told from the others, and which of them can have no calls; must not know how anything is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from instrument import archive, binary, core, image
from instrument.binary import Binary
from instrument.diagnostics import Finding, InstrumentError
from instrument.memory import Unreadable
from instrument.value import replace


def read(path: str, root: str = "/") -> Iterator[Binary]:
    """What the file holds: one Binary, or of an archive one for each member that has static calls, if any has.

    `root` is where the files are that a core names.

    Raises InstrumentError, status 2, for what is none of these, damaged, or of another machine.
    """
    try:
        if Path(path).is_block_device() or Path(path).is_char_device():
            raise image.refuse(path, "it is a device")
        with Path(path).open("rb") as file:
            header = file.read(18)
            if core.is_core(header):
                yield _of_core(path, root)
                return
            data = header + file.read()
        if archive.is_archive(data):
            yield from _members(path, data)
        else:
            yield _of_file(path, data)
    except OSError as error:
        raise image.refuse(path, error.strerror or str(error)) from None


def _members(path: str, data: bytes) -> Iterator[Binary]:
    """What cannot be read is told of when the rest has been shown."""
    unread: list[Finding] = []
    some, late = False, 0
    try:
        for name, content in archive.members(path, data):
            # A library may hold anything; what is no object has no static calls.
            if content[:4] not in (_ELF, *_BITCODE):
                continue
            try:
                found = _of_file(f"{path}({name})", content)
            except InstrumentError as error:
                unread += error.findings
                continue
            late += _LATER in found.notes
            if found.keys or found.sites or found.left:
                some = True
                yield found
    except archive.DamagedError as error:
        unread += image.refuse(path, str(error)).findings
    if late or not (some or unread):
        notes = (f"{late} {'member' if late == 1 else 'members'} {_LATER}",) if late else ()
        yield binary.without_calls(path, "archive", *notes)
    if unread:
        raise InstrumentError(*unread, status=2)


def _of_file(path: str, data: bytes) -> Binary:
    if data[:4] in _BITCODE:
        return binary.without_calls(path, "object", _LATER)
    found = binary.of_image(image.load(path, data))
    late = found.kind == "object" and b"__gnu_lto_slim" in data and not (found.keys or found.sites or found.left)
    return replace(found, notes=(_LATER,)) if late else found


_ELF, _BITCODE = b"\x7fELF", (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_LATER = "compiled for link-time optimisation (-flto): there is no code yet, it comes with the link"


def _of_core(path: str, root: str) -> Binary:
    from instrument.description import UnknownVersionError
    from instrument.space import Names

    where = core.Core(path, root)
    names = Names(where, root)
    try:
        found = binary.of_space(where, names, "core")
    except UnknownVersionError as error:
        raise image.refuse(path, str(error)) from None
    except Unreadable as error:
        raise image.refuse(path, _no_runtime(where, f"it leads to {error.args[0]:#x}, which is not there")) from None
    missing = where.missing()
    absent = "; ".join(f"{name} {why}" for name, why in missing.items())
    if not found.runtimes:
        raise image.refuse(path, _no_runtime(where, absent))
    if missing and not (found.keys or found.sites):
        raise image.refuse(path, f"its tables are in a file that is not to be had: {absent} (see --sysroot)")
    tables = {names.path(start) for runtime in found.runtimes for start in binary.table_addresses(runtime)}
    lost = {
        name: "so its keys and calls are not shown" if name in tables else "so its functions have no names"
        for name in missing
    }
    notes = [f"{name} {why}, {lost[name]}" for name, why in missing.items()]
    if changing := [key.name for key in found.keys if key.changing]:
        notes.append(f"an update was under way, of {', '.join(sorted(changing))}")
    if where.cut:
        notes.append("it is truncated: what is not in it is not shown")
        found = binary.without(found, where.lacks)
    return replace(found, notes=tuple(notes))


def _no_runtime(where: core.Core, absent: str) -> str:
    """Why nothing was found in a core."""
    if where.cut:
        return "it is truncated before its end: the memory of the runtime of static calls is not in it"
    files = (where.file(mapping) or b"" for mapping in where.mappings())
    if any(content[:4] == b"\x7fELF" and binary.RUNTIME.encode() in content for content in files):
        return "it was written without the memory of the runtime of static calls (see coredump_filter in core(5))"
    return "the program that it is of has no runtime of static calls" + (f" ({absent})" if absent else "")
