"""Pages of the Python API have every public name once."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from api_pages import PACKAGES, TOP, pages

PAGES = dict(pages())
PYTHON_PAGE = Path(__file__).parents[3] / "docs" / "python.md"


def test_every_public_name_is_described_once() -> None:
    described = [name for page in PAGES.values() for name in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)]
    top = set(import_module(TOP).__all__)
    expected = {f"{TOP}.{name}" for name in top - {"__version__"}}
    for package in PACKAGES:
        expected |= {f"{TOP}.{package}.{name}" for name in import_module(f"{TOP}.{package}").__all__ if name not in top}
    assert set(described) == expected
    assert len(described) == len(expected)


def test_names_of_the_top_level_are_linked() -> None:
    shared = set(import_module("nnunet_femur.prediction").__all__) & set(import_module(TOP).__all__)
    assert "Segmenter" in shared
    assert all(f"(nnunet_femur.md#{TOP}.{name})" in PAGES["reference/api/prediction.md"] for name in shared)


def test_the_packages_are_those_that_the_documentation_calls_public() -> None:
    text = PYTHON_PAGE.read_text(encoding="utf-8").partition("## Public names")[2]
    assert set(re.findall(r"`nnunet_femur\.(?!__)(\w+)`", text)) == set(PACKAGES)
