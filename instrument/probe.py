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

from instrument import ccflags, markers
from instrument.diagnostics import Finding, InstrumentError
from instrument.markers import Mark
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

_NOT_COMPILED = re.compile(
    r"-g(?!cc).*|-flto.*|-fdebug-types-section|-fmax-errors.*|-ferror-limit.*|-(?:-?include|imacros|-imacros=).*"
)

_NAME = rb"[\w$\x80-\xff]+"
# Each begins with a literal, which `re` looks for ten times as fast as for anything else.
_SITE = re.compile(SITE.encode() + rb"(\d+)\b")
_DECLARED = re.compile(rb"__scp_(?<![\w$]__scp_)(" + _NAME + rb")")
_KEY = re.compile(rb"__SC[KT]__(?<![\w$]__SC[KT]__)(?<!struct static_call_key __SC[KT]__)(" + _NAME + rb")")
_NAMED = re.compile(rb"__SC[KT]__(?<![\w$]__SC[KT]__)" + _NAME)
_UCN = re.compile(rb"(?<!\\)\\U([0-9a-fA-F]{8})")
_IDENTIFIER = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_ERROR = re.compile(r"^(?P<path>[^\n:]+):(?P<line>\d+):(?:(?P<column>\d+):)? (?:fatal )?error: ", re.MULTILINE)

_SNIPPET = re.compile(r"^ *\d* \|.*\n?", re.MULTILINE)

# Targets with registers (xmm16-31, masks, r16-31) that a wrapper compiled without them cannot name as changed, and
# targets without those that it names.
_WIDER = re.compile(
    rb"target(?:_clones)?(?:__)?\s*\([^;{}]*?(?:avx512|avx10|apx|arch=|general-regs-only|no-(?:sse|mmx|80387)\b)"
)
_PRAGMA_WIDER = re.compile(rb"\n[ \t]*#[ \t]*pragma[ \t]+(?:GCC|clang)[ \t][^\n]*" + _WIDER.pattern)
_TAIL = re.compile(rb"[;{]")
_CALLABLE = re.compile(rb"([A-Za-z_$][\w$]*)\s*\(")
_ATTRIBUTES = frozenset((b"__attribute__", b"__attribute", b"target", b"__target__", b"target_clones", b"__typeof__"))

_CONVENTION_CHECK, _EXACT_CHECK = "__scc", "__sce"
_FOLD = b"\n#instrument "


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

    `failure` is set where the compiler rejects the unit, and then nothing else is. `strangers` are the calls of
    a unit that never reads static_call.h: what they call is none of ours. `undeclared` are the keys that a
    function's body names and nothing declares.
    """

    unit: Unit
    reached: frozenset[str] = frozenset()
    uses: Mapping[int, frozenset[str]] = field(default_factory=dict)
    nameless: Mapping[int, str] = field(default_factory=dict)
    stringized: frozenset[int] = frozenset()
    wider: frozenset[int] = frozenset()
    strangers: frozenset[int] = frozenset()
    undeclared: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    defined: frozenset[str] = frozenset()
    keys: Mapping[str, Key] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    failure: Finding | None = None

    @property
    def sound(self) -> bool:
        """Whether the compiler takes the unit, all its calls are ours, and every key that it uses is declared."""
        if self.failure or self.nameless or self.undeclared or self.strangers:
            return False
        return all(keys <= self.declared for keys in self.uses.values())


def ask(unit: Unit, tree: Shadow, include_dir: Path, number: int) -> Answer:
    """Everything that the compiler says of `unit`; `number` tells its scratch file from the others'."""
    unit = replace(unit, command=ccflags.quiet(unit.command, unit.cwd))
    scratch = tree.scratch / f"{number}.o"
    try:
        text = _preprocess(unit, tree, include_dir)
        marks = markers.marks(text)
        if not marks:
            raise Rejected(f"'{unit.command[0]} -E' has put out no preprocessed text with line markers")
        own = _folded(unit, tree, text, marks)
        sites = groups(own.text, _SITE) if SITE.encode() in own.text else []
        first = markers.entry(unit, include_dir, marks)
        if first is None:
            strangers = frozenset(_number(group) for group in sites)
            return Answer(unit, _reached(unit, tree, marks), strangers=strangers)
        answer = _read(unit, tree, text, marks, own, sites)
        bodies = function_bodies(own.text) if answer.declared or _KEY.search(own.text) else []
        answer = replace(
            answer,
            wider=frozenset(_wider(own.text, bodies, sites)),
            undeclared=_undeclared(own.text, bodies) - answer.declared,
            findings=tuple(markers.foreign(unit, tree, include_dir, text, marks)),
        )
        hidden = markers.unseen(unit, tree, first)
        if hidden and not answer.findings and (answer.declared or sites):
            answer = replace(answer, findings=(hidden,))
        # An undeclared key is a finding of its own; the compiler would only say the same again.
        if answer.sound and answer.declared:
            return _typed(answer, tree, own, bodies, sites, scratch)
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


