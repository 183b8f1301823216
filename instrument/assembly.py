# SPDX-License-Identifier: MIT
"""A compiler's assembly text -> the same text, its calls of trampolines made ready to be patched, and a census.

Knows x86-64 assembly as gcc and clang print it, in both syntaxes, and the tables of static_call_x86_64.h. Must not
know C, files, modes, or the rest of the tool.

A stand-in for `as` imports this once a compilation. So there is only `re` at the top and what that imports anyway
(dataclasses imports inspect, and the start takes 47 ms instead of 25, on a busy Xeon), and no expression is compiled
before a text needs it. Compilers write a hundred megabytes at a time: Python runs once a mention of a trampoline and
once a change of section, not once a line.
"""

from __future__ import annotations

import re
from collections import namedtuple
from enum import StrEnum
from functools import cache

from instrument import hoisted

PREFIXES = {"aligned": 3, "compact": 1, "bare": 0}
"""The cs prefixes that each layout gives a call or a jump; `bare` leaves the bytes as the compiler has them."""
KINDS = ("call", "jump", "branch")
"""What a site can be, as its record numbers it."""


class Why(StrEnum):
    """Why a mention of a trampoline is left as it is."""

    ADDRESS = "address"
    FORM = "form"
    HAND = "hand"
    CHECKED = "checked"


WORDS = {
    Why.ADDRESS: "its address is taken, so a call through that pointer goes by the trampoline",
    Why.FORM: "the instruction is no plain call, jump or branch to the trampoline",
    Why.HAND: "it is written by hand, in an asm",
    Why.CHECKED: "what follows checks that the call was made, which a nop is not (-mspeculative-load-hardening)",
}


class Site(namedtuple("Site", "key line kind source")):
    """A prepared call. `key: str`; `line: int`, of the text as it came in; `kind: str`, one of KINDS;
    `source: tuple[str, int] | None`, the file and the line that the debug information tells."""

    __slots__ = ()


class Left(namedtuple("Left", "key line why")):
    """A mention that is left as it was. `key: str`; `line: int`; `why: Why`."""

    __slots__ = ()


class Prepared(namedtuple("Prepared", "text sites left rest lto")):
    """`text: bytes`; `sites: tuple[Site, ...]`; `left: tuple[Left, ...]`; `rest: int`, the mentions that are parts of
    definitions, records, directives and comments: each mention is in one of the three. `lto: bool`, whether the
    text has no code but what is compiled when the program is linked."""

    __slots__ = ()


def prepare(text: bytes, layout: str) -> Prepared:
    """`text` with its calls, jumps and branches to trampolines laid out as `layout` says, and recorded.

    What is prepared stays as it is: to prepare a text twice is to prepare it once.
    """
    lto = b"__gnu_lto_slim" in text
    if _MENTION not in text:
        return Prepared(text, (), (), 0, lto)
    reader = _Reader(hoisted.lowered(text), PREFIXES[layout])
    reader.read()
    return Prepared(reader.result(), tuple(reader.sites), tuple(reader.left), reader.rest, lto)


# ---- the expressions ------------------------------------------------------------------------------

_MENTION = b"__SCT__"
_NAME = rb"[\w$.\x80-\xff]"
_KEY = rb"[\w$\x80-\xff]++(?!\.)"
_OTHER_NAME = rb"(?:[\w.\x80-\xff]|%b\$)\Z" % _NAME
_COMMENT = rb"/\*(?:[^*\n]|\*(?!/))*(?:\*/)?"
_STATEMENT = rb'(?:[^;#"/\n]++|"(?:[^"\\\n]|\\.)*+"?|' + _COMMENT + rb"|/)*+"
_LABELS = rb'[ \t]*(?:(?:"[^"\n]*"|' + _NAME + rb"+)[ \t]*:[ \t]*)*"
_END = rb"[ \t]*(?:#(?!(?:NO_)?APP\b)[^\n]*)?\n"

