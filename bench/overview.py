# SPDX-License-Identifier: MIT
"""The README's picture: what a call costs, of the few ways and cases that a newcomer asks for.

    python -m bench.overview

docs/images/calls.svg, from bench/results/call.json. Written by hand rather than drawn by matplotlib: its letters can
be read at the width of a README, it follows light and dark, and the same figures are the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from bench.report import RESULTS, Figure, Report, read

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "calls.svg"

CASES = {
    "empty": "an empty function",
    "64-byte hash": "a hash of 64 bytes",
    "NULL": "a hook that is off (NULL)",
}
WAYS = {
    "hard-wired": "hard-wired",
    "inline-asm": "static call, inline-asm",
    "direct": "static call, direct",
    "trampoline": "static call, trampoline",
    "pointer": "pointer",
    "pointer, retpoline": "pointer, retpolines",
    "ifunc": "ifunc (PLT)",
}
LEFT, PANEL, BAR, TOP = 170, 220, 22, 58
STYLE = """\
svg { font: 13px sans-serif } rect.page { fill: #fff } text { fill: #222 } text.small { fill: #666; font-size: 11px }
.static { fill: #3b6ea5 } .other { fill: #9a9a9a } line { stroke: #c33; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  rect.page { fill: #16181d } text { fill: #ddd } text.small { fill: #999 }
  .static { fill: #6ea3dd } .other { fill: #6d6d6d }
}"""


def bar(one: Figure, left: float, top: float, scale: float) -> list[str]:
    """A bar, the middle half of its rounds as a line, its figure."""
    kind = "static" if WAYS[one.way].startswith("static call") else "other"
    middle = top + BAR / 2 - 3
    value = f"{one.value:.2f}" if one.value < 10 else f"{one.value:.1f}"
    return [
        f'<rect class="{kind}" x="{left}" y="{top}" width="{max(1.0, one.value * scale):.1f}" height="{BAR - 6}"/>',
        f'<line x1="{left + one.low * scale:.1f}" y1="{middle}" x2="{left + one.high * scale:.1f}" y2="{middle}"/>',
        f'<text x="{left + one.high * scale + 5:.1f}" y="{middle + 4.5}">{value}</text>',
    ]


def drawn(report: Report, compiler: str = "gcc-12") -> str:
    cases = report.cases()
    high, wide = TOP + BAR * len(WAYS) + 34, LEFT + PANEL * len(CASES)
    lines = [
        "<!-- SPDX-" + "License-Identifier: MIT -->",  # in two, or reuse takes it for this file's
        "<!-- Written by python -m bench.overview. -->",
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"',
        '     role="img">',
        f"<title>Nanoseconds a call, by the way to call</title>\n<style>\n{STYLE}\n</style>",
        f'<rect class="page" width="{wide}" height="{high}"/>',
        f'<text x="10" y="20" font-weight="bold">Nanoseconds a call</text><text x="{LEFT}" y="20" class="small">'
        f"{escape(report.machine.split(', Linux')[0])}, {compiler} -O2</text>",
    ]
    for at, label in enumerate(WAYS.values()):
        lines.append(f'<text x="{LEFT - 8}" y="{TOP + BAR * at + 12.5}" text-anchor="end">{escape(label)}</text>')
    rounds = set()
    for panel, (case, title) in enumerate(CASES.items()):
        figures = {one.way: one for one in cases[f"{compiler}: {case}"]}
        left = LEFT + PANEL * panel
        scale = (PANEL - 62) / max(figures[way].high for way in WAYS)
        lines.append(f'<text x="{left}" y="{TOP - 12}" font-weight="bold">{escape(title)}</text>')
        for at, way in enumerate(WAYS):
            rounds.add(figures[way].rounds)
            lines += bar(figures[way], left, TOP + BAR * at, scale)
    (rounds_,) = rounds
    lines.append(
        f'<text x="{LEFT}" y="{high - 12}" class="small">median of {rounds_} rounds, loop included; red: the '
        "middle half; each panel has a scale of its own</text>"
    )
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    PICTURE.write_text(drawn(read(RESULTS / "call.json")))


if __name__ == "__main__":
    main()
