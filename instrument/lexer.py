# SPDX-License-Identifier: MIT
"""C's tokens as gcc's lexer sees them, in gnu11: comments, literals, directives, line splices, parentheses, and which
arm of an #if they stand in.

Must not know which names matter, nor types and scopes.

The text is lexed without its splices; `Lexed` maps what was found back to the bytes on disk. A lexer here
is one regular expression, each match of which eats a stretch of text without interest and at most one item
of interest: a word, a punctuator or the start of a directive. Python then runs once an item, not once a
token. Nothing in an expression can fail after a literal or a comment has matched, so none is ever re-read
from its middle.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from instrument.model import Span
from instrument.value import dataclass

_BOM = b"\xef\xbb\xbf"
_LINE_END = rb"(?:\r?\n|\r)"
"""gcc 12 and clang 14 end a line at a carriage return by itself, too, as old Macs did."""
LONE_RETURN = re.compile(rb"\r(?!\n)")
SPLICE = re.compile(rb"\\[ \t\f\v\0]*+" + _LINE_END)
"""gcc lets blanks stand between the backslash and the end of the line."""

# ---- the pieces of the expressions ----------------------------------------------------------------

_COMMENT = rb"(?:/\*(?:[^*]++|\*(?!/))*(?:\*/|\Z)|//[^\n]*+)"
_STRING = rb'"(?:[^"\\\n]++|\\[^\n])*"?'
_CHAR = rb"'(?:[^'\\\n]++|\\[^\n])*'?"
"""A quote without its partner takes the rest of the line, as in `#error don't`."""

_RAW_BODY = rb'"(?P<delimiter>[^ ()\\\t\v\f\r\n"]{0,16})\([\s\S]*?\)(?P=delimiter)"'
_RAW_PREFIX = rb"(?:(?<=R)(?<![\w$]R)|(?<=[uUL]R)(?<![\w$][uUL]R)|(?<=u8R)(?<![\w$]u8R))"

# UTF-8 that is no part of an identifier (the gaps of C11's annex D), so that a curly quote before a name
# does not hide it.
_STRANGE_2 = rb"(?:\xc2[\x80-\xa7\xa9\xab\xac\xae\xb0\xb1\xb6\xbb\xbf]|\xc3[\x97\xb7])"
_STRANGE_3 = (
    rb"(?:\xe1\x9a\x80|\xe1\xa0\x8e|\xe2\x80[\x80-\x8a\x8e-\xa9\xaf-\xbe]|\xe2\x81[\x81-\x93\x95-\x9f]"
    rb"|\xe2\x86[\x90-\xbf]|\xe2[\x87-\x90].|\xe2\x91[\x80-\x9f]|\xe2[\x94-\x9c].|\xe2\x9d[\x80-\xb5]"
    rb"|\xe2\x9e[\x94-\xbf]|\xe2[\x9f-\xaf\xb8\xb9].|\xe3\x80[\x80-\x83\x88-\xa0\xb0]|\xed[\xa0-\xbf]."
    rb"|\xee..|\xef[\x80-\xa3].|\xef\xb7[\x90-\xaf]|\xef\xb9[\x85\x86]|\xef\xbf[\xbe\xbf])"
)
_UTF8 = (rb"[\xc2-\xdf][\x80-\xbf]", rb"[\xe0-\xef][\x80-\xbf]{2}", rb"[\xf0-\xf4][\x80-\xbf]{3}")
_UCN = rb"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_LEFT = rb"(?<![\w$])(?:(?<![\x80-\xbf])|(?<!%b)(?<!%b)(?<!%b)|(?<=%b)|(?<=%b))" % (*_UTF8, _STRANGE_2, _STRANGE_3)
_RIGHT = rb"(?![\w$]|%b|(?!%b|%b)(?:%b))" % (_UCN, _STRANGE_2, _STRANGE_3, b"|".join(_UTF8))
"""Where an identifier may start, and must have ended."""

# C23's digit separators, only between digits: in gnu11 `the 80's` starts a character constant.
_NUMBER = _LEFT + rb"[0-9][\w$.]*+(?:(?:(?<=[eEpP])[+-]|(?<=[0-9a-fA-F])'(?=[0-9a-fA-F]))[\w$.]*+)*"
_UNIT = rb"%b|%b%b|%b|%b|%b" % (_COMMENT, _RAW_PREFIX, _RAW_BODY, _STRING, _CHAR, _NUMBER)
"""Text that hides what it holds."""

_BLANK = rb"(?:[ \t\f\v\r\0]|" + _COMMENT + rb")"
_HASH = _BLANK + rb"*(?:\#|%:)"
_DIRECTIVE = (
    rb"(?P<hash>\n" + _HASH + _BLANK + rb"*(?:(?P<include>include(?:_next)?|import)" + _RIGHT + _BLANK + rb"*"
    rb'(?P<header><[^>\n]*>|"[^"\n]*")?|(?=(?P<directive>[a-z_]\w*)?)))'
)
"""The name of a directive is only looked at, so that what follows the '#' is lexed like anything else."""


@cache
def lexer(words: bytes = b"", first: bytes = b"", marks: bytes = b"") -> re.Pattern[bytes]:
    """The expression that reports identifiers that match `words`, punctuators in `marks`, and directives.

    `first` holds the bytes that the words can start with, as in a character class.
    """
    stops, boring, items = rb"\n\"'/0-9", rb"[/0-9]", [_DIRECTIVE]
    if marks:
        stops += re.escape(marks)
        mark = rb"[" + re.escape(marks) + rb"]"
        if set(marks) & set(b"{}[]"):
            stops += rb"<%:"
            boring += rb"|<<|<(?![%:])|%(?!>)|:(?!>)"
            mark += rb"|<%|%>|<:|:>"
        items.append(rb"(?P<mark>" + mark + rb")")
    if words:
        stops += first
        boring += rb"|(?!(?=(?:%b)%b)%b)[%b][\w$]*+" % (words, _RIGHT, _LEFT, first)
        items.append(rb"%b(?P<word>%b)%b" % (_LEFT, words, _RIGHT))
    skip = rb"[^%b]++|%b|\n(?!%b)|%b" % (stops, _UNIT, _HASH, boring)
    # The bound keeps the expression's stack small; what is left over is the next match's.
    return re.compile(rb"(?:" + skip + rb"){0,99}(?:" + rb"|".join(items) + rb")?")


@cache
def expression(source: bytes) -> re.Pattern[bytes]:
    """Compiled only when a text needs it: all together take 20 ms, and no text of a compiler's launcher needs all."""
    return re.compile(source)


