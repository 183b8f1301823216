# SPDX-License-Identifier: MIT
"""What the pages say of measured figures is what the last run of the benches found (bench/results)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from bench import overview
from bench.report import RESULTS, read
from tests.toolchain import ROOT

CALL, PROFILE, STARTUP, PROGRAMS, UPDATE = (
    read(RESULTS / f"{name}.json") for name in ("call", "profile", "startup", "programs", "update")
)
MODES = ("direct", "inline-asm", "trampoline")
TAIL_CALLS = ("xxhash: 256-byte hash", "xxhash: 16-byte update", "deflate: adler32 of 64 bytes")
LUA = ("lua: binary trees", "lua: objects and closures")
BOTH, RETPOLINES = ("plain", "retpolines"), ("retpolines",)


def of_pointer(cases: Iterable[str], ways: Iterable[str], flavours: Iterable[str] = RETPOLINES) -> list[float]:
    """The ratios to the pointer build of each of these programs in each of these forms."""
    wanted = {(f"{case}, {flavour}", way) for case in cases for flavour in flavours for way in ways}
    found = {(one.case, one.way): one.ratio for one in PROGRAMS.figures if (one.case, one.way) in wanted}
    assert found.keys() == wanted
    return [ratio for ratio in found.values() if ratio is not None]


def of_hard_wired(cases: Iterable[str], way: str) -> list[float]:
    names = [f"{case}, {flavour}, {way} to hard-wired: " for case in cases for flavour in BOTH]
    return [
        float(note.removeprefix(name).split()[0])
        for name in names
        for note in PROGRAMS.notes
        if note.startswith(name)
    ]


def of_call(way: str, case: str) -> list[float]:
    """The ratios to a hard-wired call, with each compiler."""
    figures = [one.ratio for one in CALL.figures if one.way == way and one.case.endswith(f": {case}")]
    assert len(figures) == 2
    return [ratio for ratio in figures if ratio is not None]


def span(ratios: list[float]) -> str:
    low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    return low if low == high else f"{low} to {high}"


def per_site() -> float:
    """Bytes that the first update takes of a program with a million sites."""
    resident = {one.way: one.value for one in STARTUP.figures if one.case == "a million sites: resident"}
    return (resident["first update, of one site"] - resident["no table"]) * 2**20 / 1e6


def update(threads: int, sites: int) -> float:
    """Microseconds that an update to another target takes, of aligned sites, by auto."""
    case = f"aligned: target, {threads} busy threads"
    (found,) = (one.value for one in UPDATE.figures if (one.case, one.way, one.x) == (case, "auto", sites))
    return found


def sentences() -> Iterable[tuple[str, str]]:
    calls = (*LUA, "deflate: crc32 of 64 bytes")
    hash_, short, adler = ((one,) for one in TAIL_CALLS)
    yield "docs/faq.md", f"inline asm takes {span(of_hard_wired(calls, 'inline-asm'))} times what a hard-wired call"
    yield (
        "docs/faq.md",
        f"{span(of_hard_wired(hash_, 'inline-asm'))} in xxHash's 256-byte hash, "
        f"{span(of_hard_wired(short, 'inline-asm'))} in its 16-byte update, "
        f"{span(of_hard_wired(adler, 'inline-asm'))} in adler32",
    )
    yield "docs/faq.md", f"which is at {span(of_hard_wired(TAIL_CALLS, 'direct'))} of hard-wired in the same cases"
    yield (
        "docs/faq.md",
        f"{span(of_hard_wired(adler, 'trampoline'))} of hard-wired in adler32 on 64 bytes, "
        f"{span(of_hard_wired(LUA, 'trampoline'))} in Lua, "
        f"nothing in crc32 ({span(of_hard_wired(('deflate: crc32 of 64 bytes',), 'trampoline'))})",
    )
    yield (
        "docs/faq.md",
        f"16-byte update takes {span(of_pointer(short, MODES))}, its 256-byte hash "
        f"{span(of_pointer(hash_, MODES))}, adler32 {span(of_pointer(adler, MODES))}; "
        "libdeflate's whole checksum program "
        f"{span(of_pointer(('deflate: its checksum -A -s 64',), MODES))}, a whole Lua program "
        f"{span(of_pointer(LUA, MODES))}.",
    )
    yield "docs/faq.md", f"{per_site():.0f} bytes a site with a million of them ({per_site() * 1e6 / 2**20:.0f} MiB)"
    yield "docs/runtime.md", f"({per_site():.0f} bytes a site of a program with"
    inline = [round(100 * ratio - 100) for ratio in of_hard_wired(TAIL_CALLS, "inline-asm")]
    yield "README.md", f"which costs {min(inline)} to {max(inline)} % of such short functions"
    yield "README.md", f"the PLT's jump ({of_call('ifunc', 'empty')[0]:.2f} of a hard-wired call)"
    yield "docs/alternatives.md", f"({span(of_call('ifunc', 'empty'))} of a hard-wired call of an empty function)"
    yield "docs/alternatives.md", f"costs what a direct one does ({of_call('pointer', 'empty')[0]:.2f} of it in"
    (loop,) = (one.ratio for one in PROFILE.figures if (one.case, one.way) == ("plain: another target", "pointer"))
    yield "docs/alternatives.md", f"in real programs; {loop:.1f}, a third of a nanosecond more"
    yield (
        "docs/performance.md",
        f"(an empty function: {span(of_call('inline-asm', 'empty') + of_call('direct', 'empty'))} of it), with "
        f"retpolines a pointer {span(of_call('pointer, retpoline', 'empty'))} times that, without them "
        f"{span(of_call('pointer', 'empty'))}. A hook that is off takes {span(of_call('direct', 'NULL'))}, "
        f"a test for NULL {span(of_call('pointer', 'NULL'))}.",
    )
    yield (
        "docs/performance.md",
        f"takes {update(0, 1):.0f} us while nobody calls, {update(2, 1):.0f} us beside two busy threads; of a "
        f"million sites {update(0, 1_000_000) / 1000:.0f} and {update(2, 1_000_000) / 1000:.0f} ms.",
    )
    (first,) = (one.value for one in STARTUP.figures if one.way == "first update, of one site" and one.unit == "ms")
    yield "docs/performance.md", f"{first:.0f} ms and {per_site() * 1e6 / 2**20:.0f} MiB for a million of them"
    yield "docs/guide-plugins.md", f"takes {span(of_call('pointer', 'small, far'))} of it"


@pytest.mark.parametrize(("page", "sentence"), list(sentences()))
def test_a_sentence(page: str, sentence: str) -> None:
    said = sentence in " ".join((ROOT / page).read_text().split())
    assert said, f"{page} must say: {sentence}"


def test_the_table_of_the_readme() -> None:
    """A row a case with retpolines: the ratios to the pointer, some with their middle half."""
    names = {
        "Lua, binary trees (allocator hook)": "lua: binary trees",
        "xxHash, 256-byte hash": "xxhash: 256-byte hash",
        "xxHash, 16-byte update": "xxhash: 16-byte update",
        "libdeflate, adler32 of 64 bytes": "deflate: adler32 of 64 bytes",
    }
    figures = {(one.case, one.way): one for one in PROGRAMS.figures}
    text = (ROOT / "README.md").read_text()
    for name, case in names.items():
        (row,) = re.findall(rf"^\| {re.escape(name)} \| (.*) \|$", text, re.MULTILINE)
        for way, cell in zip((*MODES, "hard-wired"), row.split(" | "), strict=True):
            one = figures[f"{case}, retpolines", way]
            short = f"{one.ratio:.2f}"
            assert cell in (short, f"{short} ({one.ratio_low:.2f}-{one.ratio_high:.2f})"), f"{name}: {way}"


def test_what_is_won_and_what_is_not() -> None:
    """The README's and the FAQ's claims that are no figure."""
    cases = [case.removesuffix(", plain") for case in PROGRAMS.cases() if case.endswith(", plain")]
    assert all(abs(ratio - 1) < 0.035 for ratio in of_pointer(cases, ["hard-wired"], ["plain"]))
    assert max(of_hard_wired(cases, "direct")) <= 1.02
    assert len(of_hard_wired(cases, "direct")) == 16
    assert min(of_call("pointer, retpoline", "empty")) > 5
    off, tested = of_call("inline-asm", "NULL"), of_call("pointer", "NULL")
    assert all(0.2 < nop / test < 0.3 for nop, test in zip(off, tested, strict=True))


def test_the_picture_is_that_of_the_last_run() -> None:
    assert overview.PICTURE.read_text() == overview.drawn(CALL), "python -m bench.overview"
