"""Pages of the Python API: every public name, a page for each package."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from inspect import isclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = "nnunet_femur"

PACKAGES = {
    "imaging": "Read and write CTs, masks, segmentations and surfaces.",
    "conversion": "Convert a hospital's files into a raw dataset of nnU-Net.",
    "prediction": "Segment new CTs with trained models.",
    "evaluation": "Score masks: metrics, regions, and policies for empty masks.",
    "measurement": "Measure femurs: quantities, landmarks and closed surfaces.",
    "comparison": "Compare methods: scores, statistics, tables, figures and a report.",
    "study": "Run the whole experiment from one file.",
    "weights": "Find, download and verify pretrained weights.",
    "testing": "Phantoms and dummy weights for demonstrations and tests.",
}
"""Packages with public names besides those of the top level, each with its purpose."""


@cache
def described_names() -> frozenset[str]:
    """Return the full names of everything that the pages describe."""
    return frozenset(re.findall(r"^::: (\S+)$", "\n".join(text for _, text in pages()), re.MULTILINE))


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and Markdown of each page."""
    yield "reference/api/nnunet_femur.md", _top_page()
    top = set(import_module(TOP).__all__)
    for package, purpose in PACKAGES.items():
        name = f"{TOP}.{package}"
        public = import_module(name).__all__
        shared = [each for each in public if each in top]
        lines = [f"---\ntitle: {name}\n---\n\n# `{name}`\n", f"{purpose}\n"]
        if shared:
            links = ", ".join(f"[`{each}`](nnunet_femur.md#{TOP}.{each})" for each in shared)
            lines.append(f"On the page of the top level: {links}.\n")
        lines += [f"::: {name}.{each}\n" for each in public if each not in top]
        yield f"reference/api/{package}.md", "\n".join(lines)


def _top_page() -> str:
    package = import_module(TOP)
    of_kind: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": []}
    for name in package.__all__:
        value = getattr(package, name)
        if isclass(value):
            of_kind["Errors" if issubclass(value, Exception) else "Classes"].append(name)
        elif callable(value):
            of_kind["Functions"].append(name)
    lines = [
        f"---\ntitle: {TOP}\n---\n\n# `{TOP}`\n",
        "```python\nimport nnunet_femur as nf\n```\n",
        "Each name is loaded when it is first used. `nf.__version__` is the version of the package.\n",
        f"Codes of errors: [Errors](../errors.md). Further public packages: {_package_links()}.\n",
    ]
    for heading, names in of_kind.items():
        lines += [f"## {heading}\n", *(f"::: {TOP}.{name}\n    options: {{heading_level: 3}}\n" for name in names)]
    return "\n".join(lines)


def _package_links() -> str:
    return ", ".join(f"[`{TOP}.{package}`]({package}.md)" for package in PACKAGES)
