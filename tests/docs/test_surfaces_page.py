"""docs/surfaces.md: the columns of the quality table, the limits and the options agree with the program."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.measurement.surfaces.mask_fit import FRAGMENT_ML
from nnunet_femur.measurement.surfaces.model_surfaces import EDGE_MM, LONGEST_EDGE_MM, QUALITY_COLUMNS

TEXT = (Path(__file__).parents[2] / "docs" / "surfaces.md").read_text(encoding="utf-8")


def test_every_column_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
    shown = {key: (label, unit) for key, unit, label in rows if key in QUALITY_COLUMNS}
    assert shown == {key: (label, unit.replace("cm2", "cm²") or "–") for key, (label, unit) in QUALITY_COLUMNS.items()}
    assert {key for key, *_ in rows} - set(shown) == {"problems", "error"}


def test_limits() -> None:
    assert f"`--edge-mm` is from half the smallest voxel spacing to {LONGEST_EDGE_MM:g}" in TEXT
    assert f"edges of {EDGE_MM:g} mm, and surface_quality.csv" in TEXT
    assert f"below {FRAGMENT_ML:g} ml" in TEXT


def test_options_exist() -> None:
    help_text = CliRunner().invoke(app, ["measure", "--help"], env={"COLUMNS": "200"}).output
    assert all(option in help_text for option in ("--stl", "--ply", "--edge-mm"))
