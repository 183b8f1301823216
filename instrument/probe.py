# SPDX-License-Identifier: MIT
"""One translation unit, asked: which calls are live with which keys, and what type each key has.

Knows how to run the user's compiler so that it answers (docs/design.md section 2), and how to read the
preprocessor's text. Must not know other units, or what is done with the answer.
"""

from __future__ import annotations

import os
import re
import subprocess
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from instrument.diagnostics import Finding, InstrumentError
from instrument.model import CType, Function, Key, Place, Qualified, Span, Typedef, Unit
from instrument.scan import Group, function_bodies, groups
from instrument.shadow import SITE, Shadow

if TYPE_CHECKING:
    from instrument.dwarf import Probe

# gcc 12 gives the parameter of connect() and its like, a transparent union, as a union without members.
_PROBE = ("-DSTATIC_CALL_PROBE", "-D__transparent_union__=", "-Dtransparent_union=")

# Whatever of these the user has, gcc writes no debug information with it, or elsewhere (parsing.md 3.5); the
# last wins, so ours come last. Instrumentation costs time and, in an object nobody runs, brings nothing.
_COMPILE = (
    *("-w", "-g2", "-gdwarf-5", "-gno-split-dwarf", "-fno-lto", "-fno-sanitize=all", "-fmax-errors=0"),
    *("-x", "cpp-output"),
)

# Flags of the user's that would write files of their own, hide the line markers, or make a warning an error.
_DROPPED = re.compile(
    r"-[cSEPCHv]|-CC|-M[MDGPV]?|-MMD|-M[FTQJ].+|-o.+|-Wp,-M.*|-d[DIMNU]|--?save-temps.*|-fdump-.*|-fsyntax-only"
    r"|-Werror.*|-pedantic-errors|-Wfatal-errors|--coverage|-ftest-coverage|-fprofile-arcs"
)
_DROPPED_WITH_VALUE = frozenset({"-o", "-MF", "-MT", "-MQ", "-MJ"})
_NOT_COMPILED = re.compile(r"-g(?!cc).*|-flto.*|-fdebug-types-section|-fmax-errors.*|-ferror-limit.*")
_NOT_COMPILED_WITH_VALUE = frozenset({"-include", "-imacros"})

_NAME = rb"[\w$\x80-\xff]+"
# Each begins with a literal, which `re` looks for ten times as fast as for anything else.
_SITE = re.compile(SITE.encode() + rb"(\d+)\b")
_DECLARED = re.compile(rb"__scp_(?<![\w$]__scp_)(" + _NAME + rb")")
_EXPANDED = re.compile(rb"__SC[KT]__")
_API = re.compile(rb"\b(?:static_call(?:_\w+)?|(?:DECLARE|DEFINE)_STATIC_CALL\w*)\b")
_IDENTIFIER = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_MARKER = re.compile(rb'\n# \d+ "([^"\\\n]*(?:\\.[^"\\\n]*)*)"((?: \d)*)$', re.MULTILINE)
_ERROR = re.compile(r"^(?P<path>[^\n:]+):(?P<line>\d+):(?:(?P<column>\d+):)? (?:fatal )?error: ", re.MULTILINE)

# Targets with registers (xmm16-31, masks, r16-31) that a wrapper compiled without them cannot name as changed.
_WIDER = re.compile(rb"target(?:_clones)?(?:__)?\s*\([^;{}]*?(?:avx512|avx10|apx|arch=)")
_PRAGMA_WIDER = re.compile(rb"\n[ \t]*#[ \t]*pragma[ \t]+(?:GCC|clang)[ \t][^\n]*" + _WIDER.pattern)
_HEAD = re.compile(rb"[;}]")

_CONVENTION_CHECK, _EXACT_CHECK = "__scc", "__sce"
_FOLD = b"\n#instrument "


@dataclass(frozen=True, slots=True)
class _Mark:
    """A line marker: from `start` on the text is from `path`, as the marker has it."""

    start: int
    path: bytes
    system: bool


@dataclass(frozen=True, slots=True)
class _Folded:
    """Preprocessed text in which a directive of our own stands for each part that is hidden."""

    text: bytes
    hidden: Sequence[bytes]

    def unfold(self, text: bytes) -> bytes:
        """`text`, made from the folded one, with the hidden parts back in their places."""
        head, *parts = text.split(_FOLD)
        pairs = (part.partition(b"\n") for part in parts)
        return head + b"".join(self.hidden[int(number)] + rest for number, _, rest in pairs)


