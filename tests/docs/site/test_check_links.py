"""The check of links finds each kind of problem of a site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from check_links import problems_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site without problems."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "page.html").write_text('<h1 id="top-1">x</h1><a href="../index.html#b">b</a>')
    (tmp_path / "index.html").write_text(
        '<p id="b"><a href="a/page.html#top-1">a</a><a href="https://example.org/x">x</a><a href="/a/page.html">r</a>'
        '<a href="/base/a/page.html">s</a><a href="/base/">t</a>'
        '<link rel="canonical" href="https://example.org"><img src="data:image/png;base64,AA"><a href="#b">b</a>'
    )
    (tmp_path / "site.css").write_text("p { background: url(data:image/png;base64,AA) }")
    return tmp_path


def test_a_good_site(site: Path) -> None:
    assert problems_of(site) == []


def test_an_empty_folder(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path)
    assert problem.startswith(f"{tmp_path}: ")


@pytest.mark.parametrize(
    "html",
    [
        '<a href="missing.html">x</a>',
        '<a href="a/page.html#missing">x</a>',
        '<a href="#missing">x</a>',
        '<a href="/base/missing.html">x</a>',
        '<a href="https://exa mple.org/">x</a>',
        '<a href="https:///x">x</a>',
        '<img src="missing.png">',
        '<img src="https://example.org/a.png">',
        '<script src="//example.org/a.js"></script>',
        '<link rel="stylesheet" href="https://example.org/a.css">',
        '<link rel="preconnect" href="https://example.org">',
        '<iframe src="https://example.org"></iframe>',
        '<p style="background: url(https://example.org/a.png)">x</p>',
        "<style>@import 'https://example.org/a.css';</style>",
    ],
)
def test_a_problem_of_a_page(site: Path, html: str) -> None:
    (site / "a" / "page.html").write_text(f'<h1 id="top-1">x</h1>{html}'.replace('"a/page', '"page'))
    (problem,) = problems_of(site)
    assert problem.startswith("a/page.html: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.css", "@import url(https://example.org/a.css);"), ("a.js", 'load("https://unpkg.com/mermaid@11/a.js")')],
)
def test_a_problem_of_a_style_or_script(site: Path, name: str, text: str) -> None:
    (site / name).write_text(text)
    (problem,) = problems_of(site)
    assert problem.startswith(f"{name}: ")