# Of a statement in which `~` stands for the symbol and one space for each gap.
_CONDITION = rb"n?(?:[abgl]e?|[ceopsz])|p[eo]"
_OPERATION = rb"(?i:(?:(?:notrack|bnd|rep|repn?[ez]|cs|ds) )*(callq?|jmpq?|j(?:%b)))" % _CONDITION
_DIRECT = _OPERATION + rb" ~(?:@PLT)?"
_GOT = rb"~@GOTPCREL(?:_NORELAX)?"
_MEMORY = rb"(?:%b\(%%rip\)|(?i:qword ptr )?%b\[rip\]|(?i:qword ptr )\[rip ?\+ ?%b\])" % (_GOT, _GOT, _GOT)
_INDIRECT = _OPERATION + rb" (?:\* ?%b|\[?%b\]?)" % (_MEMORY, _MEMORY)
# Not movabs: who needs that may be further away than a call reaches.
_LOAD = (
    rb"mov[lq]? (?:\$~|%b), ?%%(\w+)|leaq? ~\(%%rip\), ?%%(\w+)"
    rb"|mov (\w+), ?(?:(?i:offset (?:flat:)?)~|%b)|lea (\w+), ?(?:~\[rip\]|\[rip ?\+ ?~\])"
) % (_MEMORY, _MEMORY)
_DATA = rb"\.(?:quad|8byte|long|4byte|int|value|short|word|2byte|octa|dc(?:\.\w)?) "
_RECORDED = rb"\.long ~@GOTPCREL"
_TRANSFER = rb"(?:\w+ )*(?:call|j)[\w,]* "

_SECTION = rb"(?:push|pop|sub)?section|previous|text|data|bss"
# One byte to start with and one to go on with: a line without interest costs two looks.
_EVENT = (
    rb"[ \t]*+(?:\.(?P<directive>%b)\b(?P<which>[^\n#]*)|#(?P<mark>(?:NO_)?APP\b|[ ](?:Start|End) of file scope))"
) % _SECTION
_SWITCH = rb"\.(?:%b)\b" % _SECTION
_LOC = rb"\.loc[ \t]+(\d+)[ \t]+(\d+)"
_STRING = rb'"((?:[^"\\\n]|\\.)*)"'
_FILE = rb"\n[ \t]*\.file[ \t]+(\d+)[ \t]+%b(?:[ \t]+%b)?" % (_STRING, _STRING)

# The labels that stand before the stub of a site and behind the site, whether we wrote it or a wrapper's asm.
_STUB = rb"\.Lsb\w*:\s*\Z"
_BEHIND = rb"\s*\n\.Lse\w*:"

# Behind a call whose return address clang then looks for below the stack: without one it spoils the stack pointer.
_CHECKED = rb"[^\n]*\n\.Lslh_ret_addr\d+:"

# A trampoline that jumps through its slot, behind an endbr64 under -fcf-protection: gcc hands on the words of the
# header, clang prints its own.
_SLOT_JUMP = (
    rb'"?:\s*(?:\.byte\s+(?:0xf3, 0x0f, 0x1e, 0xfa|243\s+\.byte\s+15\s+\.byte\s+30\s+\.byte\s+250)\s*)?'
    rb'"?\.L__SCT__[^\n]*:\s*\.cfi_startproc\s*'
    rb"\.byte\s+(?:0x2e, 0x2e, 0x2e, 0xe9|46\s+\.byte\s+46\s+\.byte\s+46\s+\.byte\s+233)\s*\n(?=\s*\.long\s+0\s*\n)"
)
_KEY_OBJECT = (
    rb'\n"?__SCK__([\w$\x80-\xff]++)"?:%b(?:[ \t]*#[^\n]*\n)*[ \t]*\.quad[ \t]+((?!\.L|\d)%b+|"[^"\\\n]+")%b'
    % (_END, _NAME, _END)
)
_KEY_SECTION = rb'\.section[ \t]+"?\.data\.rel\.ro\.__SCK__'
_WEAK = rb"\n[ \t]*\.weak(?:ref)?[ \t]+([^\n#]*)"


@cache
def _expression(source: bytes) -> re.Pattern[bytes]:
    return re.compile(source)