class Rejected(Exception):
    """The compiler does not accept the text; carries its own words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`uses` is by site number; `nameless` are uses whose first argument is no identifier, with its text.

    `failure` is set where the compiler rejects the unit, and then nothing else is.
    """

    unit: Unit
    reached: frozenset[str] = frozenset()
    uses: Mapping[int, frozenset[str]] = field(default_factory=dict)
    nameless: Mapping[int, str] = field(default_factory=dict)
    stringized: frozenset[int] = frozenset()
    wider: frozenset[int] = frozenset()
    declared: frozenset[str] = frozenset()
    defined: frozenset[str] = frozenset()
    keys: Mapping[str, Key] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    failure: Finding | None = None

    @property
    def sound(self) -> bool:
        """Whether the compiler takes the unit, and every key that it uses is declared."""
        return not self.failure and not self.nameless and all(keys <= self.declared for keys in self.uses.values())


def ask(unit: Unit, tree: Shadow, include_dir: Path, number: int) -> Answer:
    """Everything that the compiler says of `unit`; `number` tells its scratch file from the others'."""
    try:
        text = _preprocess(unit, tree, include_dir)
        marks = [_Mark(m.start(), m[1], b"3" in m[2]) for m in _MARKER.finditer(text)]
        own = _folded(unit, tree, text, marks)
        sites = groups(own.text, _SITE) if SITE.encode() in own.text else []
        answer = _read(unit, tree, text, marks, own, sites)
        bodies = function_bodies(own.text) if answer.declared else []
        answer = replace(answer, wider=frozenset(_wider(own.text, bodies, sites)))
        answer = replace(answer, findings=tuple(_foreign(unit, tree, include_dir, text, marks)))
        # An undeclared key is a finding of its own; the compiler would only say the same again.
        if answer.sound and answer.declared:
            return _typed(answer, tree, own, bodies, sites, tree.scratch / f"{number}.o")
        return answer
    except Rejected as e:
        return Answer(unit, failure=_rejection(unit, tree, str(e)))


# ---- running the compiler -------------------------------------------------------------------------


def _run(command: Sequence[str], cwd: Path, text: bytes = b"") -> bytes:
    env = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, cwd=cwd, input=text, capture_output=True, env=env, check=False)
    except OSError as e:
        said = f"{e.strerror}: {e.filename}" if e.filename else str(e.strerror)
        raise InstrumentError(
            Finding("IN010", f"the compiler '{command[0]}' cannot be run", detail=said), status=2
        ) from e
    if done.returncode:
        raise Rejected(done.stderr.decode("utf-8", "replace") or f"exit status {done.returncode}")
    return done.stdout


def _without(words: Sequence[str], single: re.Pattern[str], with_value: frozenset[str]) -> list[str]:
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in with_value:
            next(rest, None)
        elif not single.fullmatch(word):
            kept.append(word)
    return kept


def _preprocess(unit: Unit, tree: Shadow, include_dir: Path) -> bytes:
    flags = _without(tree.flags(unit), _DROPPED, _DROPPED_WITH_VALUE)
    if any(f.startswith(("-isystem", "-idirafter")) for f in flags):
        flags += _uncanonical(tuple(_driver(flags)), unit.cwd)
    return _run([*flags, "-w", "-E", *_PROBE, "-I", str(include_dir), tree.main(unit)], unit.cwd)


def _driver(words: Sequence[str]) -> Iterator[str]:
    """The words before the first flag: a compiler, perhaps with a launcher before it."""
    for word in words:
        if word.startswith("-"):
            return
        yield word


@cache
def _uncanonical(driver: tuple[str, ...], cwd: Path) -> list[str]:
    """The flag that keeps gcc from following our links to a system header's shorter real path.

    Such a header would then find its neighbours in the tree with the old names. clang neither does that nor
    knows the flag.
    """
    flag = "-fno-canonical-system-headers"
    try:
        _run([*driver, flag, "-E", "-x", "c", "-"], cwd)
    except Rejected:
        return []
    return [flag]


def _compile(unit: Unit, text: bytes, how: Sequence[str]) -> None:
    flags = _without(unit.command, _DROPPED, _DROPPED_WITH_VALUE)
    flags = _without(flags, _NOT_COMPILED, _NOT_COMPILED_WITH_VALUE)
    _run([*flags, *how, *_COMPILE, "-"], unit.cwd, text)


def _rejection(unit: Unit, tree: Shadow, stderr: str) -> Finding:
    said = tree.original(stderr)
    main = tree.inside(str(unit.source), unit.cwd) or str(unit.source)
    error = _ERROR.search(said)
    place = Place(main, 1, 1)
    if error and (path := tree.inside(error["path"], unit.cwd)):
        place = Place(path, int(error["line"]), int(error["column"] or 1))
    return Finding("IN001", f"the compiler rejects {main}", place, detail=said)


# ---- reading the preprocessor's text --------------------------------------------------------------


