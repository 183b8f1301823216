# SPDX-License-Identifier: MIT
"""For gdb 9 or newer: `source` this file, whose path `instrument --gdb` prints, or put it where gdb loads it from.

    info static-calls [NAME]    the keys, what each calls, and how its sites get there; * ? [...] match
    static-call KEY             one key and each of its call sites

It works on live processes and cores, stripped ones too: it goes by the runtime's description of itself, version 2
(c_runtime/src/describe.c). And while it is loaded, a thread that runs into an int3 of an update does not stop the
program: it waits there until the update is over. Breakpoints, steps, and an int3 of the program's own stop it as ever
(the last one by a catchpoint of SIGTRAP, which `info breakpoints` shows; to delete it turns this off).
"""

import fnmatch
import re
import struct

import gdb

_SECTION = ".static_call_runtime"
_MAGIC = b"static_callinfo\0"
_KINDS = ("call", "jump", "branch")
_LAYOUTS = {0: "bare", 1: "compact"}
_INT3 = b"\xcc"


def _read(address, length):
    return bytes(gdb.selected_inferior().read_memory(address, length))


def _words(address, count):
    return struct.unpack(f"<{count}Q", _read(address, 8 * count))


def _text(address):
    found = b""
    while b"\0" not in found and len(found) < 4096:
        found += _read(address + len(found), 1)
    return found[:-1].decode(errors="replace")


# ---- the tables ---------------------------------------------------------------------------------------


class Key:
    """A key's record: addresses; `target` is 0 for NULL."""

    def __init__(self, at, fields):
        self.name = _text(at + 8 + fields[2])
        self.trampoline = at + fields[0]
        (self.address,) = _words(at + 16 + fields[4], 1)
        (self.door,) = _words(at + 24 + fields[6], 1)
        (self.target,) = _words(self.address, 1)


class Site:
    """A site's record, and the instruction that stands there."""

    def __init__(self, at, fields):
        self.address = at + fields[0]
        self.prefixes, kind = fields[2] & 0xFF, fields[2] >> 8
        self.kind = _KINDS[kind] if kind < len(_KINDS) else "unknown"
        (self.door,) = _words(at + 12 + fields[3], 1)

    def instruction(self, door):
        """What it does now, in words."""
        length = self.prefixes + (6 if self.kind == "branch" else 5)
        code = _read(self.address, length)
        if code[:1] == _INT3:
            return "int3, an update is under way"
        core = code[self.prefixes :]
        if core == b"\x0f\x1f\x44\x00\x00":
            return "nop"
        if core[:1] == b"\xc3":
            return "ret"
        (operand,) = struct.unpack("<i", core[-4:])
        if core[:1] == b"\xb8":
            return f"mov ${operand}, %eax"
        to = self.address + length + operand
        named = _name(to)
        # By another object's PLT entry, or the trampoline's own name.
        by = to == door or "__SCT__" in named
        return f"{self.kind} {'trampoline' if by else named}"


def _descriptions():
    """Of each copy of the runtime that is loaded: where sections of that name are and point to themselves."""
    for line in gdb.execute("info files", to_string=True).splitlines():
        found = re.match(r"\s*0x([0-9a-f]+) - 0x[0-9a-f]+ is (\S+)", line)
        if found and found[2] == _SECTION:
            address = int(found[1], 16)
            try:
                if _read(address, 16) == _MAGIC and _words(address + 16, 2) == (address, 2):
                    yield address
            except gdb.MemoryError:
                continue


def _objects():
    """The tables of each object that has registered: (sites, their end, keys, their end)."""
    for description in _descriptions():
        array, size = _words(description + 88, 2)
        first, count = _words(array, 2)
        for number in range(count):
            (at,) = _words(first + number * size, 1)
            if at:
                yield _words(at + 16, 4)


def _records(start, end, shape, make):
    size = struct.calcsize(shape)
    data = _read(start, end - start) if end > start else b""
    return [make(start + i * size, fields) for i, fields in enumerate(struct.iter_unpack(shape, data))]


def _tables():
    keys, sites = [], []
    for sites_at, sites_end, keys_at, keys_end in _objects():
        keys += _records(keys_at, keys_end, "<iiiIiIi", Key)
        sites += _records(sites_at, sites_end, "<iiIi", Site)
    return keys, sites


# ---- names --------------------------------------------------------------------------------------------


def _name(address):
    if not address:
        return "NULL"
    found = gdb.execute(f"info symbol 0x{address:x}", to_string=True)
    name = found.partition(" in section")[0].strip()
    return f"0x{address:x}" if name.startswith("No symbol") else name.replace(" + ", "+")


