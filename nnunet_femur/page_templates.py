"""Templates of pages: report, contact sheets, review."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import jinja2


def page_templates(folder: Path, *, keep_trailing_newline: bool = False) -> jinja2.Environment:
    """Return the templates of a folder. HTML escapes its values, and a value that is missing is an error.

    Args:
        folder: Folder of the templates; the names of those of HTML end with ``html.j2``.
        keep_trailing_newline: Keep the line break at the end of a template.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("page.html.j2").write_text("<p>{{ text }}</p>")
        >>> page_templates(Path()).get_template("page.html.j2").render(text="a < b")
        '<p>a &lt; b</p>'
        >>> Path("page.html.j2").unlink()
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=keep_trailing_newline,
        undefined=jinja2.StrictUndefined,
    )