_PARENS = b"(),"
_ANY = rb"(?:" + _BLANK + rb"|\n(?!" + _HASH + rb"))*(?:" + _DIRECTIVE + rb"|(?P<mark>[^\s\0]))?"
_LINE = rb"(?:[^\n\"'/0-9]++|" + _UNIT + rb"|[/0-9])*"
_PIECE = rb"(?P<space>(?:\s|\0|" + _COMMENT + rb")+)|" + _UNIT + rb"|[^\s\0\"'/0-9]++|[/0-9]"
_MACRO = rb"define" + _BLANK + rb"*(?P<name>(?:[\w$\x80-\xff]|" + _UCN + rb")+)(?:\((?:" + _COMMENT + rb"|[^)])*\))?"

# A file with this many groups that never close is not C; looking on to its end for each would take forever.
_PATIENCE, _REACH = 50, 2000

_OPENING = frozenset((b"if", b"ifdef", b"ifndef"))
_TURNING = frozenset((b"else", b"elif", b"elifdef", b"elifndef"))


class _Parens(NamedTuple):
    """Offsets into the text: both parentheses, and the first comma between them or -1."""

    open: int
    comma: int
    close: int


class _Line(NamedTuple):
    """A directive: its name, the macro it defines with the offset of that macro's body, and its end."""

    directive: str | None
    macro: str | None
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Group:
    """A name, and the parenthesised text behind it.

    All fields but the last are those of a `Token`; `text` is the name's own. `in_body` tells that it stands
    inside of braces.
    """

    name: Span
    text: bytes
    parens: Span | None
    first: str
    first_span: Span | None
    rest: Span | None
    called: bool
    in_body: bool


@dataclass(frozen=True, slots=True)
class Word:
    """An identifier; `directive` is the name of the directive that it stands in, `line` what of that directive is
    text: the body of a #define, for others all of it. `macro` is the macro that is defined."""

    span: Span
    text: str
    directive: str | None = None
    line: Span | None = None
    macro: str | None = None


