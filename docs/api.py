# SPDX-License-Identifier: MIT
"""Write docs/api.md from the comments of the headers: `python docs/api.py`. A test holds the page against them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ("static_call.h", "static_call_runtime.h")
PAGE = ROOT / "docs" / "api.md"

_BEGIN = """<!-- SPDX-License-Identifier: MIT -->
<!-- Written by docs/api.py from the headers' comments: change those. -->
# API reference

What a program may call: `static_call.h` for everybody, `static_call_runtime.h` for who asks the runtime. Names that
begin with two underscores are between instrumented objects and the runtime.
"""
_NAME = re.compile(r"(?<![`\w/.-])((?:-D)?\w*[a-zA-Z0-9]_\w+(?:=\w+|\([^() ]*\)|\.h)?)(?![`\w])")
_DECLARED = (
    re.compile(r"^typedef .*?\b(\w+)\)?(?:\(void\))?;$"),
    re.compile(r"^((?:struct|enum) \w+) \{"),
    re.compile(r"^(?!\s|typedef)[\w ]*?[ *](\w+)\("),
)


def page() -> str:
    """The whole of docs/api.md."""
    return _BEGIN + "".join(_section(name) for name in HEADERS)


def _section(header: str) -> str:
    text = (ROOT / "c_runtime" / "include" / header).read_text()
    about, rest = _comment(text[text.index("/**") :])
    title, _, about = about.partition(" - ")
    parts = [f"\n## {title}\n\n{_prose(about[0].upper() + about[1:])}\n"]
    for comment, code in _declarations(rest):
        names = [name for pattern in _DECLARED for line in code.splitlines() for name in pattern.findall(line)]
        # A struct or an enum and what goes with it are one entry.
        title = ", ".join(f"`{name}`" for name in names)
        parts.append(f"\n### {title}\n\n" + (f"{_prose(comment)}\n\n" if comment else "") + f"```c\n{code}\n```\n")
    return "".join(parts)


def _declarations(text: str) -> Iterator[tuple[str, str]]:
    """Each comment and the declarations up to the next empty line; a type may have none."""
    for block in re.split(r"\n\n(?!\s)", text):
        block = re.sub(r"\Astruct \w+;\n", "", block)
        comment, code = _comment(block) if block.startswith("/**") else ("", block)
        if re.match(r"(typedef|struct \w+ \{|enum|int |void |const )", code) and "\\\n" not in code:
            yield comment, code.replace(" __SC_VISIBLE", "").rstrip().expandtabs(4)


def _comment(text: str) -> tuple[str, str]:
    """The text of the comment that `text` begins with, without its stars, and what follows."""
    end = text.index("*/")
    lines = [re.sub(r"^\s*\* ?", "", line) for line in text[3:end].strip().splitlines()]
    return "\n".join(lines).strip(), text[end + 2 :].lstrip("\n")


def _prose(text: str) -> str:
    """A comment's text as Markdown: names as code, indented lines as they are, set off by empty ones."""
    lines: list[str] = []
    for line in re.sub(r"\n\n+", "\n\n", text).splitlines():
        code = line.startswith("    ")
        if lines and line and lines[-1] and code != lines[-1].startswith("    "):
            lines.append("")
        lines.append(
            line if code else _NAME.sub(r"`\1`", line).replace("docs/runtime.md", "[runtime.md](runtime.md)")
        )
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
