# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.model import Edit, Span
from instrument.rewrite import apply


def test_bytes_outside_of_the_spans_stay() -> None:
    data = b"\xef\xbb\xbfa\xff(b)\t\r\nend"
    assert apply(data, [Edit(Span(3, 4), b"X"), Edit(Span(5, 8), b"[]")]) == b"\xef\xbb\xbfX\xff[]\t\r\nend"


def test_line_breaks_inside_of_a_span_are_kept_behind_it() -> None:
    assert apply(b"f(\n  k\r\n)(x)\n", [Edit(Span(0, 9), b"W")]) == b"W\n\r\n(x)\n"


def test_a_lone_carriage_return_is_a_line_as_well() -> None:
    assert apply(b"f(\r  k\r\n\r)(x)\n", [Edit(Span(0, 10), b"W")]) == b"W\r\r\n\r(x)\n"
    # Not one line's end with what follows it, inside of the span or behind.
    assert apply(b"f\\\r\\\n(k\r)\n", [Edit(Span(0, 9), b"W")]) == b"W\r \n\r \n"


def test_overlapping_edits_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="byte 2"):
        apply(b"abcdef", [Edit(Span(0, 3), b"x"), Edit(Span(2, 4), b"y")])


@given(st.binary(), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=6), st.binary(max_size=3))
def test_edits_keep_the_number_of_lines(data: bytes, cuts: list[tuple[int, int]], text: bytes) -> None:
    """Whatever is replaced, as long as the text itself has no line break."""
    edits, end = [], 0
    for gap, length in cuts:
        start = min(end + gap, len(data))
        # A span that would cut a \r\n in two is no token.
        while start < len(data) and data[start : start + 1] == b"\n":
            start += 1
        end = min(start + length, len(data))
        edits.append(Edit(Span(start, end), text.replace(b"\n", b" ").replace(b"\r", b" ")))
    assert apply(data, edits).count(b"\n") == data.count(b"\n")


def test_no_edit_is_the_identity() -> None:
    assert apply(b"anything\r\n", []) == b"anything\r\n"