def _preprocess(unit: Unit, tree: Shadow, include_dir: Path) -> bytes:
    flags = tree.flags(unit)
    if any(f.startswith(("-isystem", "-idirafter")) for f in flags):
        flags += _uncanonical(tuple(_driver(flags)), unit.cwd)
    how = ("-w", "-E", "-o", "-", *_PROBE, "-I", str(include_dir), tree.main(unit))
    text = _run([*flags, *how], unit.cwd)
    # gcc puts names out as universal character names; in a literal it means the same.
    return _UCN.sub(lambda m: chr(int(m[1], 16)).encode("utf-8", "replace"), text) if b"\\U" in text else text


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


def _compile(unit: Unit, text: bytes, how: Sequence[str], scratch: Path) -> None:
    flags = [w for o in ccflags.options(unit.command) if not _NOT_COMPILED.fullmatch(o[0]) for w in o]
    _run([*flags, *how, *_COMPILE, "-o", str(scratch), "-"], unit.cwd, text)


def _rejection(unit: Unit, tree: Shadow, stderr: str) -> Finding:
    said = tree.original(stderr)
    main = tree.inside(str(unit.source), unit.cwd) or str(unit.source)
    error = _ERROR.search(said)
    place = Place(main, 1, 1)
    if error and (path := tree.inside(error["path"], unit.cwd)):
        place = Place(path, int(error["line"]), int(error["column"] or 1))
        if place.column > _width(tree.root / path, place.line):
            # What the compiler read is the preprocessed line; its columns mean nothing in the source's.
            place = replace(place, column=1)
            said = _SNIPPET.sub("", said)
    return Finding("IN001", f"the compiler rejects {main}", place, detail=said)


def _width(path: Path, line: int) -> int:
    """How many columns the line has, the one behind it counted, as gcc counts them."""
    try:
        lines = path.read_bytes().split(b"\n", line)
    except OSError:
        return 0
    return len(lines[line - 1].expandtabs()) + 1 if line <= len(lines) else 0


# ---- reading the preprocessor's text --------------------------------------------------------------


def _folded(unit: Unit, tree: Shadow, text: bytes, marks: Sequence[Mark]) -> _Folded:
    """`text` without what is in system headers: most of it, and to lex it would take most of the time."""
    foreign = {path for path in {m.path for m in marks if m.system} if not tree.inside(path, unit.cwd)}
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
    unit: Unit, tree: Shadow, text: bytes, marks: Sequence[Mark], own: _Folded, sites: Sequence[Group]
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
        _reached(unit, tree, marks),
        {number: frozenset(keys) for number, keys in uses.items()},
        nameless,
        frozenset(int(m[1]) for m in _SITE.finditer(own.text) if m.start() not in tokens),
        declared=frozenset(_decoded(m[1]) for m in _DECLARED.finditer(text)),
    )


