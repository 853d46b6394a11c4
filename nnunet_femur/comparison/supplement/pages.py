"""Pages of text and tables, independent of the format that they are written in: Markdown or LaTeX.

Texts are Markdown of two inline marks only: ``**bold**`` and code between backticks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.tables.formats import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "**to be filled in**"
"""Text for a fact that no file of the study contains."""


def to_fill_in(what: str = "") -> str:
    """Return a marked gap for something that the authors know and no file of the study contains.

    Example:
        >>> to_fill_in("scanners")
        '**[to be filled in: scanners]**'
    """
    return f"**[to be filled in: {what}]**" if what else UNKNOWN


@dataclass(frozen=True)
class Heading:
    """A heading below the title of a page.

    Attributes:
        text: The heading.
    """

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph.

    Attributes:
        text: Its text.
    """

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list.

    Attributes:
        texts: A text for each point.
    """

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table of texts, which break into lines.

    Attributes:
        headings: Headings of the columns.
        rows: A text for each column.
        widths: Share of the page's width of each column; together at most 1.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]


Block = Heading | Paragraph | Bullets | Grid


@dataclass(frozen=True)
class Page:
    """A page of the supplement.

    Attributes:
        name: Name of its files, without ending.
        title: Title.
        blocks: Content.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def gaps(self) -> int:
        """Number of marked gaps."""
        return markdown(self).count("to be filled in")


def pairs(rows: Sequence[tuple[str, str]], headings: tuple[str, str] = ("property", "value")) -> Grid:
    """Return a table of properties and their values."""
    return Grid(headings, tuple(rows), (0.3, 0.62))


def markdown(page: Page) -> str:
    """Return a page as GitHub's Markdown."""
    return "\n".join([f"# {page.title}\n", *(_markdown(block) for block in page.blocks)])


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"## {block.text}\n"
    if isinstance(block, Paragraph):
        return f"{_one_line(block.text)}\n"
    if isinstance(block, Bullets):
        return "".join(f"- {_one_line(text)}\n" for text in block.texts)
    lines = [block.headings, ("---",) * len(block.headings), *block.rows]
    cells = ([_one_line(text).replace("|", "\\|") for text in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def latex(page: Page) -> str:
    r"""Return a page as LaTeX for ``\input``; it needs the packages array, booktabs and longtable."""
    return "\n".join([rf"\section{{{_latex_text(page.title)}}}", *(_latex(block) for block in page.blocks), ""])


def _latex(block: Block) -> str:
    if isinstance(block, Heading):
        return rf"\subsection*{{{_latex_text(block.text)}}}"
    if isinstance(block, Paragraph):
        return f"{_latex_text(block.text)}\n"
    if isinstance(block, Bullets):
        items = "\n".join(rf"\item {_latex_text(text)}" for text in block.texts)
        return f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}"
    columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{width:g}\linewidth}}" for width in block.widths)
    head, *rows = (" & ".join(map(_latex_text, line)) + r" \\" for line in (block.headings, *block.rows))
    return "\n".join(
        (
            rf"{{\footnotesize\setlength{{\tabcolsep}}{{3pt}}\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
            r"\toprule", head, r"\midrule\endhead", r"\bottomrule\endfoot", *rows,
            r"\end{longtable}}",
        )
    )  # fmt: skip


_MARKED = re.compile(r"\*\*(?P<bold>.+?)\*\*|`(?P<code>[^`]+)`")


def _latex_text(text: str) -> str:
    parts, end = [], 0
    text = _one_line(text)
    for match in _MARKED.finditer(text):
        parts.append(escaped(text[end : match.start()]))
        inner = escaped(match["bold"] or match["code"])
        # Names of files and classes are long; they may break after these characters.
        breaking = re.sub(r"(\\_|/|\.)", r"\1\\allowbreak{}", inner)
        parts.append(rf"\textbf{{{inner}}}" if match["bold"] else rf"\texttt{{{breaking}}}")
        end = match.end()
    return "".join([*parts, escaped(text[end:])])


def latex_document(pages: Sequence[Page]) -> str:
    """Return a document that contains all pages, to be compiled in the folder of their files."""
    inputs = "\n".join(rf"\input{{{page.name}}}\clearpage" for page in pages)
    return (
        "\\documentclass[a4paper]{article}\n\\usepackage[margin=22mm]{geometry}\n\\usepackage[utf8]{inputenc}\n"
        "\\usepackage[T1]{fontenc}\n\\usepackage{array,booktabs,longtable}\n\\setlength{\\parindent}{0pt}\n"
        "\\setlength{\\parskip}{4pt}\n\\emergencystretch=3em\n"
        f"\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )


FORMATS = {"md": markdown, "tex": latex}
"""The formats by file ending."""