def _folded(unit: Unit, tree: Shadow, text: bytes, marks: Sequence[_Mark]) -> _Folded:
    """`text` without what is in system headers: most of it, and to lex it would take most of the time."""
    foreign = {path for path in {m.path for m in marks if m.system} if not tree.inside(_path(path), unit.cwd)}
    parts: list[bytes] = [text[: marks[0].start] if marks else text]
    hidden: list[bytes] = []
    for mark, end in zip(marks, [*(m.start for m in marks[1:]), len(text)], strict=True):
        part = text[mark.start : end]
        # A macro of the tree's can be expanded in a system header, if hardly.
        if mark.system and mark.path in foreign and SITE.encode() not in part:
            parts.append(b"%b%d\n" % (_FOLD, len(hidden)))
            hidden.append(part)
        else:
            parts.append(part)
    return _Folded(b"".join(parts), hidden)


def _read(
    unit: Unit, tree: Shadow, text: bytes, marks: Sequence[_Mark], own: _Folded, sites: Sequence[Group]
) -> Answer:
    uses: dict[int, set[str]] = {}
    nameless: dict[int, str] = {}
    for group in sites:
        if group.parens is None:
            continue
        number, key = _number(group), group.first
        if _IDENTIFIER.fullmatch(key):
            uses.setdefault(number, set()).add(key)
        else:
            nameless[number] = key
    tokens = {group.name.start for group in sites}
    return Answer(
        unit,
        _reached(unit, tree, {m.path for m in marks}),
        {number: frozenset(keys) for number, keys in uses.items()},
        nameless,
        frozenset(int(m[1]) for m in _SITE.finditer(own.text) if m.start() not in tokens),
        declared=frozenset(_decoded(m[1]) for m in _DECLARED.finditer(text)),
    )


def _wider(text: bytes, bodies: Sequence[Span], sites: Sequence[Group]) -> Iterator[int]:
    """The sites in functions that are compiled for more registers than their file."""
    pragma = _PRAGMA_WIDER.search(text)
    starts = [body.start for body in bodies]
    for group in sites:
        i = bisect_right(starts, group.name.start) - 1
        if pragma and pragma.start() < group.name.start:
            yield _number(group)
        elif i >= 0 and group.name.start < bodies[i].end:
            before = text[bodies[i - 1].end if i else 0 : bodies[i].start]
            head = max((m.end() for m in _HEAD.finditer(before)), default=0)
            if _WIDER.search(before, head):
                yield _number(group)


def _number(group: Group) -> int:
    return int(group.text[len(SITE) :])


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _path(marker: bytes) -> str:
    """A line marker's file name; the compilers escape quotes and backslashes, and gcc other bytes in octal."""
    plain = re.sub(rb"\\([0-7]{3}|.)", lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else bytes(m[1]), marker)
    return os.fsdecode(plain)


def _reached(unit: Unit, tree: Shadow, markers: set[bytes]) -> frozenset[str]:
    inside = {tree.inside(_path(m), unit.cwd) for m in markers}
    # A #line directive can name a file that was never there.
    return frozenset(p for p in inside if p and (tree.top / p).is_file())


def _foreign(unit: Unit, tree: Shadow, include_dir: Path, text: bytes, marks: Sequence[_Mark]) -> Iterator[Finding]:
    """Files outside of the tree in whose text a key is declared or called: their calls cannot be rewritten."""
    starts = [m.start for m in marks]
    at = {bisect_right(starts, m.start()) - 1 for m in _EXPANDED.finditer(text)}
    ours = {include_dir.resolve()}
    ours |= {Path(_path(p)).parent.resolve() for p in {m.path for m in marks} if p.endswith(b"/static_call.h")}
    for marker in sorted({marks[i].path for i in at if i >= 0}):
        header = _path(marker)
        whole = unit.cwd / header
        if tree.inside(header, unit.cwd) or whole.parent.resolve() in ours or not whole.is_file():
            continue
        # A #line directive names a file that the text need not come from, so the file is looked into.
        if _API.search(whole.read_bytes()):
            yield Finding(
                "IN006",
                f"{header}, outside of the tree, uses static calls",
                notes=("what it declares would miss the instrumented static_call.h",),
                fix=f"add {whole.parent} to the inputs",
            )


# ---- types ----------------------------------------------------------------------------------------


