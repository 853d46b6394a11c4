"""Tables in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    r"""Return a text as a cell of a table.

    Example:
        >>> cell("one|two\nthree"), cell("<b>")
        ('one\\|two three', '&lt;b>')
    """
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, followed by an empty line.

    Example:
        >>> print(table(("code", "meaning"), [("`a`", "first")]), end="")
        | code | meaning |
        |---|---|
        | `a` | first |
        <BLANKLINE>
    """
    lines = [head, *rows]
    texts = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([texts[0], "|" + "---|" * len(head), *texts[1:], "", ""])
