"""Hooks of MkDocs: generated pages, links to files of the repository, and scripts that fetch nothing."""

from __future__ import annotations

import os
import posixpath
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import api_pages
import code_pages
import command_pages
import file_pages
import live_report
import tutorial_pages
from mkdocs.structure.files import File

from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]

REPOSITORY_PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
"""Files of the repository that are pages of the site; README.md is replaced by the start page."""

_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_FETCHED = re.compile(r"https://unpkg\.com/[^\"'`]+")

_generated: dict[str, str | bytes] = {}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the generated pages, and put them into the navigation."""
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    _generated.clear()
    _generated.update(_pages())
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    config.repo_url, config.site_url = addresses(urls, os.environ)
    config.repo_name = "Repository"
    config.copyright = f"nnunet_femur {__version__} · Apache-2.0"
    config.nav = expanded(config.nav or [], list(_generated))
    return config


def addresses(urls: Mapping[str, str], environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the addresses of repository and site: those of the project, or else those of a workflow of GitHub.

    Args:
        urls: The project's URLs in pyproject.toml.
        environment: Environment variables.

    Example:
        >>> addresses({}, {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "we/femur"})
        ('https://github.com/we/femur', 'https://we.github.io/femur/')
        >>> addresses({"Repository": "https://example.org/femur"}, {})
        ('https://example.org/femur', None)
    """
    repository, site = urls.get("Repository"), urls.get("Documentation")
    server, name = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY", "")
    if server and "/" in name:
        owner, _, project = name.partition("/")
        repository, site = repository or f"{server}/{name}", site or f"https://{owner}.github.io/{project}/"
    return repository, site


def _pages() -> Iterator[tuple[str, str | bytes]]:
    """Yield path in the site and content of all generated files."""
    for source, target in REPOSITORY_PAGES.items():
        if source != "README.md":
            yield target, (ROOT / source).read_text(encoding="utf-8")
    for module in (api_pages, command_pages, code_pages, file_pages, live_report, tutorial_pages):
        yield from module.pages()


def expanded(nav: list[Any], pages: list[str]) -> list[Any]:
    """Return a navigation in which the generated pages of a folder replace its name and an asterisk.

    Args:
        nav: The navigation of mkdocs.yml.
        pages: Paths of the generated pages, in their order.

    Example:
        >>> expanded([{"Commands": ["commands/*"]}], ["commands/plan.md", "index.md"])
        [{'Commands': ['commands/plan.md']}]
    """
    found: list[Any] = []
    for each in nav:
        if isinstance(each, dict):
            found += [{title: expanded(of, pages) if isinstance(of, list) else of} for title, of in each.items()]
        elif each.endswith("/*"):
            found += [page for page in pages if page.endswith(".md") and posixpath.dirname(page) == each[:-2]]
        else:
            found.append(each)
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, content in _generated.items():
        source = files.get_file_from_path(path)
        if source is not None:  # The source of a tutorial, whose page contains its output.
            files.remove(source)
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links to files of the repository, so that the same text works there and on the site."""
    path = page.file.src_uri
    at_the_top = path in _generated and path in REPOSITORY_PAGES.values()
    home = "" if at_the_top else posixpath.dirname(f"docs/{path}")
    known = {file.src_uri for file in files}
    if path in _generated and not at_the_top:
        return markdown
    return with_links(markdown, path, home, known, repository=config.repo_url)


def with_links(markdown: str, page: str, home: str, known: set[str], *, repository: str | None = None) -> str:
    """Return the text of a page with links to files of the repository as links of the site.

    A file that is not in the site becomes a link to the repository's server; without one, its text alone remains.

    Args:
        markdown: The text.
        page: Path of the page in the site.
        home: Folder in the repository from which links of the text start.
        known: Paths of all files of the site.
        repository: Address of the repository.

    Example:
        >>> known = {"conversion.md", "contributing.md"}
        >>> with_links("[a](../CONTRIBUTING.md#add), [b](conversion.md)", "python.md", "docs", known)
        '[a](contributing.md#add), [b](conversion.md)'
        >>> with_links("[justfile](justfile)", "contributing.md", "", known)
        'justfile'
    """

    def rewritten(found: re.Match[str]) -> str:
        text, target = found.groups()
        if re.match(r"[a-z]+:|#|<", target):
            return found.group()
        path, hash_sign, anchor = target.partition("#")
        in_repository = posixpath.normpath(posixpath.join(home, path))
        in_site = REPOSITORY_PAGES.get(in_repository, in_repository.removeprefix("docs/"))
        if in_site in known and in_repository.startswith(("docs/", *REPOSITORY_PAGES)):
            return f"[{text}]({posixpath.relpath(in_site, posixpath.dirname(page) or '.')}{hash_sign}{anchor})"
        if not (ROOT / in_repository).exists():
            return found.group()  # A wrong link, which MkDocs reports.
        return f"[{text}]({repository}/blob/main/{in_repository}{hash_sign}{anchor})" if repository else text

    parts, last = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(rewritten, markdown[last : fence.start()]), fence.group()]
        last = fence.end()
    return "".join([*parts, _LINK.sub(rewritten, markdown[last:])])


def on_post_build(config: MkDocsConfig) -> None:
    """Remove the addresses from which Material's script loads diagrams, and fallbacks for old browsers."""
    for script in Path(config.site_dir).glob("assets/javascripts/*.js"):
        text = script.read_text(encoding="utf-8")
        script.write_text(_FETCHED.sub("data:text/javascript,", text), encoding="utf-8")
