# SPDX-License-Identifier: MIT
"""The page of `instrument report`, in Chromium: its scripts run, its picture is looked at."""

from __future__ import annotations

import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.report import project as of
from tests.toolchain import run

CALLS = 450
MANY = "#include <static_call.h>\nint g(int x) { return x; }\nDEFINE_STATIC_CALL(many, g);\n" + "".join(
    f"int many_{i:03}(void) {{ return static_call(many)({i}); }}\n" for i in range(CALLS)
)
BROWSER = [
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--window-size=1280,1600"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = of.lay(tmp_path_factory.mktemp("page"), **{"many.c": MANY})
    assert of.run(folder) == 0
    assert of.report(folder, "-o", "report.html") == ""
    return folder / "report.html"


class Dom(HTMLParser):
    """What a test asks of a page: the table of calls, by rows and cells, and what has which attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append((tag, known))
        self._inside = known.get("id") or self._inside
        if tag == "tr":
            self.rows.append([])
        elif tag == "td" and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._inside == "shown":
            self.shown += data.strip()
        elif self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def calls(self) -> list[list[str]]:
        return [row for row in self.rows if len(row) == 5 and row[0].startswith("src/")]


def dom(page: Path, folder: Path, asked: str) -> Dom:
    return Dom(run([*BROWSER, f"--user-data-dir={folder}/browser", "--dump-dom", f"file://{page}#{asked}"]))


def test_filters_and_order_are_in_the_address(page: Path, tmp_path: Path) -> None:
    found = dom(page, tmp_path, "q=main.c&form=inline-asm&sort=place&down=1")
    assert found.shown == "2 of 455 calls"
    assert [row[0].partition("\n")[0][:17] for row in found.calls()] == ["src/main.c:11:44r", "src/main.c:11:9re"]
    assert [row[1:4] for row in found.calls()] == [["inlined", "narrow", "inline-asm"]] * 2
    sorted_by = [known["aria-sort"] for _, known in found.tags if "aria-sort" in known]
    assert sorted_by == ["descending"]


def test_the_source_is_text_and_the_pages_are_few(page: Path, tmp_path: Path) -> None:
    found = dom(page, tmp_path, "page=3&sort=key&down=1")
    assert found.shown == "All 455 calls"
    rows = found.calls()
    assert len(rows) == 55 and rows[-1][2] == "many"
    found = dom(page, tmp_path, "code=IN022")
    (row,) = found.calls()
    assert of.MARKUP in row[0] and "the function takes further arguments" in row[4]
    assert not any(known.get("id") == "injected" for _, known in found.tags)
    meant = "the function is variadic (instrument explain IN022)"
    assert [tag for tag, known in found.tags if known.get("title") == meant] == ["a", "abbr", "abbr"]


def test_the_page_needs_nothing_but_itself(page: Path) -> None:
    text = page.read_text()
    assert text.lower().count("</script>") == 2 and "default-src 'none'" in text
    assert not re.findall(r"https?://|@import|url\(|\bsrc=|<link|<iframe", text)
    found = Dom(text)
    bars = [known for tag, known in found.tags if tag == "svg"]
    assert [bar["aria-label"] for bar in bars] == [
        "450 inline-asm",
        "2 inline-asm, 1 trampoline, 1 inactive",
        "1 inline-asm",
    ]
    assert all(known.get("scope") for tag, known in found.tags if tag == "th")


def measured(page: Path, folder: Path, asked: str, width: int, ask: str) -> str:
    """What the expression `ask` is in the page, in a window of `width` pixels."""
    copy = folder / "measured.html"
    copy.write_text(page.read_text().replace("</body>", f"<script>document.title = {ask};</script></body>"))
    # Headless Chromium has no window below 500 pixels.
    browser = [word for word in BROWSER if not word.startswith("--window-size")]
    shown = run(
        [
            *browser,
            f"--window-size={width},900",
            f"--user-data-dir={folder}/browser",
            "--dump-dom",
            f"file://{copy}#{asked}",
        ]
    )
    return re.findall(r"<title>(.*?)</title>", shown)[0]


@pytest.mark.parametrize("width", [1280, 600])
def test_long_names_leave_room(width: int, tmp_path: Path) -> None:
    folder = of.lay(tmp_path / "project", **{f"{'long_' * 40}.c": MANY.replace("many", "many" * 20)})
    assert of.run(folder) == 0
    assert of.report(folder, "-o", "report.html") == ""
    sizes = (
        "[...document.querySelectorAll('svg'), document.documentElement].map((e) => e.scrollWidth || e.clientWidth)"
    )
    sizes = sizes.replace("e.scrollWidth || e.clientWidth", "Math.round(e.getBoundingClientRect().width)")
    *bars, whole = map(int, measured(folder / "report.html", tmp_path, "", width, f"{sizes}.join()").split(","))
    assert len(bars) == 3 and min(bars) > whole / 3
    last = "document.querySelector('#calls tbody td:last-child').getBoundingClientRect().right"
    assert float(measured(folder / "report.html", tmp_path, "", width, last)) <= whole


def test_an_order_that_there_is_not_is_the_usual_one(page: Path, tmp_path: Path) -> None:
    found = dom(page, tmp_path, "sort=__proto__")
    assert found.shown == "All 455 calls" and len(found.calls()) == 200
    assert [known["aria-sort"] for _, known in found.tags if "aria-sort" in known] == ["ascending"]


def test_the_focus_goes_where_a_link_leads(page: Path, tmp_path: Path) -> None:
    for link in (".skip", ".totals a"):
        go = f"document.querySelector('{link}').click(), dispatchEvent(new Event('hashchange'))"
        assert measured(page, tmp_path, "", 1280, f"({go}, document.activeElement.id)") == "calls-h"


def luminance(colour: str) -> float:
    def linear(part: int) -> float:
        return part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_all_text_has_contrast(page: Path) -> None:
    """WCAG 2's AA: 4.5 to 1, on the page and on what is set off from it."""
    themes = re.findall(r"color-scheme: \w+;(.*?)}", page.read_text(), re.DOTALL)
    assert len(themes) == 3 and themes[1].split() == themes[2].split()
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6});", theme))
        for below in (colours["page"], colours["card"]):
            for name in colours.keys() - {"page", "card", "line"}:
                light, dark = sorted((luminance(below), luminance(colours[name])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, below)


def first_pixel(png: bytes) -> tuple[int, int, int]:
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    # Whatever the filter of the first row, its first pixel has nothing to be predicted from.
    red, green, blue = zlib.decompress(data)[1:4]
    return red, green, blue


@pytest.mark.parametrize(("asked", "dark"), [("", False), ("", True), ("theme=light", True)])
def test_light_and_dark(asked: str, dark: bool, page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    system = f"--blink-settings=preferredColorScheme={int(not dark)}"
    where = f"file://{page}#{asked}"
    run([*BROWSER, system, f"--user-data-dir={tmp_path}/browser", f"--screenshot={shot}", where])
    wanted = asked.partition("=")[2] or ("dark" if dark else "light")
    assert first_pixel(shot.read_bytes()) == {"light": (255, 255, 255), "dark": (0x14, 0x17, 0x1C)}[wanted]
