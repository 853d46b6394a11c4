"""The tables of docs/measurements.md are those of the program: quantities, reasons, and goals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.measurement.quantities import SHAPE_QUANTITIES
from nnunet_femur.measurement.quantity import COHORT

if TYPE_CHECKING:
    from nnunet_femur.measurement.quantity import Quantity

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "measurements.md").read_text(encoding="utf-8")
PACKAGE = Path(__file__).parents[2] / "nnunet_femur" / "measurement"


def _section(heading: str) -> str:
    return TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def _row(quantity: Quantity) -> str:
    """A row of the table of quantities."""
    units = {"1": "–", "deg": "°", "mm2": "mm²", "cm2": "cm²"}
    normal = "–"
    if quantity.normal is not None:
        source = "" if quantity.source in ("", COHORT) else f" ({quantity.source})"
        normal = f"{quantity.normal[0]:g} to {quantity.normal[1]:g}{source}"
    unit = units.get(quantity.unit, quantity.unit)
    return f"| `{quantity.key}` | {unit} | {quantity.definition} | {quantity.needs} | {normal} |"


def test_every_quantity_has_its_row():
    rows = [line for line in _section("All quantities of a mask").splitlines() if line.startswith("| `")]
    assert rows == [_row(quantity) for quantity in SHAPE_QUANTITIES]


def test_every_reason_of_the_shape_is_explained():
    """The codes that the modules of the shape give are those of the table."""
    modules = ("completeness", "protrusions", "measuring")
    files = [next(PACKAGE.rglob(f"{module}.py")) for module in modules]
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    given = set(re.findall(r'Missing\(\s*"([a-z-]+)"', source)) | {"proximal-end-cut", "distal-end-cut"}
    rows = [line for line in _section("What is refused").splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`([a-z-]+)`", " ".join(row.split("|")[1] for row in rows))) == given


def test_every_number_has_its_error():
    rows = [line for line in _section("Error by voxel size").splitlines() if line.startswith("| ")]
    named = {match.group(1) for match in (re.match(r"\| ([a-z_0-9]+)(?: \(%\))? \|", row) for row in rows) if match}
    assert named >= {quantity.key for quantity in SHAPE_QUANTITIES}


def test_the_pictures_exist():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert len(pictures) >= 4
    assert all((DOCS / picture).stat().st_size < 150_000 for picture in pictures)


def test_every_key_in_the_text_is_a_key():
    from nnunet_femur.measurement import QUANTITIES

    keys = set(re.findall(r"`([a-z_0-9]+_(?:deg|mm|mm2|ml|cm2|percent|lps|hu))`", TEXT))
    assert keys - set(QUANTITIES) == set()
    assert keys >= {quantity.key for quantity in SHAPE_QUANTITIES}
