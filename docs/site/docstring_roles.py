"""Extension of griffe: Sphinx's roles in docstrings as Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe
from api_pages import described_names

_ROLE = re.compile(r":(?:class|func|meth|data|attr|mod|exc|py:\w+):`~?([^`]+)`")
_LITERAL_BLOCK = re.compile(r"::\n(?=\n +\S)")
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


def as_markdown(docstring: str) -> str:
    """Return a docstring with roles as links or code, a colon before indented code, and Google's plural of Example.

    Example:
        >>> as_markdown("As :func:`~nnunet_femur.predict` does, see :data:`KINDS`.")
        'As [`predict`][nnunet_femur.predict] does, see `KINDS`.'
    """
    text = _LITERAL_BLOCK.sub(":\n", _ROLE.sub(_link, docstring))
    return _EXAMPLE.sub(r"\1Examples:", text)  # griffe's name of the section, which it shows as code


def _link(role: re.Match[str]) -> str:
    target = role[1]
    return f"[`{target.rpartition('.')[2]}`][{target}]" if target in described_names() else f"`{target}`"


class DocstringRoles(griffe.Extension):
    """Rewrites each docstring when its object has been read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
