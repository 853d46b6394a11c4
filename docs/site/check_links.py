"""Check a built site: every link has a target, and no page loads anything from another server.

    uv run python docs/site/check_links.py site

Nothing is fetched: addresses of other servers are checked by their form only. The exit status is 1 if there are
problems.
"""

from __future__ import annotations

import posixpath
import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
"""Attributes whose address a browser loads when it shows the page."""

_LOADED_RELATIONS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}

_IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
_IN_SCRIPTS = re.compile(r"https://(?:unpkg\.com|cdn\.[\w.]+|fonts\.\w+\.com|cdnjs\.[\w.]+)/[^\"'`\s]*")
_DATA = ("data:", "blob:", "javascript:")


@dataclass
class _Links(HTMLParser):
    """Links, loaded files and anchors of a page."""

    links: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)
    anchors: set[str] = field(default_factory=set)
    in_style: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the addresses of a tag."""
        given = {name: value for name, value in attrs if value}
        self.in_style = tag == "style"
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if tag == "link" and _LOADED_RELATIONS & set(given.get("rel", "").split()):
            self.loaded.add(given.get("href", ""))
        if tag in _LOADED and _LOADED[tag] in given:
            self.loaded.add(given[_LOADED[tag]])
        self.loaded |= set(_IN_STYLES.findall(given.get("style", "")))

    def handle_data(self, data: str) -> None:
        """Collect the addresses of a style."""
        if self.in_style:
            self.loaded |= set(_IN_STYLES.findall(data))


def problems_of(site: Path) -> list[str]:
    """Return the problems of a built site, each as PAGE: problem.

    Args:
        site: The folder that MkDocs has written.
    """
    pages = {path.relative_to(site).as_posix(): _read(path) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: contains no page. Build the site first: uv run mkdocs build"]
    for page, content in pages.items():
        for address in sorted(content.links | content.loaded):
            problem = _problem(site, pages, page, address, loaded=address in content.loaded)
            if problem:
                found.append(f"{page}: {address[:120]} {problem}")
    for path in sorted(site.rglob("*.css")):
        found += [f"{path.relative_to(site)}: {each} is loaded" for each in _IN_STYLES.findall(path.read_text("utf-8"))]
    for path in sorted(site.rglob("*.js")):
        if path.name != "search_index.js":  # The text of the pages.
            found += [
                f"{path.relative_to(site)}: {each} is loaded" for each in _IN_SCRIPTS.findall(path.read_text("utf-8"))
            ]
    return found


def _read(path: Path) -> _Links:
    links = _Links()
    links.feed(path.read_text("utf-8"))
    return links


def _problem(site: Path, pages: dict[str, _Links], page: str, address: str, *, loaded: bool) -> str:
    if address.startswith(_DATA):
        return ""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        if loaded:
            return "is loaded from another server."
        well_formed = parts.scheme == "mailto" or (parts.scheme in {"http", "https"} and "." in parts.netloc)
        return "" if well_formed and not re.search(r"\s", address) else "is not a valid address."
    path = unquote(parts.path)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    if path.startswith("/"):  # From the root of the server, where the site may be in a folder.
        target = path.lstrip("/") or "index.html"
        target = target if (site / target).exists() else target.partition("/")[2] or "index.html"
    if (site / target).is_dir():
        target = posixpath.join(target, "index.html")
    if not (site / target).is_file():
        return "does not exist."
    anchor = unquote(parts.fragment)
    if anchor and not loaded and target in pages and anchor not in pages[target].anchors | {"__skip", "top"}:
        return "has no such anchor."
    return ""


if __name__ == "__main__":
    problems = problems_of(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
    print("\n".join(problems) or "Every link has a target, and nothing is loaded from other servers.")
    sys.exit(1 if problems else 0)