@cache
def _call_through(register: bytes) -> re.Pattern[bytes]:
    """From the end of the statement that loads `register` to the call or jump through it.

    What may come between cannot change the register, for it does not name it; and nothing else can lead there, for
    the only labels are those of debug information.
    """
    letters = register[1:]
    if letters[:1].isdigit():
        names = rb"r%b[dwb]?" % letters
    else:
        names = rb"[re]?%b|%b[lh]" % (letters, letters[:1] if letters.endswith(b"x") else letters)
    plain = (
        rb"[ \t]+(?:mov[a-z]*|lea|add|sub|xor|or|and|inc|dec|neg|pop)[lq]?[ \t]+(?![^\n]*\b(?:%b)\b)[^\n;]+\n" % names
    )
    aside = rb"[ \t]*\.(?:loc|cfi_\w+)\b[^\n]*\n|\.L(?:VL|BB|BE|BI)\d+:\n|" + _END
    thunk = rb"__(?:x86_indirect_thunk|llvm_retpoline)_%b(?:@PLT)?" % register
    return re.compile(
        rb"%b(?:%b|%b){0,12}[ \t]+(?P<all>(?:(?:notrack|bnd|cs)[ \t]+)*(?P<operation>call|jmp)q?[ \t]+"
        rb"(?:\*%%%b|%b|%b))(?=%b)" % (_END, aside, plain, register, register, thunk, _END)
    )


def _whole(register: bytes) -> bytes:
    """The 64 bits that `register` is a name for: rax of eax, r8 of r8d."""
    register = register.lower()
    if register[1:2].isdigit():
        return register.rstrip(b"d")
    return b"r" + register[1:]


# ---- what a site becomes --------------------------------------------------------------------------

# As __SC_SITE of static_call_x86_64.h has it, but for two things:
# - A site has no label but the one behind it: with -malign-branch the assembler pads a `bare` jump, behind the label
#   that would stand before it. (Behind a prefix it does not.)
# - A record is bound to the first site in the same section. GNU as takes 13 s for 20,000 sites that are each bound to
#   themselves, and half a second for these.
_ALIGN = b".p2align 3\n\t"
_CORE = b"%(prefixes)b%(operation)b %(symbol)b@PLT\n.Lse_d%(number)d:\n"
_STUB_TEXT = (
    b"\t.subsection 1\n.Lsb_d%(number)d:\n\tcall %(symbol)b@PLT\n\t.byte 0xe9\n\t.long .Lse_d%(number)d - . - 4\n"
    b"\t.previous\n"
)
_RECORD = (
    b'\t.pushsection __static_call_sites, "ao", @progbits, .Lse_d%(bound)d\n'
    b"\t.p2align 2\n\t.long .Lse_d%(number)d - %(size)d - .\n\t.long %(stub)b\n\t.long %(layout)d\n"
    b"\t.long %(symbol)b@GOTPCREL\n\t.popsection\n"
    b'\t.pushsection .static_call_notes, "", @progbits\n'
    b'\t.quad .Lse_d%(number)d - %(size)d\n\t.asciz "%(key)b"\n\t.popsection'
)


def _site(number: int, bound: int, operation: bytes, kind: int, prefixes: int, symbol: bytes) -> bytes:
    """The text of a site; `bound` is the number of the first one in its section."""
    align = _ALIGN if prefixes == 3 else b""
    if kind == 2:
        # With its opcode of two bytes an aligned branch is one word, too.
        prefixes = min(prefixes, 2)
    return (align + _CORE + (b"" if kind else _STUB_TEXT) + _RECORD) % {
        b"number": number,
        b"bound": bound,
        b"operation": operation,
        b"symbol": symbol,
        b"prefixes": b"cs\n\t" * prefixes,
        b"size": prefixes + (6 if kind == 2 else 5),
        b"stub": b"0" if kind else b".Lsb_d%d - ." % number,
        b"layout": prefixes | kind << 8,
        b"key": symbol.strip(b'"').removeprefix(_MENTION),
    }


# ---- the readers ----------------------------------------------------------------------------------