def _wider(text: bytes, bodies: Sequence[Span], sites: Sequence[Group]) -> Iterator[int]:
    """The sites in functions that are compiled for other registers than their file."""
    if b"target" not in text:
        return
    pragma = _PRAGMA_WIDER.search(text)
    starts = [body.start for body in bodies]
    wide = _wide_names(text, bodies, starts)
    for group in sites:
        i = bisect_right(starts, group.name.start) - 1
        inside = i >= 0 and group.name.start < bodies[i].end
        if (pragma and pragma.start() < group.name.start) or (
            inside and wide & _declared_names(text, bodies[i].start)
        ):
            yield _number(group)


def _wide_names(text: bytes, bodies: Sequence[Span], starts: Sequence[int]) -> set[bytes]:
    """What is declared with such a target; the attribute may stand on a prototype alone, in a header."""
    names: set[bytes] = set()
    for m in _WIDER.finditer(text):
        i = bisect_right(starts, m.start()) - 1
        if i < 0 or m.start() >= bodies[i].end:
            end = _TAIL.search(text, m.end())
            names |= _declared_names(text, end.start() if end else len(text))
    return names


def _declared_names(text: bytes, end: int) -> set[bytes]:
    """The names before a parenthesis in the declaration that ends at `end`: the function's, and too many."""
    start = max(text.rfind(b";", 0, end), text.rfind(b"}", 0, end)) + 1
    return set(_CALLABLE.findall(text, start, end)) - _ATTRIBUTES


def _number(group: Group) -> int:
    return int(group.text[len(SITE) :])


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _reached(unit: Unit, tree: Shadow, marks: Sequence[Mark]) -> frozenset[str]:
    names = {tree.name(file, unit.cwd) for file in {m.file for m in marks}}
    return frozenset(name for name in names if name and (tree.top / name).is_file())


def _undeclared(text: bytes, bodies: Sequence[Span]) -> frozenset[str]:
    """The keys that are named in functions' bodies only, which the compiler is not shown."""
    inside = {_decoded(m[1]) for body in bodies for m in _KEY.finditer(text, body.start, body.end)}
    outside = _replaced(text, [(body, b"") for body in bodies]) if inside else b""
    return frozenset(inside - {_decoded(m[0][len("__SCK__") :]) for m in _NAMED.finditer(outside)})


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
        _compile(unit, compiled, ("-O0", "-c"), scratch)
    except Rejected:
        # An alias or a weakref to a function whose body is gone; such text is rare, and whole it is slow. At
        # -O0 whole text can fail by itself, where it counts on dead code being removed, so not that here.
        compiled = own.unfold(_replaced(text, _callees(sites)))
        _compile(unit, compiled, ("-c",), scratch)
    data = _written(unit, scratch)
    if not dwarf.is_x86_64(data):
        return replace(answer, findings=(*answer.findings, _wrong_machine(unit, tree)))
    try:
        probes = dwarf.read(data, answer.declared)
    except dwarf.BROKEN as e:
        raise Rejected(f"'{unit.command[0]} -c' has written an object that cannot be read: {e}") from e
    keys = {name: _key(name, found, name in in_block) for name, found in probes.items()}
    checked = _checked(unit, compiled, {name: key for name, key in keys.items() if not key.block}, scratch)
    defined = frozenset(name for name, found in probes.items() if found.defined)
    return replace(answer, keys={**keys, **checked}, defined=defined)


def _written(unit: Unit, scratch: Path) -> bytes:
    data = scratch.read_bytes() if scratch.is_file() else b""
    scratch.unlink(missing_ok=True)
    if not data.startswith(b"\x7fELF"):
        raise Rejected(f"'{unit.command[0]} -c' has written {'no ELF object' if data else 'no object'}")
    return data


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


def _checked(unit: Unit, text: bytes, keys: Mapping[str, Key], scratch: Path) -> dict[str, Key]:
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
        _compile(unit, b"\n".join((text, *(os.fsencode(line) for line in lines), b"")), ("-fsyntax-only",), scratch)
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