def _typed(
    answer: Answer, tree: Shadow, own: _Folded, bodies: Sequence[Span], sites: Sequence[Group], scratch: Path
) -> Answer:
    from instrument import dwarf

    unit, text = answer.unit, own.text
    probing = [b for b in bodies if b"__scp_" in text[b.start : b.end]]
    in_block = {_decoded(m[1]) for b in probing for m in _DECLARED.finditer(text, b.start, b.end)}
    blank = [(b, b"{}") for b in bodies if b not in probing]
    compiled = own.unfold(_replaced(text, [*blank, *_callees(sites)]))
    try:
        _compile(unit, compiled, ("-O0", "-c", "-o", str(scratch)))
    except Rejected:
        # An alias or a weakref to a function whose body is gone; such text is rare, and whole it is slow. At
        # -O0 whole text can fail by itself, where it counts on dead code being removed, so not that here.
        compiled = own.unfold(_replaced(text, _callees(sites)))
        _compile(unit, compiled, ("-c", "-o", str(scratch)))
    data = scratch.read_bytes()
    scratch.unlink()
    if not dwarf.is_x86_64(data):
        return replace(answer, findings=(*answer.findings, _wrong_machine(unit, tree)))
    probes = dwarf.read(data, answer.declared)
    keys = {name: _key(name, found, name in in_block) for name, found in probes.items()}
    checked = _checked(unit, compiled, {name: key for name, key in keys.items() if not key.block})
    defined = frozenset(name for name, found in probes.items() if found.defined)
    return replace(answer, keys={**keys, **checked}, defined=defined)


def _key(name: str, found: Probe, block: bool) -> Key:
    fn = _function(found.type)
    if fn is None:
        return Key(name, None, "what it is declared with is not a function", block=block)
    return Key(name, fn, symbol=found.symbol, block=block)


def _callees(sites: Sequence[Group]) -> Iterator[tuple[Span, bytes]]:
    """Each call with the key's own function in its place, so that the text means what it did."""
    for group in sites:
        if group.parens is None:
            continue
        callee = b"__SCT__" + group.first.encode("utf-8", "surrogateescape")
        if group.rest is None:
            yield Span(group.name.start, group.parens.end), callee
        else:
            yield Span(group.name.start, group.rest.start), callee + b"("


def _replaced(text: bytes, edits: Sequence[tuple[Span, bytes]] | Iterator[tuple[Span, bytes]]) -> bytes:
    """`text` with the edits made; of two that overlap the outer, which comes first, counts."""
    parts, at = [], 0
    for span, new in sorted(edits, key=lambda e: (e[0].start, -e[0].end)):
        if span.start >= at:
            parts += [text[at : span.start], new]
            at = span.end
    return b"".join((*parts, text[at:]))


def _function(t: CType) -> Function | None:
    while isinstance(t, Typedef | Qualified):
        t = t.target
    return t if isinstance(t, Function) else None


def _checked(unit: Unit, text: bytes, keys: Mapping[str, Key]) -> dict[str, Key]:
    """The keys, held against the compiler once more: debug information does not tell all of a type.

    gcc 12 leaves out ms_abi, here and in what a parameter points to, noreturn there, and the const of an
    array's typedef. A wrapper of another type would not compile, or worse.
    """
    from instrument import declare

    names = [name for name, key in keys.items() if key.type and not declare.unnameable(key.type)]
    lines = [f'# 1 "{_EXACT_CHECK}"']
    for name in names:
        fn = keys[name].type
        assert fn is not None
        lines.append(
            f'_Static_assert(__builtin_types_compatible_p(__typeof__(*__scp_{name}), {declare.spell(fn)}), "");'
        )
    conventions = [name for name, key in keys.items() if key.type and key.type.convention == "sysv"]
    if b"ms_abi" in text or "-mabi=ms" in unit.command:
        lines.append(f'# 1 "{_CONVENTION_CHECK}"')
        # The typedef is the error where ms_abi is written out, the assertion where it comes from -mabi=ms.
        lines += [
            f"typedef __typeof__(*__scp_{k}) __scc_{k} __attribute__((__sysv_abi__));"
            f'_Static_assert(__builtin_types_compatible_p(__typeof__(*__scp_{k}), __scc_{k}), "");'
            for k in conventions
        ]
    checked = dict(keys)
    try:
        _compile(unit, b"\n".join((text, *(os.fsencode(line) for line in lines), b"")), ("-fsyntax-only",))
    except Rejected as e:
        for error in _ERROR.finditer(str(e)):
            if error["path"] == _EXACT_CHECK:
                name = names[int(error["line"]) - 1]
                checked[name] = replace(checked[name], inexact=True)
            elif error["path"] == _CONVENTION_CHECK:
                name = conventions[int(error["line"]) - 1]
                fn = checked[name].type
                assert fn is not None
                checked[name] = replace(checked[name], type=replace(fn, convention="ms"))
    return checked


def _wrong_machine(unit: Unit, tree: Shadow) -> Finding:
    main = tree.inside(str(unit.source), unit.cwd) or str(unit.source)
    return Finding("IN005", "the compiler makes code for another machine than 64-bit x86-64", Place(main, 1, 1))