class _Surroundings:
    """What the text before a place says of it. Asked of one place after the other, it reads the text once."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0
        self._events = _expression(rb"\n" + _EVENT).finditer(text)
        self._event = _expression(_EVENT).match(text) or next(self._events, None)
        self._asm = -1
        self._loc = -1
        self._files: dict[bytes, str] | None = None
        self.line = 1
        self.section: bytes | None = None
        """As the text names it; None where that takes more than the last directive to tell."""

    @property
    def by_hand(self) -> bool:
        """Whether this is in an asm of the source. clang tells of one outside of functions only in comments."""
        return self._asm >= 0

    def go(self, at: int) -> None:
        self.line += self._text.count(b"\n", self._at, at)
        self._loc = max(self._loc, *(self._text.rfind(word, self._at, at) for word in (b".loc\t", b".loc ")))
        while self._event and self._event.start() < at:
            self._take(self._event)
            self._event = next(self._events, None)
        self._at = at

    def _take(self, event: re.Match[bytes]) -> None:
        if event["mark"] in (b"APP", b" Start of file scope"):
            self._asm = event.start()
        elif event["mark"]:
            # How an asm gets back to where it was is its own affair.
            if self.by_hand and _expression(_SWITCH).search(self._text, self._asm, event.start()):
                self.section = None
            self._asm = -1
        elif not self.by_hand:
            named = event["directive"] in (b"section", b"text", b"data", b"bss") and b";" not in event["which"]
            self.section = event["directive"] + event["which"].rstrip() if named else None

    def source(self) -> tuple[str, int] | None:
        """The file and the line that the last .loc gives."""
        found = _expression(_LOC).match(self._text, self._loc) if self._loc >= 0 else None
        if not found or found[2] == b"0":
            return None
        if self._files is None:
            self._files = _files(self._text)
        name = self._files.get(found[1])
        return (name, int(found[2])) if name is not None else None


def _files(text: bytes) -> dict[bytes, str]:
    """The files that .loc names by number, from the folder of the compilation if the text tells it (DWARF 5)."""
    files: dict[bytes, str] = {}
    base = None
    for number, first, second in _expression(_FILE).findall(text):
        folder, name = (first, second) if second else (b"", first)
        if number == b"0":
            base = folder
        elif folder and folder != base and not name.startswith(b"/"):
            name = folder + b"/" + name
        name = _expression(rb"\\([0-7]{3}|.)").sub(
            lambda found: bytes([int(found[1], 8) & 255]) if len(found[1]) == 3 else found[1], name
        )
        files[number] = name.decode(errors="surrogateescape")
    return files


class _Reader:
    """One text, from its first mention to its last."""

    def __init__(self, text: bytes, prefixes: int) -> None:
        self._text = text
        self._prefixes = prefixes
        self._here = _Surroundings(text)
        self._pieces: list[bytes] = []
        self._done = 0
        self._bound: dict[bytes, int] = {}
        self._targets: dict[bytes, bytes] | None = None
        self.sites: list[Site] = []
        self.left: list[Left] = []
        self.rest = 0

    def result(self) -> bytes:
        return b"".join((*self._pieces, self._text[self._done :]))

    def read(self) -> None:
        text, key, other = self._text, _expression(_KEY), _expression(_OTHER_NAME)
        at = text.find(_MENTION)
        while at >= 0:
            behind = at + len(_MENTION)
            found = key.match(text, behind)
            # `.L__SCT__key` is another name, but `$__SCT__key` a constant.
            if found and not other.search(text, max(at - 2, 0), at):
                self._here.go(at)
                self._mention(at, found[0])
            at = text.find(_MENTION, behind)

    def _mention(self, at: int, key: bytes) -> None:
        span = self._statement(at)
        if span is None:
            self.rest += 1
            return
        start, end = span
        if at < start:
            self._label(at + len(_MENTION) + len(key), key)
            return
        symbol = b'"%b%b"' % (_MENTION, key) if self._text[at - 1 : at] == b'"' else _MENTION + key
        shape = _expression(_COMMENT).sub(b" ", self._text[start:end])
        shape = b" ".join(shape.replace(symbol, b"~", 1).split())
        if shape.startswith(b"."):
            self._directive(shape, key)
        elif self._is_ours(start, end):
            self.rest += 1
        elif self._here.by_hand:
            self._leave(key, Why.HAND)
        else:
            self._instruction(shape, start, end, symbol, key)

    def _statement(self, at: int) -> tuple[int, int] | None:
        """From behind the labels to the end of the statement that has `at`; None in a comment."""
        start = self._text.rfind(b"\n", 0, at) + 1
        while (end := _expression(_STATEMENT).match(self._text, start).end()) <= at:  # type: ignore[union-attr]
            if self._text[end : end + 1] != b";":
                return None
            start = end + 1
        comments = _expression(_COMMENT).finditer(self._text, start, end)
        if any(comment.start() < at < comment.end() for comment in comments):
            return None
        labels = _expression(_LABELS).match(self._text, start, end)
        return (labels.end() if labels else start), start + len(self._text[start:end].rstrip())

    def _is_ours(self, start: int, end: int) -> bool:
        """Whether this instruction is a prepared site already, or the stub of one."""
        stub = _expression(_STUB).search(self._text, max(start - 99, 0), start)
        return bool(stub or _expression(_BEHIND).match(self._text, end))

    def _directive(self, shape: bytes, key: bytes) -> None:
        if not _expression(_DATA).match(shape) or _expression(_RECORDED).fullmatch(shape):
            self.rest += 1
        elif self._here.by_hand:
            self._leave(key, Why.HAND)
        elif b".debug_" in (self._here.section or b""):
            self.rest += 1
        else:
            self._leave(key, Why.ADDRESS)

    def _instruction(self, shape: bytes, start: int, end: int, symbol: bytes, key: bytes) -> None:
        direct = _expression(_DIRECT).fullmatch(shape) or _expression(_INDIRECT).fullmatch(shape)
        if direct:
            self._prepare(start, end, direct[1].lower(), symbol, key)
            return
        load = _expression(_LOAD).fullmatch(shape)
        register = _whole(load[load.lastindex or 0]) if load else b""
        call = _call_through(register).match(self._text, end) if register else None
        # What is kept across a call is kept for another one, which would go unseen.
        if call and (call["operation"] == b"jmp" or register not in hoisted.KEPT):
            self._prepare(*call.span("all"), call["operation"], symbol, key)
        else:
            self._leave(key, Why.FORM if _expression(_TRANSFER).match(shape) else Why.ADDRESS)

    def _prepare(self, start: int, end: int, operation: bytes, symbol: bytes, key: bytes) -> None:
        operation = operation.removesuffix(b"q")
        if operation == b"call" and _expression(_CHECKED).match(self._text, end):
            self._leave(key, Why.CHECKED)
            return
        kind = 0 if operation == b"call" else 1 if operation == b"jmp" else 2
        number, section = len(self.sites), self._here.section
        bound = number if section is None else self._bound.setdefault(section, number)
        self._replace(start, end, _site(number, bound, operation, kind, self._prefixes, symbol))
        self.sites.append(Site(_text(key), self._here.line, KINDS[kind], self._here.source()))

    def _leave(self, key: bytes, why: Why) -> None:
        self.left.append(Left(_text(key), self._here.line, why))

    def _replace(self, start: int, end: int, text: bytes) -> None:
        self._pieces += [self._text[self._done : start], text]
        self._done = end

    def _label(self, at: int, key: bytes) -> None:
        """A trampoline, from behind its name. One that jumps through its slot can jump to the initial target itself
        if the text tells which that is."""
        self.rest += 1
        jump = _expression(_SLOT_JUMP).match(self._text, at)
        if not jump:
            return
        if self._targets is None:
            self._targets = _initial_targets(self._text)
        if key in self._targets:
            self._replace(jump.end(), jump.end(), b"\t.reloc ., R_X86_64_PLT32, %b - 4\n" % self._targets[key])


def _initial_targets(text: bytes) -> dict[bytes, bytes]:
    """The functions that the keys of the text start with, by the keys' names, where there is no doubt.

    Not where keys are plain data: such a program may write no text, and its trampolines go by their slots for good.
    """
    if b".gnu.lto_" in text:
        return {}
    weak = {name.strip() for names in _expression(_WEAK).findall(text) for name in names.split(b",")}
    targets = {}
    for found in _expression(_KEY_OBJECT).finditer(text):
        section = text.rfind(b".section", 0, found.start())
        if section < 0 or not _expression(_KEY_SECTION).match(text, section):
            continue
        # A weak function that nobody defines is NULL.
        if found[2] not in weak or b"\n%b:" % found[2] in text:
            targets[found[1]] = found[2]
    return targets


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