class Lexed:
    """`text` is the file without byte order mark and splices, behind a newline: a '#' always follows one.

    Every line in it ends with a newline; bytes are changed for that, but none is added.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._unclosed = 0
        self.bom = len(_BOM) if data.startswith(_BOM) else 0
        self._splices = [m.span() for m in SPLICE.finditer(data, self.bom)] if b"\\" in data else []
        self._join()
        if self._splices and b'R"' in self.text:
            self._keep_raw_strings()

    def _join(self) -> None:
        pieces, at = [b"\n"], self.bom
        self._starts, self._shifts, length = [0], [self.bom - 1], 1
        for start, end in self._splices:
            pieces.append(self.data[at:start])
            length += start - at
            self._starts.append(length)
            self._shifts.append(end - length)
            at = end
        pieces.append(self.data[at:])
        self.text = b"".join(pieces)
        if b"\r" in self.text:
            self.text = LONE_RETURN.sub(b"\n", self.text)

    def _keep_raw_strings(self) -> None:
        """A splice in a raw string is text. What is one shows only after the splices before it are gone."""
        prefix = lexer(rb'(?:u8|[uUL])?R(?=")', b"uULR")
        body = re.compile(_RAW_BODY)
        at = 0
        while m := prefix.match(self.text, at):
            if m.end() == at:
                return
            at = m.end()
            if m["word"] is None or not (raw := body.match(self.data, self.offset(at))):
                continue
            kept = [s for s in self._splices if not raw.start() <= s[0] < raw.end()]
            if len(kept) < len(self._splices):
                self._splices = kept
                self._join()
            at += raw.end() - raw.start()

    def offset(self, at: int) -> int:
        """The offset into the file of the byte at `at` in the text."""
        return at + self._shifts[bisect_right(self._starts, at) - 1]

    def span(self, start: int, end: int) -> Span:
        """The file's bytes for text[start:end], which is not empty, without the splices around it."""
        return Span(self.offset(start), self.offset(end - 1) + 1)

    def line_end(self, m: re.Match[bytes]) -> int:
        """Where the directive that `m` starts ends."""
        return expression(_LINE).match(self.text, m.end()).end()  # type: ignore[union-attr]

    def line(self, m: re.Match[bytes]) -> _Line:
        """The directive that `m` starts."""
        directive, macro, body, end = m["directive"] or m["include"], None, m.end(), self.line_end(m)
        if directive == b"define" and (define := expression(_MACRO).match(self.text, body, end)):
            macro, body = _str(define["name"]), define.end()
        return _Line(_str(directive) if directive else None, macro, body, end)

    def _marks(self, marks: re.Pattern[bytes], at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """The punctuators from `at` on, with their offset and how deep in parentheses they leave us.

        The arms of an #if are alternatives: each starts as deep as the first did, and whoever leaves the arm
        that `at` stands in does not see the others.
        """
        depth, left = 0, False
        outer: list[int] = []
        while (m := marks.match(self.text, at, end)) and m.end() > at:
            at = m.end()
            if m["hash"]:
                directive, at = m["directive"], self.line_end(m)
                if directive in _OPENING:
                    outer.append(depth)
                elif directive in _TURNING and outer:
                    depth = outer[-1]
                elif directive in _TURNING:
                    left = True
                elif directive == b"endif" and outer:
                    outer.pop()
                elif directive == b"endif":
                    left = False
            elif m["mark"] and not left:
                depth += (m["mark"] == b"(") - (m["mark"] == b")")
                yield m["mark"], m.start("mark"), depth

    def opens(self, at: int, end: int) -> bool:
        """Whether a parenthesis is the next token."""
        return next(self._marks(expression(_ANY), at, end), (b"", 0, 0))[0] == b"("

    def parens(self, at: int, limit: int) -> _Parens | None:
        """The parenthesised text that is the next token, if it closes before `limit`."""
        if not self.opens(at, limit):
            return None
        if self._unclosed > _PATIENCE:
            limit = min(limit, at + _REACH)
        start = comma = -1
        for mark, position, depth in self._marks(lexer(marks=_PARENS), at, limit):
            if start < 0:
                start = position
            elif mark == b"," and depth == 1 and comma < 0:
                comma = position
            elif depth == 0:
                return _Parens(start, comma, position)
        self._unclosed += limit - at > _REACH
        return None

    def group(self, start: int, end: int, limit: int, in_body: bool = False) -> Group:
        """What the name at text[start:end] is followed by before `limit`."""
        name, text = self.span(start, end), self.text[start:end]
        parens = self.parens(end, limit)
        if parens is None:
            return Group(name, text, None, "", None, None, False, in_body)
        stop = parens.close if parens.comma < 0 else parens.comma
        pieces = list(expression(_PIECE).finditer(self.text, parens.open + 1, stop))
        first = b"".join(b" " if m["space"] else m[0] for m in pieces).strip(b" ")
        solid = [m.span() for m in pieces if not m["space"]]
        return Group(
            name,
            text,
            self.span(parens.open, parens.close + 1),
            _str(first),
            self.span(solid[0][0], solid[-1][1]) if solid else None,
            None if parens.comma < 0 else Span(self.offset(parens.comma) + 1, self.offset(parens.close)),
            self.opens(parens.close + 1, limit),
            in_body,
        )


def _str(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def holds_directive(data: bytes) -> bool:
    """Whether a directive starts in `data`, which starts with a token."""
    return any(m["hash"] for m in lexer().finditer(Lexed(data).text))


def directives(data: bytes) -> list[tuple[str, Span]]:
    """Every directive's name, "" if it has none, and its span from the '#' to the end of its line or lines."""
    lexed = Lexed(data)
    found: list[tuple[str, Span]] = []
    for m in lexer().finditer(lexed.text):
        if m["hash"]:
            line = lexed.line(m)
            start = m.start("hash") + 1
            while lexed.text[start : start + 1] in b" \t\f\v\0":
                start += 1
            found.append((line.directive or "", lexed.span(start, max(start + 1, line.end))))
    return found


def words(data: bytes) -> list[Word]:
    """Every identifier outside of comments and literals, keywords and names of directives among them."""
    lexed = Lexed(data)
    found: list[Word] = []
    line, inside = _Line(None, None, 0, 0), None
    for m in lexer(rb"[A-Za-z_$][\w$]*+", rb"A-Za-z_$").finditer(lexed.text):
        if m["hash"]:
            line = lexed.line(m)
            inside = lexed.span(line.body, line.end) if line.body < line.end else None
        elif m["word"]:
            start, end = m.span("word")
            span, text = lexed.span(start, end), _str(m["word"])
            if start < line.end:
                found.append(Word(span, text, line.directive, inside, line.macro))
            else:
                found.append(Word(span, text))
    return found
