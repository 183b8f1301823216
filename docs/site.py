# SPDX-License-Identifier: MIT
"""What mkdocs needs to know of this repository: README and its like are pages, links go where they go on a forge.

A hook of mkdocs.yml. A link out of docs/ leads to the page that the file has become, or to a copy of the file in the
site; one that leads nowhere is a warning, which is an error under --strict.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
_LINK = re.compile(r"(!?)\[([^\]\n]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_FOREIGN = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^>]*>")
_log = logging.getLogger("mkdocs.hooks.site")
_copied: dict[str, File] = {}
"""Files from outside of docs/ that a page has a link to, by their path in the site."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Pages that nav does not name go to its end."""
    nav: list[Any] = config.nav or []
    named = {next(iter(name.values())) if isinstance(name, dict) else name for part in nav for name in _pages(part)}
    pages = {path.relative_to(config.docs_dir).as_posix() for path in Path(config.docs_dir).rglob("*.md")}
    _pages(nav[-1]).extend(sorted(pages - named))
    return config


def _pages(section: dict[str, list[Any]]) -> list[Any]:
    """What a section of nav lists: a page's name, or its title and its name."""
    (pages,) = section.values()
    return pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    _copied.clear()
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The links of a page as they are in the site."""
    here = {page: name for name, page in PAGES.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def moved(found: re.Match[str]) -> str:
        picture, text, target, anchor = found.groups()
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        inside = path.removeprefix("docs/") if path.startswith("docs/") else PAGES.get(path)
        if inside is None:
            if picture and path.startswith("bench/results/") and not (ROOT / path).exists():
                return f"*({text}: a picture that `make bench` draws)*"
            if (ROOT / path).is_dir():
                return text
            if not (ROOT / path).is_file():
                _log.warning("%s: a link to %s, which is not there", here, target)
                return text
            inside = _copy(path, config, files)
        place = posixpath.relpath(inside, posixpath.dirname(page.file.src_uri) or ".")
        return f"{picture}[{text}]({place}{anchor or ''})"

    # A page's title is its first heading, if nothing stands before that.
    markdown = re.sub(r"\A(?:<!--.*?-->\s*)+", "", markdown, flags=re.DOTALL)
    # Not in code: there it is an example.
    parts = re.split(r"(^```.*?^```|`[^`\n]+`)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("`") else _LINK.sub(moved, part) for part in parts)


def _copy(path: str, config: MkDocsConfig, files: Files) -> str:
    """Have a file of the repository in the site, as something that browsers show."""
    shown = path if path.endswith((".png", ".svg")) else f"{path}.txt"
    inside = f"files/{shown}"
    if inside not in _copied:
        _copied[inside] = File.generated(config, inside, content=(ROOT / path).read_bytes())
        files.append(_copied[inside])
    return inside


def on_env(env: Any, config: MkDocsConfig, files: Files) -> None:
    # mkdocs has copied the files it knew before the pages were read.
    for file in _copied.values():
        file.copy_file()


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    for found in _FOREIGN.findall(output):
        if 'rel="canonical"' not in found:
            _log.warning("%s fetches something from elsewhere: %s", page.file.src_uri, found)
    return output