def _line(address):
    """Where the call is. A wrapper's instruction is of the key's declaration; as an inlined function it is, to gdb,
    of the line that calls it."""
    block = gdb.block_for_pc(address)
    while block and not block.function:
        block = block.superblock
    if block and block.function.name.startswith("__SCW__") and block.function.line:
        return f"{block.function.symtab.filename}:{block.function.line}"
    found = gdb.find_pc_line(address)
    return f"{found.symtab.filename}:{found.line}" if found.symtab else ""


def _table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        gdb.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n")


def _known():
    try:
        keys, sites = _tables()
    except gdb.MemoryError as error:
        raise gdb.GdbError(f"The tables of static calls cannot be read: {error}") from None
    if not keys and not sites:
        raise gdb.GdbError("No static calls that a runtime knows. Has the program been started?")
    return keys, sites


class InfoStaticCalls(gdb.Command):
    """The keys of static calls, what each calls, and how its sites get there: info static-calls [NAME]"""

    def __init__(self):
        super().__init__("info static-calls", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        keys, sites = _known()
        rows = [("KEY", "TARGET", "SITES", "NOW")]
        for key in sorted(keys, key=lambda key: key.name):
            if fnmatch.fnmatchcase(key.name, argument.strip() or "*"):
                counts = {}
                for site in sites:
                    if site.door == key.door:
                        now = site.instruction(key.door)
                        counts[now] = counts.get(now, 0) + 1
                now = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
                rows.append((key.name, _name(key.target), str(sum(counts.values())), now or "-"))
        if len(rows) == 1:
            raise gdb.GdbError(f"No key {argument.strip()!r}; `info static-calls` lists them.")
        _table(rows)


class StaticCall(gdb.Command):
    """One key of static calls, and each of its sites: static-call KEY"""

    def __init__(self):
        super().__init__("static-call", gdb.COMMAND_STATUS)

    def complete(self, text, word):
        return [key.name for key in _known()[0] if key.name.startswith(word)]

    def invoke(self, argument, from_tty):
        keys, sites = _known()
        found = [key for key in keys if key.name == argument.strip()]
        if not found:
            raise gdb.GdbError(f"No key {argument.strip()!r}; `info static-calls` lists them.")
        for key in found:
            gdb.write(f"{key.name} calls {_name(key.target)}; trampoline 0x{key.trampoline:x}\n")
            own = [site for site in sites if site.door == key.door]
            rows = [("ADDRESS", "INSTRUCTION", "LAYOUT", "IN", "LINE")]
            for site in sorted(own, key=lambda site: site.address):
                layout = _LAYOUTS.get(site.prefixes, "aligned")
                where = f"0x{site.address:x}"
                cells = site.instruction(key.door), layout, _name(site.address), _line(site.address)
                rows.append((where, *cells))
            _table(rows)


# ---- traps --------------------------------------------------------------------------------------------

# `handle SIGTRAP nostop pass` would do for a program without breakpoints: it hands the program those of gdb as well,
# which kill it. A catchpoint of the signal sees each SIGTRAP before gdb judges it, and makes it known: where its
# condition is false, the thread goes on where it is, gdb having moved it back onto the int3. So it runs into it again
# until the update has taken it away, and gdb need not pass anything.


class _Traps(gdb.Function):
    """Whether the program is to stop for the SIGTRAP that it just got, apart from what gdb itself stops for."""

    def __init__(self):
        super().__init__("_static_call_trap")
        self._places = None
        for happens in ("new_objfile", "clear_objfiles", "exited"):
            getattr(gdb.events, happens).connect(self._forget)

    def _forget(self, event):
        self._places = None

    def invoke(self):
        at = int(gdb.parse_and_eval("$pc")) & 0xFFFFFFFFFFFFFFFF
        # Memory is shown without gdb's own breakpoints: this one is the program's.
        if _read(at, 1) != _INT3:
            # Sent by somebody, or one of gdb's; or an int3 that is gone by now.
            return int(gdb.parse_and_eval("$_siginfo.si_code")) <= 0
        if at in self._known_places():
            return False
        # Behind it, where gdb leaves a program that has stopped for an int3 of its own.
        gdb.execute(f"set var $pc = {at + 1}")
        return True

    def _known_places(self):
        """Where the runtime puts an int3: the first bytes of sites and trampolines."""
        if self._places is None:
            keys, sites = _tables()
            self._places = {site.address for site in sites} | {key.trampoline for key in keys}
        return self._places


def _catch_traps():
    _Traps()
    gdb.execute("catch signal SIGTRAP", to_string=True)
    number = int(gdb.parse_and_eval("$bpnum"))
    gdb.execute(f"condition {number} $_static_call_trap()", to_string=True)


InfoStaticCalls()
StaticCall()
_catch_traps()
