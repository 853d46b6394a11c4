"""Hooks of the site: links to files of the repository, navigation, and the docstrings' roles."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from docstring_roles import as_markdown
from hooks import ROOT, addresses, expanded, on_post_build, with_links

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = {"conversion.md", "contributing.md", "index.md", "images/demo.png", "reference/files.md"}


class TestLinks:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[a](conversion.md#dicom)", "[a](conversion.md#dicom)"),
            ("[a](../CONTRIBUTING.md#add)", "[a](contributing.md#add)"),
            ("[a](../README.md)", "[a](index.md)"),
            ("[a](#here)", "[a](#here)"),
            ("[a](https://example.org)", "[a](https://example.org)"),
            ("![a](../docs/missing.png)", "![a](../docs/missing.png)"),
            ("[a](missing.md)", "[a](missing.md)"),
            ("[a](../justfile)", "a"),
            ("```\n[a](../justfile)\n```\n[a](../justfile)", "```\n[a](../justfile)\n```\na"),
        ],
    )
    def test_of_a_page(self, text: str, expected: str) -> None:
        assert with_links(text, "python.md", "docs", KNOWN) == expected

    def test_of_a_file_at_the_top_of_the_repository(self) -> None:
        text = with_links("[a](docs/conversion.md) [b](justfile)", "contributing.md", "", KNOWN)
        assert text == "[a](conversion.md) b"

    def test_to_the_server_of_the_repository(self) -> None:
        text = with_links("[a](../justfile)", "python.md", "docs", KNOWN, repository="https://example.org/r")
        assert text == "[a](https://example.org/r/blob/main/justfile)"


def test_links_of_the_documentation_exist_in_the_repository() -> None:
    """MkDocs checks them on the site; they must work without it, too."""
    pages = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    missing = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^()\s#]+)", page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists() and not _is_generated(page, target)
    ]
    assert missing == []


def _is_generated(page: Path, target: str) -> bool:
    """Tell links of the start page, which only the site shows."""
    return page == ROOT / "docs" / "index.md" and (target == "live-report.md" or target.startswith("reference/"))


class TestNavigation:
    def test_generated_pages_replace_an_asterisk(self) -> None:
        nav = [{"A": ["a.md", {"B": ["b/*"]}]}, "c.md"]
        pages = ["b/2.md", "b/1.md", "b/1_files/x.md", "b/x.png", "other.md"]
        assert expanded(nav, pages) == [{"A": ["a.md", {"B": ["b/2.md", "b/1.md"]}]}, "c.md"]

    def test_of_a_folder_without_pages(self) -> None:
        assert expanded(["tutorials/*", "a.md"], []) == ["a.md"]


WORKFLOW = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "we/femur"}


class TestAddresses:
    def test_of_the_project(self) -> None:
        urls = {"Repository": "https://example.org/r", "Documentation": "https://example.org/d"}
        assert addresses(urls, WORKFLOW) == ("https://example.org/r", "https://example.org/d")

    def test_of_a_workflow(self) -> None:
        assert addresses({}, WORKFLOW) == ("https://github.com/we/femur", "https://we.github.io/femur/")

    def test_unknown(self) -> None:
        assert addresses({}, {}) == (None, None)


def test_scripts_load_nothing(tmp_path: Path) -> None:
    script = tmp_path / "assets" / "javascripts" / "bundle.js"
    script.parent.mkdir(parents=True)
    script.write_text('load("https://unpkg.com/mermaid@11/dist/mermaid.min.js", 1)')
    on_post_build(SimpleNamespace(site_dir=str(tmp_path)))
    assert script.read_text() == 'load("data:text/javascript,", 1)'


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (":func:`~nnunet_femur.predict` and :data:`a.X`", "[`predict`][nnunet_femur.predict] and `a.X`"),
        ("Text::\n\n    code\n", "Text:\n\n    code\n"),
        ("A.\n\nExample:\n    >>> 1\n", "A.\n\nExamples:\n    >>> 1\n"),
        ("An Example: not a section", "An Example: not a section"),
    ],
)
def test_roles_become_markdown(docstring: str, expected: str) -> None:
    assert as_markdown(docstring) == expected
