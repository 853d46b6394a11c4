"""Code blocks of the README and the documentation, and the commands in them."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
TUTORIALS = REPOSITORY / "docs" / "tutorials"
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
    *sorted(TUTORIALS.glob("*.md")),
]

NEEDS = {
    "data": "CTs and masks of the user",
    "weights": "TotalSegmentator's or an encoder's weights",
    "model": "a trained model and CTs of the user",
    "cluster": "a cluster with SLURM",
    "internet": "a download",
    "minutes": "minutes, and CI runs it by itself",
    "your code": "names that the reader is about to write",
}
"""Words of ``<!-- needs: WORD, WORD -->`` before a block that does not run in CI, and their meaning.

The commands of such a block are checked with the real command lines. Every other block of Python or bash runs.
"""

_BLOCK = re.compile(
    r"(?:^ *<!-- needs: (?P<needs>[^\n]*) -->\n)?^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_SEPARATORS = {"&&", "||", "|", ";", "&"}
_KEYWORDS = {"do", "then", "else", "until", "while", "if", "!"}
_ENDS = {"done", "fi", "break", "[", "for"}


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: The page.
        line: Line of its first fence.
        language: Language behind the fence; empty without one.
        code: Its text.
        needs: What it needs besides this package and phantoms; empty if it runs in CI.
    """

    page: Path
    line: int
    language: str
    code: str
    needs: tuple[str, ...]

    def __str__(self) -> str:
        """Return page and line."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks(*languages: str, pages: list[Path] = PAGES) -> list[Block]:
    """Return the blocks of pages in some languages; without a language, all."""
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            needs = tuple(word.strip() for word in (match["needs"] or "").split(",") if word.strip())
            # In a tutorial, a region keeps a block of bash from being a cell, since it is not run.
            if page.parent == TUTORIALS and text[: match.start()].rstrip().endswith("<!-- #region -->"):
                needs = needs or ("data",)
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, match["language"].strip(), textwrap.dedent(match["code"]), needs))
    return [block for block in found if not languages or block.language in languages]


def commands(code: str) -> Iterator[list[str]]:
    """Yield the simple commands of a shell script as words, also those in ``$(...)``.

    Variables stay as they are written; assignments, redirections, keywords and comments are left out.

    Example:
        >>> list(commands('eval "$(nnfemur env work)"; A=1 nnfemur plan -d 1 > log  # plan'))
        [['nnfemur', 'env', 'work'], ['eval', '$(nnfemur env work)'], ['nnfemur', 'plan', '-d', '1']]
    """
    for line in code.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for inner in re.findall(r"\$\(([^()]+)\)", line):
            yield from commands(inner)
        without_streams = re.sub(r"(?<=\s)\d(?=>)", "", line)
        splitter = shlex.shlex(without_streams, posix=True, punctuation_chars=True)
        splitter.wordchars += "$,@%+:!{}"
        skip = False
        for token in [*splitter, ";"]:
            if token in _SEPARATORS:
                if words and words[0] not in _ENDS:
                    yield words
                words = []
            elif set(token) <= set("<>&"):
                skip = True  # the file of a redirection follows
            elif skip:
                skip = False
            elif words or not (token in _KEYWORDS or re.match(r"\w+=", token)):
                words.append(token)
